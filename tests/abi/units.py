#!/usr/bin/env python3
"""systemd has nothing to say against the unit files. Skipped where systemd-analyze is not installed."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def complaints(unit, directory):
    """What `systemd-analyze verify` says of a copy whose program exists."""
    copy = directory / unit.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    return [line for line in done.stderr.splitlines() if unit.name in line] + ([f"exit status {done.returncode}"] if done.returncode else [])


def main():
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not installed")
        return 77
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for unit in sorted((ROOT / "deploy/systemd").glob("*.service")):
            found += [f"{unit.name}: {line}" for line in complaints(unit, pathlib.Path(directory))]
    print("\n".join(found))
    return 1 if found else 0


sys.exit(main())
