#!/usr/bin/env python3
"""Writes a file as a C array: `embed.py NAME INPUT OUTPUT` gives `const char NAME[]` with a final NUL."""
import sys


def main():
    name, source, target = sys.argv[1:]
    with open(source, "rb") as f:
        content = f.read() + b"\0"
    rows = [content[i:i + 20] for i in range(0, len(content), 20)]
    with open(target, "w") as f:
        f.write(f"extern const char {name}[];\nconst char {name}[] = {{\n")
        for row in rows:
            f.write("    " + ", ".join(str(b if b < 128 else b - 256) for b in row) + ",\n")
        f.write("};\n")


main()
