#!/usr/bin/env python3
"""docs/environment.md from the table PATHS_ENV in src/base/paths.h: `environment.py` writes it, `environment.py --check` fails when
it is not what the table says, or when a VGPU_ variable is read that the table does not have."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/environment.md"
ROW = re.compile(r'X\((VGPU_\w+),\s*((?:"[^"]*"\s*)+),\s*((?:"[^"]*"\s*)+)\)')
READ = re.compile(r'(?:paths_env|getenv)\("(VGPU_\w+)"')


def text_of(literals):
    return "".join(re.findall(r'"([^"]*)"', literals))


def rows():
    source = (ROOT / "src/base/paths.h").read_text().replace("\\\n", " ")
    return [(m[1], text_of(m[2]), text_of(m[3])) for m in ROW.finditer(source)]


def page():
    lines = ["# Environment variables", "",
             "Every variable that vgpu reads. Made from the table in `src/base/paths.h` by `tools/environment.py`; do not edit.", "",
             "| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {default or '(none)'} | {help_text} |" for name, default, help_text in rows()]
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(page())
        return 0
    known = {name for name, _, _ in rows()}
    unknown = sorted({(path.relative_to(ROOT), name) for path in (ROOT / "src").rglob("*.[ch]")
                      for name in READ.findall(path.read_text()) if name not in known})
    for path, name in unknown:
        print(f"{path}: {name} is not in the table of src/base/paths.h")
    stale = not PAGE.exists() or PAGE.read_text() != page()
    if stale:
        print("docs/environment.md is not what the table says: run tools/environment.py")
    return 1 if unknown or stale or not known else 0


sys.exit(main())
