#!/usr/bin/env python3
"""Promise: no door to the device's time is left out: every function that the description marks as one is in src/shim/hooks.txt, or
stands here with the reason why it is not.

    doors.py SOURCE_ROOT
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
DOORS = {'launch', 'copy', 'fill', 'operation', 'graph'}
EXCEPTIONS = {}  # symbol: reason


def main():
    root = Path(sys.argv[1])
    sys.path.insert(0, str(root / 'src' / 'api'))
    from gen import describe
    functions = describe.read_functions(sorted((root / 'src' / 'api').glob('cuda_api*.h')), 'CU')
    path = root / 'src' / 'shim' / 'hooks.txt'
    entries = describe.make_entries(functions, describe.read_hooks(path), path)
    doors = {entry.symbol: entry.hooked for entry in entries if entry.function.marks.get('time') in DOORS}
    problems = [f'{symbol} gives the device work and is not hooked' for symbol, hooked in doors.items()
                if not hooked and symbol not in EXCEPTIONS]
    problems += [f'{symbol} is hooked, or no door: it needs no exception' for symbol in EXCEPTIONS if doors.get(symbol, True)]
    print('\n'.join(problems) or f'{len(doors)} doors, {len(EXCEPTIONS)} of them with a reason not to be hooked')
    sys.exit(1 if problems or len(doors) < 100 else 0)


if __name__ == '__main__':
    main()
