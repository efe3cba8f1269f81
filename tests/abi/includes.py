#!/usr/bin/env python3
"""Holds the arrows between rooms: every `#include "room/..."` under src/ must be one that the table in
docs/architecture.md allows. Also: every include names its room, and no room reaches a file that does not exist."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `src/([a-z]+)/` \|[^|]*\|([^|]*)\|$")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def allowed_from_docs():
    rooms = {}
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        match = ROW.match(line)
        if match:
            rooms[match[1]] = {word for word in match[2].replace(",", " ").split()}
    return rooms


def main():
    rooms = allowed_from_docs()
    built = [pathlib.Path(p) for p in sys.argv[1:]]
    problems = []
    count = 0
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        room = path.relative_to(ROOT / "src").parts[0]
        if room not in rooms:
            problems.append(f"{path}: room '{room}' has no row in docs/architecture.md")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            count += 1
            where = f"{path.relative_to(ROOT)}:{number}"
            target = match[1].split("/")[0]
            if "/" not in match[1]:
                # api's installed headers name each other without the room, as cuda.h's readers expect.
                if not (room == "api" and (path.parent / match[1]).exists()) and not match[1].startswith("cuda_names"):
                    problems.append(f"{where}: \"{match[1]}\" does not name its room")
            elif target not in rooms:
                problems.append(f"{where}: there is no room '{target}'")
            elif target != room and target not in rooms[room]:
                problems.append(f"{where}: {room} may not use {target}")
            elif not (ROOT / "src" / match[1]).exists() and not any((d / match[1]).exists() for d in built):
                problems.append(f"{where}: \"{match[1]}\" does not exist")
    print("\n".join(problems) or f"{count} includes, all allowed")
    return 1 if problems or not count else 0


sys.exit(main())
