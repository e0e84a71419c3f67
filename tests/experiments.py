#!/usr/bin/env python3
"""The short versions of examples/experiments: each ends with what was published and what came out, and draws a plot.

usage: experiments.py BNC      Data: Fashion-MNIST (skipped where it is not installed), and images made up in CIFAR-10's format.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import numpy as np
from harness import ROOT, SKIPPED

BNC = pathlib.Path(sys.argv[1]).resolve()
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_experiments."))
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
SCRIPTS = ["preprocess", "mlp_mnist", "mlp_mnist_frozen", "lenet_mnist", "recurrent", "steps_to_accuracy"]


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


def make_cifar(folder, random):
    folder.mkdir()
    for name, count in (("data_batch_1.bin", 192), ("test_batch.bin", 100)):
        labels = random.integers(0, 10, (count, 1), dtype=np.uint8)
        pixels = np.clip(random.normal(20 + 20 * labels, 30, (count, 3072)), 0, 255).astype(np.uint8)
        (folder / name).write_bytes(np.concatenate([labels, pixels], axis=1).tobytes())


def main():
    if not FASHION_MNIST.is_dir():
        print("skipped: Debian package dataset-fashion-mnist is not installed")
        return SKIPPED
    make_cifar(HERE / "cifar", np.random.default_rng(3))
    assert len(run("all_cnn_cifar", "--data", HERE / "cifar")) >= 9
    for script in SCRIPTS:
        figures = run(script)
        if script == "mlp_mnist":
            check_learned(figures)
            assert figures == run(script, "--resume"), "a finished run that is resumed ends elsewhere"
    return 0


if __name__ == "__main__":
    sys.exit(main())
