#!/usr/bin/env python3
"""The table of docs/metrics.md from the rows of src/cli/metrics_table.c: `metrics.py` writes it, `metrics.py --check` fails when it is not
what the rows say."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/metrics.md"
TEXT = r'"((?:[^"\\]|\\.)*)"'
ROW = re.compile(rf'ROW\({TEXT}, {TEXT}, (\w+), (\w+), (\w+), {TEXT}\)')
HAMI = re.compile(rf'HAMI\({TEXT}, {TEXT}, (\w+), (\w+), {TEXT}\)')
BEGIN, END = "<!-- made by tools/metrics.py from here -->\n", "<!-- to here -->\n"
SCOPES = {"DAEMON": ("The daemon", "none"), "DEVICE": ("Devices", "`device` (UUID), `name`"),
          "INSTANCE": ("Instances", "`instance_id`, `name`, `owner_uid`"),
          "SHARE": ("Instances, on each of their devices", "those of an instance, and `device`")}
UNITS = {"NUMBER": "", "BYTES": "bytes", "PERMILLE": "thousandths", "PPM": "millionths", "NS": "seconds", "MS": "seconds", "BOOL": "0, 1", "LIST": "",
         "WORD": "label"}


def tables():
    source = (ROOT / "src/cli/metrics_table.c").read_text()
    rows, hami = ROW.findall(source), HAMI.findall(source)
    assert len(rows) == source.count("    ROW(") and len(hami) == source.count("    HAMI("), "a row is not as this script reads it"
    lines = []
    for scope, (title, labels) in SCOPES.items():
        lines += [f"## {title}", "", f"Labels: {labels}.", "", "| metric | type | unit | JSON | what |", "|---|---|---|---|---|"]
        lines += [f"| `{name}` | {'gauge' if kind == 'TEXT' else kind.lower()} | {UNITS[unit]}{f' `{key}`' if kind == 'TEXT' else ''} | `{key}` | {what} |"
                  for name, key, kind, unit, where, what in rows if where == scope]
        lines.append("")
    lines += ["## HAMi's names", "", "With `--hami-names`. An instance stands for a pod and its one container, with an empty namespace.", "",
              "| metric | JSON | what |", "|---|---|---|"]
    lines += [f"| `{name}` | `{key}` | {what} |" for name, key, _, _, what in hami]
    return "\n".join(lines) + "\n"


def main():
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    wanted = before + BEGIN + tables() + END + after
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(wanted)
        return 0
    if page != wanted:
        print("docs/metrics.md is not what src/cli/metrics_table.c says: run tools/metrics.py")
    return int(page != wanted)


sys.exit(main())
