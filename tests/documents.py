#!/usr/bin/env python3
"""Runs what a page shows, block after block, so that it stays true.

usage: documents.py BNC PAGE ...      as README.md, docs/architecture.md; trainings are cut to BNC_README_STEPS steps (default 200)

    ```sh             every command is run, continuation lines joined
    ```console        lines `$ COMMAND` are run, what follows is what they print; `...` stands for any number of lines, in a line for any text;
                      a command that is shown to print `error: ` must fail
    ```bn, c, cpp     goes through the compiler of its language
    ```LANGUAGE NAME  is written to a file of that name too, for the blocks behind it

Commands run in a folder of their own that looks like the repository's root after a build, where `bnc` is found as `build/bnc` and as `bnc`.
"""
import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import ROOT

BNC = pathlib.Path(sys.argv[1]).resolve()
STEPS = os.environ.get("BNC_README_STEPS", "200")
# Commands that run this very test, or would build under its feet: only their syntax is checked.
SYNTAX_ONLY = ("scripts/test.sh", "scripts/build.sh", "scripts/install-dependencies", "git clone", "cmake ", "cd ")


def blocks(page):
    """Language, file name or nothing, text of each block."""
    return re.findall(r"^```(\w+)(?: ([\w./-]+))?\n(.*?)^```$", page.read_text(), re.M | re.S)


def commands(block):
    """The lines of a shell block, continuation lines joined, comments dropped."""
    for line in block.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line:
            yield line


def shortened(command):
    return re.sub(r"--(epochs|steps) \d+", f"--steps {STEPS}", command)


def check_syntax(command, here):
    script = here / command.split()[0]
    if script.exists():
        assert os.access(script, os.X_OK), f"{script} is not executable"
        subprocess.run(["bash", "-n", str(script)], check=True)


def run(command, here, fails=False):
    """What the command prints, on both streams."""
    print("$", command, flush=True)
    environment = {**os.environ, "BNC_BUILD": str(BNC.parent), "BNC_QUICKSTART_STEPS": STEPS, "BNC_QUICKSTART_OUT": str(here / "quickstart"),
                   "PATH": os.pathsep.join([str(BNC.parent), os.environ["PATH"]])}
    result = subprocess.run(shortened(command), shell=True, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if (result.returncode != 0) != fails:
        sys.exit(f"FAILED with exit code {result.returncode}:\n{result.stdout}")
    return result.stdout


def run_shell(block, here):
    for command in commands(block):
        if command.startswith(SYNTAX_ONLY):
            check_syntax(command, here)
        else:
            run(command, here)


def agrees(shown, printed):
    """Whether the lines shown, with their gaps, are the lines printed."""
    pattern = "".join("(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()).replace(r"\.\.\.", ".*") + "[ \t]*\n" for line in shown)
    return re.fullmatch(pattern, "".join(line + "\n" for line in printed)) is not None


def run_console(block, here):
    for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.M)[1:]:
        command, *shown = part.rstrip("\n").splitlines()
        while shown and not shown[-1].strip():
            shown.pop()
        printed = run(command, here, any(line.startswith("error: ") for line in shown)).splitlines()
        if not agrees(shown, printed):
            sys.exit("FAILED: the page shows something else:\n" + "\n".join(difflib.unified_diff(shown, printed, "shown", "printed", lineterm="")))


def compile_block(language, path, here):
    print(f"{language} block {path.name}", flush=True)
    if language == "bn":
        subprocess.run([BNC, "compile", path, "--emit", "graph"], check=True, stdout=subprocess.DEVNULL)
    elif language == "cpp":
        subprocess.run(["c++", "-std=c++20", "-fsyntax-only", "-I", ROOT / "runtime/include", path], check=True)
    elif language == "c":
        subprocess.run(["cc", "-std=c11", "-fsyntax-only", "-I", here, "-I", here / "quickstart", path], check=True)


def check_page(page):
    here = pathlib.Path(tempfile.mkdtemp(prefix="bnc_documents."))
    found = blocks(page)
    assert found, f"{page} shows nothing to run"
    try:
        for entry in ("examples", "scripts", "docs", "bench", "tests"):
            (here / entry).symlink_to(ROOT / entry)
        (here / "build").symlink_to(BNC.parent)
        for number, (language, name, block) in enumerate(found, 1):
            path = here / (name or f"block_{number}.{language}")
            if language == "sh":
                run_shell(block, here)
            elif language == "console":
                run_console(block, here)
            elif name or language in ("bn", "c", "cpp"):
                path.write_text(block)
                compile_block(language, path, here)
    finally:
        shutil.rmtree(here)


if __name__ == "__main__":
    for page in sys.argv[2:]:
        print(f"== {page}", flush=True)
        check_page(ROOT / page)
