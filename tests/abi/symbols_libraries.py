#!/usr/bin/env python3
"""Promise: each library that stands as the driver's exports the driver's names and nothing else of ours but what is listed here, does
nothing when it is loaded (ours before the driver: nor when the process ends), and asks of a process no more than any old libc gives.

    symbols_libraries.py SOURCE_ROOT SHIM_CUDA SHIM_NVML SOFTWARE_CUDA SOFTWARE_NVML
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from api_toolkit import toolkit  # noqa: E402

# What of ours a library may export beside the driver's names.
OURS = {'shim': {'vgpu_shim_mark'}, 'software': set()}
LIBRARIES = re.compile(r'lib(c|m|pthread|dl)\.so\.\d+|ld-linux.*\.so\.\d+')
# What the compiler's start files and its runtime library put into .init_array and .fini_array.
TOOLCHAIN_INIT = {'frame_dummy', '__cpu_indicator_init'}
TOOLCHAIN_FINI = {'__do_global_dtors_aux'}
GLIBC_FLOOR = (2, 28)
POINTER_BYTES = 8


def tool(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


class Check:
    def __init__(self):
        self.failed = 0

    def that(self, good, what):
        if not good:
            self.failed += 1
            print(f'not ok: {what}')


def toolkit_stub():
    try:
        return toolkit()[1]
    except SystemExit:  # it has said why; the rest of this test needs none
        return None


def exported(library):
    return {line.split()[2].split('@')[0] for line in tool('nm', '-D', '--defined-only', library).splitlines()}


def described(root, prefix):
    """Exported names that the description has; of them those with a prototype."""
    sys.path.insert(0, str(root / 'src' / 'api'))
    from gen import describe
    functions = describe.read_functions(sorted((root / 'src' / 'api').glob(f'{"cuda" if prefix == "CU" else "nvml"}_api*.h')), prefix)
    entries = describe.make_entries(functions, set(), None)
    return {e.symbol for e in entries}, {e.symbol for e in entries if e.function.typed}


def check_names(check, label, library, names, ours):
    have = exported(library)
    check.that(have == names | ours, f'{label}: missing {sorted((names | ours) - have)}, too many {sorted(have - names - ours)}')
    return len(have & names)


def array_functions(library, array):
    """Names of the functions that the dynamic linker calls when it loads the library (init), or when the process ends (fini)."""
    section = re.search(rf'\.{array}_array\s+{array.upper()}_ARRAY\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)', tool('readelf', '-SW', library))
    if not section:
        return []
    begin, size = int(section[1], 16), int(section[2], 16)
    at = {}
    for line in tool('readelf', '-rW', library).splitlines():
        relocation = re.fullmatch(r'([0-9a-f]{16})\s+[0-9a-f]+\s+R_\w+_RELATIVE\s+([0-9a-f]+)', line.strip())
        if relocation and begin <= int(relocation[1], 16) < begin + size:
            at[int(relocation[2], 16)] = None
    for line in tool('nm', library).splitlines():
        parts = line.split()
        if len(parts) == 3 and int(parts[0], 16) in at:
            at[int(parts[0], 16)] = parts[2]
    return [name or f'a function at {address:x}' for address, name in at.items()] if len(at) == size // POINTER_BYTES else ['unreadable']


def tls_bytes(library):
    segment = re.search(r'^\s+TLS\s+\S+\s+\S+\s+\S+\s+\S+\s+0x([0-9a-f]+)', tool('readelf', '-lW', library), flags=re.M)
    return int(segment[1], 16) if segment else 0


def check_load(check, label, library):
    dynamic = tool('readelf', '-dW', library)
    needed = re.findall(r'\(NEEDED\).*\[(.*)\]', dynamic)
    strange = [name for name in needed if not LIBRARIES.fullmatch(name)]
    check.that(not strange, f'{label} needs {" ".join(strange)}')
    check.that(not re.search(r'\((RPATH|RUNPATH|TEXTREL|PREINIT_ARRAY)\)', dynamic), f'{label} has a run path, text relocations or a preinit array')
    constructors = set(array_functions(library, 'init')) - TOOLCHAIN_INIT
    check.that(not constructors, f'{label} runs when it is loaded: {" ".join(sorted(constructors))}')
    check.that('IRELATIV' not in tool('readelf', '-rW', library), f'{label} has functions that are chosen when it is loaded')
    destructors = set(array_functions(library, 'fini')) - TOOLCHAIN_FINI
    check.that(not destructors or not label.startswith('shim'), f'{label} runs when a process ends: {" ".join(sorted(destructors))}')
    tls, is_static = tls_bytes(library), 'STATIC_TLS' in dynamic
    check.that(tls <= POINTER_BYTES or (not is_static and not label.startswith('shim')),
               f'{label} has {tls} bytes of {"static " if is_static else ""}thread-local storage')
    versions = {tuple(map(int, v.split('.'))) for v in re.findall(r'GLIBC_(\d[\d.]*)', tool('readelf', '-VW', library))}
    highest = max(versions, default=(0,))
    if label.startswith('shim'):
        check.that(highest <= GLIBC_FLOOR, f'{label} needs glibc {".".join(map(str, highest))}')
    return needed, tls, '.'.join(map(str, highest))


def main():
    root, paths = Path(sys.argv[1]), sys.argv[2:6]
    for name in ('nm', 'readelf'):
        if not shutil.which(name):
            print(f'skipped: no {name}')
            sys.exit(77)
    check = Check()
    cuda, typed = described(root, 'CU')
    nvml, _ = described(root, 'NVML')
    stub = toolkit_stub()
    if stub:
        theirs = {name for name in exported(stub) if name.startswith('cu')}
        check.that(typed == theirs, f'the toolkit has {len(theirs)} names, the description {len(typed)} with a prototype')
        print(f'{len(theirs)} names in the toolkit\'s link stub; {len(cuda - typed)} more that only graphics programs ask for')
    for label, library, names in zip(('shim libcuda', 'shim libnvidia-ml', 'software libcuda', 'software libnvidia-ml'), paths, (cuda, nvml) * 2):
        count = check_names(check, label, library, names, OURS[label.split()[0]] if 'shim' in label else set())
        needed, tls, glibc = check_load(check, label, library)
        print(f'{label}: {count} names, needs {" ".join(needed)}, {tls} bytes of TLS, glibc {glibc}')
    sys.exit(1 if check.failed else 0)


if __name__ == '__main__':
    main()
