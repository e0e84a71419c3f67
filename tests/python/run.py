#!/usr/bin/env python3
"""Runs pytest over this folder with the package of a build folder.

usage: run.py BNC [PYTEST_OPTION ...]      exit code 77 where the package is not built, or pytest or numpy is missing
"""
import importlib.util
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77


def main():
    package = pathlib.Path(sys.argv[1]).resolve().parent / "python"
    missing = [name for name in ("pytest", "numpy") if importlib.util.find_spec(name) is None]
    if not list(package.glob("bnc/_native*.so")):
        print(f"skipped: {package} holds no package (CMake option BNC_PYTHON_MODULE)")
        return SKIPPED
    if missing:
        print(f"skipped: {sys.executable} has no {' and no '.join(missing)}")
        return SKIPPED
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *sys.argv[2:], str(HERE)]
    return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
