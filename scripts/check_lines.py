#!/usr/bin/env python3
"""Checks that no line of C++ has more than 140 characters, but what a raw string holds of another language.

usage: check_lines.py [ROOT]      Prints FILE:LINE for each that has; exit 1 if there is one.
"""
import pathlib
import re
import sys

LONGEST = 140
FOLDERS = ("frontend", "ir", "passes", "codegen", "runtime", "tools", "python", "tests", "examples")
RAW_STRING = re.compile(r'R"([^()\\\s]*)\(.*?\)\1"', re.DOTALL)


def long_lines(text):
    quoted = set()
    for match in RAW_STRING.finditer(text):
        quoted.update(range(text.count("\n", 0, match.start()), text.count("\n", 0, match.end()) + 1))
    return [number + 1 for number, line in enumerate(text.split("\n")) if len(line) > LONGEST and number not in quoted]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.suffix in {".h", ".cpp"}]
    found = [f"{path.relative_to(root)}:{number}: more than {LONGEST} characters" for path in files for number in long_lines(path.read_text())]
    print("\n".join(found) if found else f"no line has more than {LONGEST} characters")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
