#!/usr/bin/env python3
"""Runs what README.md shows: every command of its `sh` blocks, in order, every `bn` block through the compiler, every
`cpp` and `c` block through the C++ or C compiler.

usage: readme_commands.py BNC      Trainings are cut to BNC_README_STEPS steps (default 200).
Commands run in a folder of their own that looks like the repository's root after a build.
"""
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


def blocks():
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)


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


def run_shell(block, here):
    environment = {**os.environ, "BNC_BUILD": str(BNC.parent), "BNC_QUICKSTART_STEPS": STEPS, "BNC_QUICKSTART_OUT": str(here / "quickstart")}
    for command in commands(block):
        print("$", command, flush=True)
        if command.startswith(SYNTAX_ONLY):
            check_syntax(command, here)
            continue
        result = subprocess.run(shortened(command), shell=True, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            sys.exit(f"FAILED with exit code {result.returncode}:\n{result.stdout}")


def compile_block(language, block, here, number):
    print(f"{language} block {number}", flush=True)
    path = here / f"block_{number}.{language}"
    path.write_text(block)
    if language == "bn":
        subprocess.run([BNC, "compile", path, "--emit", "graph"], check=True, stdout=subprocess.DEVNULL)
    elif language == "cpp":
        subprocess.run(["c++", "-std=c++20", "-fsyntax-only", "-I", ROOT / "runtime/include", path], check=True)
    elif language == "c":
        subprocess.run(["cc", "-std=c11", "-fsyntax-only", "-I", here, "-I", here / "quickstart", path], check=True)


def main():
    here = pathlib.Path(tempfile.mkdtemp(prefix="bnc_readme."))
    try:
        for entry in ("examples", "scripts", "docs", "bench"):
            (here / entry).symlink_to(ROOT / entry)
        (here / "build").symlink_to(BNC.parent)
        for number, (language, block) in enumerate(blocks(), 1):
            if language == "sh":
                run_shell(block, here)
            else:
                compile_block(language, block, here, number)
    finally:
        shutil.rmtree(here)


if __name__ == "__main__":
    main()
