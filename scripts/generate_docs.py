#!/usr/bin/env python3
"""Writes docs/ops.md, docs/passes.md, the tables of docs/coming-from-pytorch.md and the highlighting of tools/editors from what the
compiler says of itself.

usage: generate_docs.py BNC [--check]      With --check, writes nothing; exit 1 if a file differs.
"""
import difflib
import pathlib
import subprocess
import sys

import editor_syntax

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What stands above this line of a page is written by hand and kept.
MARK = "<!-- From here on generated: scripts/generate_docs.py -->\n"


def generated(bnc):
    """Path from the root -> text."""
    def said(option):
        return subprocess.run([bnc, option], check=True, capture_output=True, text=True).stdout

    ops = said("--ops-reference")
    head = (ROOT / "docs/coming-from-pytorch.md").read_text().partition(MARK)[0]
    return {"docs/ops.md": ops, "docs/passes.md": said("--passes-reference"),
            "docs/coming-from-pytorch.md": head + MARK + said("--hints-reference"),
            **editor_syntax.files(ops, (ROOT / "docs/language.md").read_text())}


def main():
    bnc, check = sys.argv[1], "--check" in sys.argv[2:]
    stale = False
    for name, text in generated(bnc).items():
        page = ROOT / name
        old = page.read_text() if page.exists() else ""
        if text == old:
            continue
        if not check:
            page.write_text(text)
            continue
        stale = True
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), name, "generated"))
    if stale:
        print("error: the generated files are out of date: run scripts/generate_docs.py build/bnc")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
