#!/usr/bin/env python3
"""What the documents name exists: every `src/...` path and every relative link in README and docs."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATH = re.compile(r"`((?:src|tests|tools|bench|docs|examples|deploy)/[A-Za-z0-9_./-]+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def main():
    problems, count = [], 0
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text()
        named = [(name, ROOT / name) for name in PATH.findall(text)] + [(name, page.parent / name) for name in LINK.findall(text)]
        for name, target in named:
            count += 1
            if not target.exists() and not target.with_suffix(".c").exists():
                problems.append(f"{page.relative_to(ROOT)}: {name} does not exist")
    print("\n".join(problems) or f"{count} paths and links, all there")
    return 1 if problems or not count else 0


sys.exit(main())
