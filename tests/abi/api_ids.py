#!/usr/bin/env python3
"""Promise: an id of the description is never given to another function and never changes: each id that was ever committed in
tests/abi/api_ids.txt still belongs to its symbol (or to nobody), and every id in use is listed there.

    api_ids.py SOURCE_ROOT [--add]      --add lists the new ids
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True


def main():
    root = Path(sys.argv[1])
    sys.path.insert(0, str(root / 'src' / 'api'))
    from gen import describe
    ledger = root / 'tests' / 'abi' / 'api_ids.txt'
    lines = ledger.read_text().split('\n') if ledger.exists() else []
    known = {}
    for line in filter(None, lines):
        api, number, symbol = line.split()
        known[api, int(number)] = symbol
    errors, new = [], []
    for api, pattern in (('CU', 'cuda_api*.h'), ('NVML', 'nvml_api*.h')):
        for function in describe.read_functions(sorted((root / 'src' / 'api').glob(pattern)), api):
            before = known.get((api, function.id))
            if before is None:
                new.append(f'{api} {function.id} {function.symbol}')
            elif before != function.symbol:
                errors.append(f'id {function.id} was {before}, now it is {function.symbol}')
    moved = {symbol: number for (_, number), symbol in known.items()}
    errors += [f'{line.split()[2]} had id {moved[line.split()[2]]}, now {line.split()[1]}' for line in new if line.split()[2] in moved]
    if '--add' in sys.argv and not errors:
        ledger.write_text('\n'.join(filter(None, lines + new)) + '\n')
    elif new:
        errors.append(f'{len(new)} new ids, first "{new[0]}": run tests/abi/api_ids.py . --add')
    print('\n'.join(errors) or f'{len(known)} ids as they were')
    sys.exit(1 if errors else 0)


if __name__ == '__main__':
    main()
