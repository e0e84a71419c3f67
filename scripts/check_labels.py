#!/usr/bin/env python3
"""Checks that every batch-norm label that code, tests and pages cite (bn-train, ...) is stated in docs/batch-norm.md.

usage: check_labels.py [ROOT]      Prints FILE:LINE for each label that is not; exit 1 if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
FOLDERS = ["ir", "frontend", "passes", "codegen", "runtime", "tools", "tests", "docs", "examples"]
LABEL = re.compile(r"(?<![\w-])bn-[a-z]+(?:-[a-z]+)*(?!-?[\w])")


def main():
    stated = set(re.findall(r"^\*\*(bn-[a-z-]+)\*\*", (ROOT / "docs/batch-norm.md").read_text(), re.M))
    unknown = []
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))):
        if path.suffix in {".h", ".cpp", ".py", ".md", ".bn", ".test"}:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                unknown += [f"{path.relative_to(ROOT)}:{number}: error: {label} is not stated in docs/batch-norm.md"
                            for label in LABEL.findall(line) if label not in stated]
    print("\n".join(unknown) if unknown else f"every label cited is one of the {len(stated)} stated")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
