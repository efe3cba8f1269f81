#!/usr/bin/env python3
"""Promise: the protocol of the ledger keeps its invariants in every interleaving of a few processes that may be killed before any store,
nobody waits for anybody, and the model that says so can fail: each protocol with a mistake in it is found wrong.

    check.py [--all]    --all: the big searches too, some minutes
"""
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEMORY_MIB = 3000

# ledger.pml is an operation of the account, shared.pml the life of a shared object on top of such operations.
ACCOUNT, OBJECT = 'ledger.pml', 'shared.pml'

# Room for the hash table of a search to the end.
WIDE = ['-w26']

# What is searched to the end and must hold: name, model, its macros, flags of pan's compiler, of pan.
SAFETY, CYCLES = ['-DSAFETY'], ['-DNP']
HOLD = [
    ('two clients, three operations a slot', ACCOUNT, ['SLOTS=2', 'NUMBERS=3'], SAFETY, []),
    ('16-byte reads in three loads', ACCOUNT, ['SLOTS=2', 'NUMBERS=2', 'TORN'], SAFETY, []),
    ('a limit that rises meanwhile', ACCOUNT, ['SLOTS=2', 'NUMBERS=2', 'RISING'], SAFETY, []),
    ('a helper that reads in another order', ACCOUNT, ['SLOTS=2', 'NUMBERS=2', 'VARIANT_LOOSE_HELPER'], SAFETY, []),
    ('nobody runs for ever, one operation a slot', ACCOUNT, ['SLOTS=2', 'NUMBERS=1'], CYCLES, ['-l']),
    ('an object of two processes, its entry used three times', OBJECT, ['SLOTS=2', 'USES=3'], SAFETY, []),
]
HOLD_BIG = [
    ('three clients, one operation a slot', ACCOUNT, ['SLOTS=3', 'NUMBERS=1', 'ONE_SIZE'], SAFETY + ['-DCOLLAPSE'], []),
    ('nobody runs for ever', ACCOUNT, ['SLOTS=2', 'NUMBERS=2'], CYCLES, ['-l']),
    ('an object of three processes', OBJECT, ['SLOTS=3', 'USES=1'], SAFETY + ['-DCOLLAPSE'], []),
]

# Enough to find each mistake.
SIZES = {ACCOUNT: 'NUMBERS=2', OBJECT: 'USES=2'}

# What must be found wrong: name, model, macro.
FAIL = [
    ('a tag replaced before its row is written', ACCOUNT, 'MUTANT_NO_HELP'),
    ('a reaper that settles nothing first', ACCOUNT, 'MUTANT_REAP_UNSETTLED'),
    ('numbers that begin anew with a new holder', ACCOUNT, 'MUTANT_SEQUENCE_RESET'),
    ('an intent written after the account', ACCOUNT, 'MUTANT_INTENT_LATE'),
    ('a row written without comparing', ACCOUNT, 'MUTANT_ROW_STORE'),
    ('a limit that is looked at once only', ACCOUNT, 'MUTANT_CHECK_ONCE'),
    ('an object given back without settling', OBJECT, 'MUTANT_UNSETTLED'),
    ('an object given back by all who find it unheld', OBJECT, 'MUTANT_NO_CLAIM'),
    ('holders not looked at again', OBJECT, 'MUTANT_NO_RECHECK'),
    ('a joiner that came too late and does not look', OBJECT, 'MUTANT_JOIN_LOOKS_NOT'),
    ('bytes published in the other order', OBJECT, 'MUTANT_ORDER'),
    ('a reaper that ends what has a holder again', OBJECT, 'MUTANT_REAPER_ENDS'),
    ('a dead slot that stays a holder', OBJECT, 'MUTANT_BITS_STAY'),
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
        _, text = run(['./pan', '-m4000000', *pan_flags], folder)
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
    folder = Path(__file__).resolve().parent
    for tool in ('spin', 'gcc'):
        if not shutil.which(tool):
            print(f'skipped: no {tool}')
            sys.exit(77)
    good = True
    for name, model, macros, compiler_flags, pan_flags in HOLD + (HOLD_BIG if '--all' in sys.argv[1:] else []):
        begin = time.monotonic()
        errors, states, text = search(folder / model, macros, compiler_flags, WIDE + pan_flags)
        good &= report(errors == 0, f'holds: {name}', states, time.monotonic() - begin, text)
    for name, model, macro in FAIL:
        begin = time.monotonic()
        errors, states, text = search(folder / model, ['SLOTS=2', SIZES[model], macro], SAFETY + ['-O0'], ['-w20'])
        good &= report(errors > 0, f'found wrong: {name}', states, time.monotonic() - begin, text)
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
