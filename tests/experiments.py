#!/usr/bin/env python3
"""Short versions of examples/experiments: each ends with what was published and what came out, and draws a plot.

usage: experiments.py BNC      Data: Fashion-MNIST (skipped where it is not installed).
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from harness import ROOT, SKIPPED

BNC = pathlib.Path(sys.argv[1]).resolve()
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_experiments."))
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
SCRIPTS = ["preprocess", "mlp_mnist", "mlp_mnist_frozen", "lenet_mnist"]


def run(script, *words):
    """The figures of the line `ours`."""
    command = [sys.executable, ROOT / f"examples/experiments/{script}.py", "--short", "--bnc", BNC, "--out", HERE, *words]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert result.returncode == 0, f"{script}: exit code {result.returncode}\n{result.stdout}{result.stderr}"
    assert re.search(r"^  published: .+\n  ours: .+$", result.stdout, re.M), result.stdout
    figure = xml.etree.ElementTree.parse(HERE / f"{script}.svg")
    lines = [path.get("d") for path in figure.findall(".//{*}path") if path.get("fill") == "none"]
    assert lines and all("L" in line for line in lines), f"{script}.svg shows nothing"
    return [float(number) for number in re.findall(r"\d+\.\d+", re.search(r"^  ours: .+$", result.stdout, re.M)[0])]


def check_learned(accuracies):
    assert len(accuracies) == 2 and min(accuracies) > 0.7, accuracies


def main():
    if not FASHION_MNIST.is_dir():
        print("skipped: Debian package dataset-fashion-mnist is not installed")
        return SKIPPED
    for script in SCRIPTS:
        figures = run(script)
        if script == "mlp_mnist":
            check_learned(figures)
            assert figures == run(script, "--resume"), "a finished run that is resumed ends elsewhere"
    return 0


if __name__ == "__main__":
    sys.exit(main())
