#!/usr/bin/env python3
"""Promise: what cuGetProcAddress answers is the driver's own pointer wherever we do not hook, under a limit too, by address; where we
hook, it is the driver's own with no limit, and our function of just that version under one. So it is with a driver as old as our
description, with an older one, which lacks functions, and with a newer one, which has names and versions that we do not know: those are
passed, but for what looks like an allocation or a launch under a limit: that is refused with one line that names it.

    lookups.py SOURCE_ROOT PROGRAM SHIM RECORDING_DRIVER OLDER NEWER
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
SHOWN_MAX = 20
NOT_SUPPORTED = 801
NEWER = {"cuTomorrow", "cuMemAllocTomorrow", "cuLaunchTomorrow", "cuTomorrowImportMemory", "cuMemAlloc", "cuStreamQuery"}
# Of the newer driver's: what is refused under a limit, by the symbol that the driver answers.
DOORS = {"cuMemAllocTomorrow", "cuLaunchTomorrow", "cuTomorrowImportMemory", "cuMemAlloc_v9"}
MEMORY_DOORS = {"alloc", "context", "module", "import", "graph"}
# A limit of which nobody says how high it is: enough for the answers, which do not depend on that.
LIMIT = {"VGPU_INSTANCE": "lookups", "VGPU_SOCKET": "/nonexistent/vgpud.sock"}


def description(root):
    sys.path.insert(0, str(root / "src" / "api"))
    from gen import describe
    functions = describe.read_functions(sorted((root / "src" / "api").glob("cuda_api*.h")), "CU")
    hooks_path = root / "src" / "shim" / "hooks.txt"
    return describe.make_entries(functions, describe.read_hooks(hooks_path), hooks_path)


class Check:
    def __init__(self):
        self.failed = 0

    def that(self, good, what):
        if not good:
            self.failed += 1
            if self.failed <= SHOWN_MAX:
                print(f"not ok: {what}")


def run(program, library, driver, questions, env):
    env = {k: v for k, v in os.environ.items() if not k.startswith("VGPU_") and k != "LD_PRELOAD"} | env
    env["LD_LIBRARY_PATH"] = str(library.parent)
    done = subprocess.run([str(program), str(driver), str(questions)], env=env, capture_output=True, timeout=60)
    if done.returncode:
        sys.exit(f"not ok: with {library} the program ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout.decode(errors="replace").splitlines(), done.stderr.decode(errors="replace").splitlines()


def answers_of(lines):
    """By question, in one line each: (v1 or v2, question, answer)."""
    return [(line[:2], *line[3:].split(": ", 1)) for line in lines if line.startswith(("v1 ", "v2 "))]


def limited(native, hooked, closed):
    """What a native answer becomes under a limit."""
    code, symbol = re.match(r"(\d+) driver's (\S+)", native.replace(",", " ,")).groups()
    if symbol in DOORS or symbol in closed:
        status, without = " nothing, status 1, without a status 500 nothing", "500 nothing"
        return f"0{status}" if "status" in native else without
    return native.replace(f"driver's {symbol}", f"ours {symbol}") if symbol in hooked else native


def compare(check, age, way, native, ours, expected):
    theirs = {(v, q): a for v, q, a in answers_of(native)}
    got = {(v, q): a for v, q, a in answers_of(ours)}
    for question, answer in theirs.items():
        want = expected(answer) if "driver's" in answer else answer
        check.that(got.get(question) == want, f"{age} driver, {way}: {' '.join(question)}: {got.get(question)}, expected {want}")
    return len(theirs)


def check_age(check, age, program, shim, driver, questions, entries):
    env = {"VGPU_DRIVER_DIR": str(driver.parent)}
    hooked = {e.symbol for e in entries if e.hooked}
    closed = {e.symbol for e in entries if not e.function.typed and e.function.marks.get("memory") in MEMORY_DOORS}
    native, said = run(program, driver, driver, questions, {})
    check.that(not said, f"{age} driver by itself: {said}")
    free, said = run(program, shim, driver, questions, env)
    check.that(not said, f"{age} driver, no limit: something was said: {said[:3]}")
    count = compare(check, age, "no limit", native, free, lambda answer: answer)
    under, said = run(program, shim, driver, questions, env | LIMIT)
    compare(check, age, "a limit", native, under, lambda answer: limited(answer, hooked, closed))
    rest = [[line for line in lines if line.startswith("no place")] for lines in (native, free, under)]
    check.that(all(rest[0] == other[:len(rest[0])] for other in rest), f"{age} driver: {rest}")
    return count, native, free, said


def main():
    root, program, shim, same, older, newer = (Path(p).resolve() for p in sys.argv[1:7])
    entries, check = description(root), Check()
    with tempfile.TemporaryDirectory() as folder:
        questions = Path(folder) / "questions"
        rows = {(v, e.function.name) for e in entries if e.since for v in (e.since - 1, e.since, 11040, 12000, 99000)}
        rows |= {(v, name) for name in NEWER | {"cuNothing", "cuMemAllocNothing"} for v in (13000, 14000)}
        questions.write_text("".join(f"{version} {name}\n" for version, name in sorted(rows)))
        counts = {}
        for age, driver in (("same", same), ("older", older), ("newer", newer)):
            counts[age], native, free, said = check_age(check, age, program, shim, driver, questions, entries)
            missing = dict(re.match(r"missing (\S+): (\d+)", line).groups() for line in free if line.startswith("missing"))
            check.that(all(int(code) == NOT_SUPPORTED for code in missing.values()), f"{age}: calls of missing functions: {missing}")
            check.that(bool(missing) == (age == "older"), f"{age}: {len(missing)} functions missing")
            refused = [line for line in said if "newer than vgpu knows" in line]
            named = {word for line in refused for word in line.split() if word.startswith("cu")}
            want = {"cuMemAllocTomorrow", "cuLaunchTomorrow", "cuTomorrowImportMemory", "cuMemAlloc"} if age == "newer" else set()
            check.that(named == want, f"{age}: refusals name {named}")
            print(f"{age} driver: {counts[age]} answers, {len(missing)} functions missing, {len(named)} newer ones refused under a limit")
    check.that(all(counts.values()), "the program asks nothing")
    sys.exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()
