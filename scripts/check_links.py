#!/usr/bin/env python3
"""Checks that links within the documents lead to a file, and to a heading where they name one, and that README.md leads to every page of docs/.

usage: check_links.py [ROOT]      Prints FILE: link for each that does not; exit 1 if there is one.
"""
import pathlib
import re
import sys


def pages(root):
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").glob("*.md")), *sorted((root / "tools").rglob("*.md"))]


def anchors(page):
    """The names that a page's headings have as links."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]


def broken(root):
    for page in pages(root):
        for link in links(page):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                yield f"{page.relative_to(root)}: {link}"
    readme = links(root / "README.md")
    for page in sorted((root / "docs").glob("*.md")):
        if not any(link.partition("#")[0] == f"docs/{page.name}" for link in readme):
            yield f"README.md: no link to docs/{page.name}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    found = list(broken(root))
    print("\n".join(found) if found else "all links lead somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
