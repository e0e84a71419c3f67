"""A wheel in a fresh environment: BNC_WHEEL=bnc-*.whl, else skipped. pip fetches numpy for it."""
import os
import pathlib
import re
import subprocess
import sys
import venv
import zipfile

import pytest

WHEEL = os.environ.get("BNC_WHEEL")
pytestmark = pytest.mark.skipif(not WHEEL, reason="BNC_WHEEL names no wheel (scripts/build-wheel makes one)")
ROOT = pathlib.Path(__file__).resolve().parents[2]
# What every Linux with Python has; all else is in the wheel.
SYSTEM = re.compile(r"^(linux-vdso|ld-linux-x86-64|lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s))\.so|^/lib64/ld-linux")
LINES = """import numpy, bnc
program = bnc.load({model!r}).compile(batch=1)
print(program(numpy.ones((1, 784), numpy.float32)).shape, bnc.__file__)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", WHEEL], check=True, env=environment)
    return python


def run(*command):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd="/").stdout


def test_three_lines(python):
    printed = run(python, "-c", LINES.format(model=str(ROOT / "examples/mnist_mlp.bn")))
    assert "(1, 10)" in printed and str(python.parent.parent) in printed


def test_it_needs_no_library_of_the_system(python):
    package = pathlib.Path(run(python, "-c", "import bnc; print(bnc.__file__)").strip()).parent
    for line in run("ldd", next(package.glob("_native*.so"))).splitlines():
        name, _, place = line.strip().partition(" => ")
        assert SYSTEM.match(name.split()[0]) or str(package / "lib") in place, line


def test_it_shows_no_names_of_llvm(python):
    package = pathlib.Path(run(python, "-c", "import bnc; print(bnc.__file__)").strip()).parent
    symbols = run("nm", "-D", "--defined-only", next(package.glob("_native*.so"))).split()
    assert [name for name in symbols if not re.fullmatch(r"[0-9a-f]+|[A-Za-z]", name)] == ["PyInit__native"]


def test_it_is_small_and_says_what_is_in_it():
    assert os.path.getsize(WHEEL) < 80e6
    names = zipfile.ZipFile(WHEEL).namelist()
    assert "bnc/py.typed" in names and "bnc/_native.pyi" in names
    assert any(name.startswith("bnc/licenses/llvm") for name in names) and any(name.endswith("LICENSE") for name in names)
    assert f"-cp{sys.version_info[0]}{sys.version_info[1]}-" in os.path.basename(WHEEL)
