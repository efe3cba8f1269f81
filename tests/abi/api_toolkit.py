#!/usr/bin/env python3
"""Promise: where a CUDA toolkit is installed, our description of the driver API says what its headers and its link stub say:
the same exported names, versions, macros, enum values, struct layouts and prototypes.

    api_toolkit.py SOURCE_ROOT GENERATED_DIR [COMPILER]
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
from api_dwarf import Types, compile_debug  # noqa: E402

SUPPORTED = 13000


def skip(reason):
    print(f'skipped: {reason}')
    sys.exit(77)


def toolkit():
    """The toolkit's include folder and link stub."""
    nvcc = shutil.which('nvcc')
    homes = [os.environ.get('CUDA_HOME'), nvcc and Path(nvcc).resolve().parent.parent, '/usr/local/cuda']
    for home in map(Path, filter(None, homes)):
        header, stub = home / 'include' / 'cuda.h', home / 'lib64' / 'stubs' / 'libcuda.so'
        if header.exists() and stub.exists():
            version = int(re.search(r'#define\s+CUDA_VERSION\s+(\d+)', header.read_text())[1])
            if version != SUPPORTED:
                skip(f'the toolkit in {home} is {version}, our description is {SUPPORTED}')
            return header.parent, stub
    skip('no CUDA toolkit (CUDA_HOME, nvcc, /usr/local/cuda)')


class Comparison:
    def __init__(self):
        self.differences = 0

    def equal(self, what, ours, theirs):
        if ours != theirs:
            self.differences += 1
            print(f'{what}:\n    ours:   {ours}\n    theirs: {theirs}')

    def sets(self, what, ours, theirs):
        for missing in sorted(theirs - ours):
            self.equal(f'{what} {missing}', 'missing', 'there')
        for extra in sorted(ours - theirs):
            self.equal(f'{what} {extra}', 'there', 'missing')


def compare_names(check, entries, stub):
    out = subprocess.run(['nm', '-D', '--defined-only', str(stub)], check=True, capture_output=True, text=True).stdout
    theirs = {line.split()[2] for line in out.splitlines() if ' cu' in line}
    check.sets('symbol', {e.symbol for e in entries if e.function.typed}, theirs)
    return len(theirs)


def pointer_type(entry):
    return f'PFN_{entry.function.name}_v{entry.since}' + (f'_{entry.variant}' if entry.variant else '')


def compare_versions(check, entries, include):
    theirs = set()
    for header in include.glob('cuda*Typedefs.h'):
        theirs |= set(re.findall(r'\(CUDAAPI \*(PFN_cu\w+_v\d+(?:_pt[ds][sz])?)\)', header.read_text()))
    theirs = {name for name in theirs if 'WGL' not in name and not name.startswith('PFN_cuda')}
    check.sets('version', {pointer_type(e) for e in entries}, theirs)
    return len(theirs)


def macros(compiler, include, flags=()):
    command = [compiler, '-dM', '-E', '-x', 'c', '-include', 'cuda.h', f'-I{include}', *flags, '/dev/null']
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r'^#define (\w+) (.*)$', out, flags=re.M))


def expand(table, name):
    """What a name macro leads to, over the toolkit's intermediate macros; like the preprocessor, never twice through one."""
    seen, text = {name}, table[name]
    while True:
        call = re.fullmatch(r'__CUDA_API_(PTSZ|PTDS)\((\w+)\)', text)
        if call:
            text = call[2] + ('_' + call[1].lower() if '##' in table.get(f'__CUDA_API_{call[1]}(api)', '') else '')
        if text in table and text not in seen:
            seen.add(text)
            text = table[text]
        elif not call:
            return text


def name_macros(compiler, include, flags):
    """name -> symbol, for every macro that stands for a function."""
    command = [compiler, '-dM', '-E', '-x', 'c', '-include', 'cuda.h', f'-I{include}', *flags, '/dev/null']
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    table = dict(re.findall(r'^#define (\w+(?:\(\w+\))?) (.*)$', out, flags=re.M))
    leads = {name: expand(table, name) for name in table if re.fullmatch(r'cu[A-Z]\w+', name)}
    return {name: symbol for name, symbol in leads.items() if name != symbol}


def compare_name_macros(check, compiler, ours, theirs):
    count = 0
    for flags in ((), ('-DCUDA_API_PER_THREAD_DEFAULT_STREAM',)):
        a, b = name_macros(compiler, ours, flags), name_macros(compiler, theirs, flags)
        for name in sorted(a.keys() | b.keys()):
            count += 1
            check.equal(f'macro {name} {" ".join(flags)}', a.get(name), b.get(name))
    return count


def compare_constants(check, compiler, ours, theirs, work):
    """Values of all macros of both headers that are numbers or pointers made of numbers."""
    tables = [macros(compiler, include) for include in (ours, theirs)]
    names = [{n for n, text in table.items() if re.match(r'(CU|CUDA)_?[A-Z0-9]', n) and text and not re.match(r'__', n)} for table in tables]
    names = [{n for n in group if '__' not in n and n not in ('CUDAAPI', 'CUDA_CB')} for group in names]
    check.sets('constant', *names)
    common = sorted(names[0] & names[1])
    values = []
    for which, include in enumerate((ours, theirs)):
        source = work / f'constants{which}.c'
        prints = ''.join(f'    printf("%s %lld\\n", "{n}", (long long)({n}));\n' for n in common)
        source.write_text(f'#include <cuda.h>\n#include <stdio.h>\nint main(void)\n{{\n{prints}    return 0;\n}}\n')
        subprocess.run([compiler, '-w', f'-I{include}', str(source), '-o', str(source.with_suffix(''))], check=True)
        out = subprocess.run([str(source.with_suffix(''))], check=True, capture_output=True, text=True).stdout
        values.append(dict(line.split() for line in out.splitlines()))
    for name in common:
        check.equal(f'constant {name}', values[0][name], values[1][name])
    return len(common)


def types_of(compiler, work, entries, ours, theirs):
    """Our types, the toolkit's, and the toolkit's with the pointer types of every version, of which some are hidden from programs."""
    undefine = ''.join(f'#undef {e.function.name}\n' for e in entries)  # a prototype is seen under its own symbol
    units = {
        'ours': '#include <cuda.h>\n' + undefine + ''.join(f'__typeof__({e.symbol}) *p_{e.symbol};\n' for e in entries),
        'theirs': '#include <cuda.h>\n',
        'all': ''.join(f'#include <{name}.h>\n' for name in ('cuda', 'cudaProfiler', 'cudaTypedefs', 'cudaProfilerTypedefs'))
               + ''.join(f'{pointer_type(e)} p_{e.symbol};\n' for e in entries),
    }
    types = []
    for unit, text in units.items():
        source = work / f'{unit}.c'
        source.write_text(text)
        flags = [f'-I{ours if unit == "ours" else theirs}'] + (['-D__CUDA_API_VERSION_INTERNAL'] if unit == 'all' else [])
        types.append(Types(compile_debug(compiler, source, source.with_suffix('.o'), flags)))
    return types


def compare_types(check, ours, theirs, all_theirs):
    """What programs see must be there and equal; what only all_theirs has may be there too."""
    def ones(table, *prefixes):
        return {name for name in table if name.startswith(prefixes)}

    mine, public = ones(ours.enumerators, 'CU', 'CIG'), ones(theirs.enumerators, 'CU', 'CIG')
    hidden = mine & all_theirs.enumerators.keys()
    check.sets('enumerator', mine, public | hidden)
    for name in sorted(mine & (public | hidden)):
        check.equal(f'enumerator {name}', ours.enumerators[name], theirs.enumerators.get(name, all_theirs.enumerators[name]))
    mine, public = ones(ours.typedefs, 'CU', 'cuu'), ones(theirs.typedefs, 'CU', 'cuu')
    hidden = mine & all_theirs.typedefs.keys()
    check.sets('type', mine, public | hidden)
    for name in sorted(mine & (public | hidden)):
        side = theirs if name in public else all_theirs
        check.equal(f'type {name}', ours.typedefs[name], side.typedefs[name])
        check.equal(f'fields of {name}', ours.records[name], side.records[name])
    return len(ours.enumerators), len(mine)


def compare_prototypes(check, entries, ours, theirs):
    for entry in entries:
        check.equal(f'prototype {entry.symbol}', ours.variables[f'p_{entry.symbol}'], theirs.variables[f'p_{entry.symbol}'])
    return len(entries)


def main():
    root, generated = Path(sys.argv[1]), Path(sys.argv[2])
    compiler = sys.argv[3] if len(sys.argv) > 3 else 'gcc'
    include, stub = toolkit()
    for tool in ('nm', 'readelf', compiler):
        if not shutil.which(tool):
            skip(f'no {tool}')
    sys.path.insert(0, str(root / 'src' / 'api'))
    from gen import describe
    functions = describe.read_functions(sorted((root / 'src' / 'api').glob('cuda_api*.h')), 'CU')
    entries = describe.make_entries(functions, set(), None)
    typed = [e for e in entries if e.function.typed]
    check = Comparison()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        # The generated folder holds our nvml.h and more; programs see one folder with our cuda.h alone.
        (work / 'include').mkdir()
        shutil.copy(generated / 'cuda.h', work / 'include')
        symbols = compare_names(check, entries, stub)
        versions = compare_versions(check, entries, include)
        mapped = compare_name_macros(check, compiler, work / 'include', include)
        constants = compare_constants(check, compiler, work / 'include', include, work)
        ours, theirs, versions_of_theirs = types_of(compiler, work, typed, work / 'include', include)
        enumerators, types = compare_types(check, ours, theirs, versions_of_theirs)
        prototypes = compare_prototypes(check, typed, ours, versions_of_theirs)
    print(f'compared {symbols} symbols, {versions} versions, {mapped} name macros, {constants} constants, {enumerators} enumerators, '
          f'{types} types, {prototypes} prototypes: {check.differences} differences')
    sys.exit(1 if check.differences else 0)


if __name__ == '__main__':
    main()
