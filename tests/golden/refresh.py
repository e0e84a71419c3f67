#!/usr/bin/env python3
"""Rewrites the CHECK lines of golden tests from what bnc prints now; read the difference before committing it.

    tests/golden/refresh.py build/bnc tests/golden/passes/freeze/*.bn

Takes files whose last RUN line is `bnc ... | FileCheck %s`, or `not bnc ... 2>&1 | FileCheck %s`; the RUN lines before
it are run first.
"""
import pathlib
import re
import subprocess
import sys
import tempfile


def printed(bnc, path, folder):
    """What the last RUN line pipes into FileCheck."""
    commands = re.findall(r"^# RUN: (.*)$", path.read_text(), re.M)
    for place, command in enumerate(commands):
        command = re.sub(r"\bbnc\b", str(bnc), command.replace("%s", str(path)).replace("%t", f"{folder}/t"), count=1)
        if place + 1 < len(commands):
            subprocess.run(command, shell=True, check=True)
            continue
        command, pipe, _ = command.partition(" | FileCheck")
        if not pipe:
            sys.exit(f"{path}: the last RUN line does not end in FileCheck")
        return subprocess.run(command.removeprefix("not "), shell=True, capture_output=True, text=True).stdout


def check_lines(text, path):
    """The first network of a graph; a diagnostic whole, its folder aside."""
    lines = text.splitlines()
    if "}" in lines:
        lines = lines[:lines.index("}") + 1]
    else:
        lines = [line.replace(str(path), f"{{{{.*}}}}{path.name}") for line in lines]
    return [f"# CHECK{'-NEXT: ' if place else ':      '}{line}".rstrip() for place, line in enumerate(lines)]


def main():
    bnc = pathlib.Path(sys.argv[1]).resolve()
    for name in sys.argv[2:]:
        path = pathlib.Path(name)
        with tempfile.TemporaryDirectory() as folder:
            checks = check_lines(printed(bnc, path, folder), path)
        kept = [line for line in path.read_text().splitlines() if not line.startswith("# CHECK")]
        path.write_text("\n".join(kept + checks) + "\n")


if __name__ == "__main__":
    main()
