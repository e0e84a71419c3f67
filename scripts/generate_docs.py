#!/usr/bin/env python3
"""Writes docs/ops.md and docs/passes.md from what the compiler says of itself.

usage: generate_docs.py BNC [--check]      With --check, writes nothing; exit 1 if a file differs.
"""
import difflib
import pathlib
import subprocess
import sys

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
PAGES = {"ops.md": "--ops-reference", "passes.md": "--passes-reference"}


def main():
    bnc, check = sys.argv[1], "--check" in sys.argv[2:]
    stale = False
    for name, option in PAGES.items():
        text = subprocess.run([bnc, option], check=True, capture_output=True, text=True).stdout
        page = DOCS / name
        old = page.read_text() if page.exists() else ""
        if text == old:
            continue
        if not check:
            page.write_text(text)
            continue
        stale = True
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), f"docs/{name}", "generated"))
    if stale:
        print("error: the generated pages are out of date: run scripts/generate_docs.py build/bnc")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
