#!/usr/bin/env python3
"""Promise: the protocol of the ledger keeps its invariants in every interleaving of a few processes that may be killed before any store,
nobody waits for anybody, and the model that says so can fail: each protocol with a mistake in it is found wrong.

    check.py [SOURCE OF THE MODEL]
"""
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEMORY_MIB = 2000

# What is searched to the end and must hold: name, macros of the model, flags of pan's compiler, of pan.
SAFETY, CYCLES = ['-DSAFETY'], ['-DNP']
HOLD = [
    ('two clients, three operations a slot', ['SLOTS=2', 'NUMBERS=3'], SAFETY, []),
    ('three clients, one operation a slot', ['SLOTS=3', 'NUMBERS=1', 'ONE_SIZE'], SAFETY + ['-DCOLLAPSE'], []),
    ('16-byte reads in three loads', ['SLOTS=2', 'NUMBERS=2', 'TORN'], SAFETY, []),
    ('a limit that rises meanwhile', ['SLOTS=2', 'NUMBERS=2', 'RISING'], SAFETY, []),
    ('a helper that reads in another order', ['SLOTS=2', 'NUMBERS=2', 'VARIANT_LOOSE_HELPER'], SAFETY, []),
    ('nobody runs for ever', ['SLOTS=2', 'NUMBERS=2'], CYCLES, ['-l']),
]

# What must be found wrong: name, macro.
FAIL = [
    ('a tag replaced before its row is written', 'MUTANT_NO_HELP'),
    ('a reaper that settles nothing first', 'MUTANT_REAP_UNSETTLED'),
    ('numbers that begin anew with a new holder', 'MUTANT_SEQUENCE_RESET'),
    ('an intent written after the account', 'MUTANT_INTENT_LATE'),
    ('a row written without comparing', 'MUTANT_ROW_STORE'),
    ('a limit that is looked at once only', 'MUTANT_CHECK_ONCE'),
]


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def search(model, macros, compiler_flags, pan_flags):
    """Errors found, states, text. Raises when the search could not be done, or not to its end."""
    with tempfile.TemporaryDirectory() as folder:
        for command in (['spin', '-a', *(f'-D{m}' for m in macros), str(model)],
                        ['gcc', '-O2', '-w', f'-DMEMLIM={MEMORY_MIB}', *compiler_flags, '-o', 'pan', 'pan.c']):
            status, text = run(command, folder)
            if status:
                raise RuntimeError(f'{command[0]} failed:\n{text}')
        _, text = run(['./pan', '-m4000000', '-w26', *pan_flags], folder)
    errors = re.search(r'errors: (\d+)', text)
    states = re.search(r'(\d+) states, stored', text)
    if not errors or not states:
        raise RuntimeError(f'pan said nothing of states:\n{text}')
    cut = re.search(r'.*(MEMLIM bound|max search depth too small|Search not completed).*', text)
    if cut and errors[1] == '0':
        raise RuntimeError(f'the search did not come to its end: {cut[0]}')
    return int(errors[1]), int(states[1]), text


def report(good, what, states, seconds, text):
    print(f'{"ok" if good else "not ok"}: {what} ({states} states, {seconds:.0f} s)', flush=True)
    if not good:
        print(text)
    return good


def main():
    model = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / 'ledger.pml').resolve()
    for tool in ('spin', 'gcc'):
        if not shutil.which(tool):
            print(f'skipped: no {tool}')
            sys.exit(77)
    good = True
    for name, macros, compiler_flags, pan_flags in HOLD:
        begin = time.monotonic()
        errors, states, text = search(model, macros, compiler_flags, pan_flags)
        good &= report(errors == 0, f'holds: {name}', states, time.monotonic() - begin, text)
    for name, macro in FAIL:
        begin = time.monotonic()
        errors, states, text = search(model, ['SLOTS=2', 'NUMBERS=2', macro], SAFETY, [])
        good &= report(errors > 0, f'found wrong: {name}', states, time.monotonic() - begin, text)
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
