#!/usr/bin/env python3
"""Writes a linker script that hides the functions of the driver API which are younger than a version.

    older_map.py SOURCE_ROOT VERSION OUTPUT
"""
import sys
from pathlib import Path


def main():
    root, version, output = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root / 'src' / 'api'))
    from gen import describe
    functions = describe.read_functions(sorted((root / 'src' / 'api').glob('cuda_api*.h')), 'CU')
    younger = [entry.symbol for entry in describe.make_entries(functions, set(), None) if entry.since > version]
    output.write_text('{\n    local:\n' + ''.join(f'        {symbol};\n' for symbol in younger) + '};\n')


if __name__ == '__main__':
    main()
