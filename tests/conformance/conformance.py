#!/usr/bin/env python3
"""Promise: where no limit is set, a program cannot tell whether our library stands before the driver: each function of the driver API,
by whatever way it is reached, gets the same arguments, gives the same result and leaves the same memory behind.

    conformance.py SOURCE_ROOT PROGRAM RECORDING_DRIVER SHIM
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
SHOWN_MAX = 20


def stub_names(root):
    """What the toolkit's link stub exports; nothing where there is no toolkit."""
    sys.path.insert(0, str(root / 'tests' / 'abi'))
    from api_toolkit import toolkit
    try:
        stub = toolkit()[1]
    except SystemExit:  # it has said why
        return set()
    out = subprocess.run(['nm', '-D', '--defined-only', str(stub)], check=True, capture_output=True, text=True).stdout
    return {line.split()[2] for line in out.splitlines() if ' cu' in line}


def described_names(root):
    sys.path.insert(0, str(root / 'src' / 'api'))
    from gen import describe
    functions = describe.read_functions(sorted((root / 'src' / 'api').glob('cuda_api*.h')), 'CU')
    return {entry.symbol for entry in describe.make_entries(functions, set(), None)}


def run(program, library, recorder, names, env):
    """What the program says with library as its libcuda.so.1."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('VGPU_') and k != 'LD_PRELOAD'} | env
    env['LD_LIBRARY_PATH'] = str(library.parent)
    done = subprocess.run([str(program), str(recorder), str(names)], env=env, capture_output=True, text=True)
    if done.returncode:
        print(f'not ok: with {library} the program ended with {done.returncode}: {done.stderr[-500:]}')
        sys.exit(1)
    linked = Path(done.stderr.splitlines()[0]).resolve()
    if linked != library.resolve():
        print(f'not ok: the program uses {linked}, not {library}')
        sys.exit(1)
    said = done.stderr.splitlines()[1:]
    if said:
        print('not ok: something was said on standard error:', *said[:5], sep='\n')
        sys.exit(1)
    return done.stdout.splitlines()


def main():
    root, program, recorder, shim = (Path(p).resolve() for p in sys.argv[1:5])
    stub, described = stub_names(root), described_names(root)
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / 'names'
        names.write_text('\n'.join(sorted(stub | described)) + '\n')
        native = run(program, recorder, recorder, names, {})
        between = run(program, shim, recorder, names, {'VGPU_DRIVER_DIR': str(recorder.parent)})
    different = [pair for pair in zip(native, between) if pair[0] != pair[1]]
    count = len(different) + abs(len(native) - len(between))
    for ours in (f'native:  {a}\nbetween: {b}' for a, b in different[:SHOWN_MAX]):
        print(ours)
    faults = sum('ended by signal' in line for line in native)
    missing = [line for line in native if line.startswith('dlsym') and ' missing' in line]
    calls, lookups = sum(' call ' in line for line in native), sum(line.startswith('lookup') for line in native)
    source = f'{len(stub)} of them in the toolkit\'s link stub' if stub else 'no toolkit to ask'
    print(f'{len(stub | described)} names ({source}), {calls} calls, {lookups} look-ups: {count} differences')
    if faults or missing:
        print(f'not ok: the recording driver itself: {faults} faults, missing: {missing[:5]}')
    sys.exit(1 if count or faults or missing or not calls else 0)


if __name__ == '__main__':
    main()
