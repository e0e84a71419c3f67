"""docs/python.md: its Python is run from top to bottom, and prints what the page shows; `...` stands for any text."""
import contextlib
import io
import pathlib
import re
import shutil

import pytest

pytest.importorskip("bnc")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks(page):
    return re.findall(r"^```(\w+)(?: ([\w./-]+))?\n(.*?)^```$", page.read_text(), re.M | re.S)


def agrees(shown, printed):
    pattern = "".join("(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()).replace(r"\.\.\.", ".*") + "[ \t]*\n"
                      for line in shown.splitlines())
    return re.fullmatch(pattern, printed) is not None


def test_the_page_is_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    names, printed, run = {}, "", 0
    for language, name, text in blocks(ROOT / "docs/python.md"):
        if name:
            (tmp_path / name).write_text(text)
        elif language == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(text, "docs/python.md", "exec"), names)
            printed, run = output.getvalue(), run + 1
        elif language == "text":
            assert agrees(text, printed), f"the page shows\n{text}\nbut this is printed\n{printed}"
    assert run > 5
