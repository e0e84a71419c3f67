#!/usr/bin/env python3
"""Mistakes of people who come from PyTorch, Keras or Python: what bnc says of each, to the letter, stands in newcomers.txt.

usage: newcomers.py BNC [--update]      With --update, writes what bnc says into newcomers.txt; read the difference.
"""
import pathlib
import shlex
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import read_safetensors, succeed, write_safetensors

BNC = pathlib.Path(sys.argv[1]).resolve()
PAGE = pathlib.Path(__file__).with_suffix(".txt")
LEAST = 40  # mistakes

DEEP = """network deep(x: f32[N, 8]) {
  h = x
  repeat 41 { h = relu(batch_norm(dense(h, 8, bias=false))) }
  return h
}
"""
PYTORCH = {"weight": "weight", "gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}


def make_files(here):
    """The data and weights that the commands of newcomers.txt speak of."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(12, 4)).round(2)
    names = "a,b,c,d,label"

    def table(name, labels):
        lines = [",".join(map(str, [*row, label])) for row, label in zip(rows, labels)]
        (here / name).write_text("\n".join([names, *lines]) + "\n")

    table("classes.csv", ["cat", "dog", "owl"] * 4)
    table("prices.csv", [1.5, 2.25, 3.75] * 4)
    table("from_one.csv", [1, 2, 3] * 4)
    table("many.csv", list(range(12)))
    images = random.random((12, 28, 28, 1), np.float32)
    np.savez(here / "images.npz", x=images, y=np.arange(12) % 3)
    np.savez(here / "planes.npz", x=random.random((12, 3, 8, 6), np.float32), y=np.arange(12) % 3)
    np.savez(here / "one_hot.npz", x=rows.astype(np.float32), y=np.eye(3, dtype=np.float32)[np.arange(12) % 3])
    np.savez(here / "pairs.npz", x=rows.astype(np.float32), y=rows[:, :2].astype(np.float32))
    (here / "deep.bn").write_text(DEEP)
    succeed(BNC, "init", here / "deep.bn", "--seed", 1, "-o", here / "deep.safetensors")
    deep = read_safetensors(here / "deep.safetensors")
    write_safetensors(here / "module.safetensors", {"module." + name: array for name, array in deep.items()})
    pytorch = {}
    for name, array in deep.items():
        layer, _, part = name.partition(".")
        pytorch[f"layers.{layer.rpartition('_')[2]}.{'fc' if 'dense' in layer else 'bn'}.{PYTORCH[part]}"] = array.T
    write_safetensors(here / "pytorch.safetensors", pytorch)
    write_safetensors(here / "turned.safetensors", {"dense_1.weight": np.zeros((3, 4)), "dense_1.bias": np.zeros(3)})


def read_page():
    """[title, source, exit code, command, what it says] of each mistake."""
    mistakes = []
    for part in PAGE.read_text().split("\n=== ")[1:]:
        title, _, rest = part.partition("\n--- net.bn\n")
        source, _, rest = rest.partition("\n--- exit code ")
        code, _, rest = rest.partition(": ")
        command, _, said = rest.partition("\n")
        mistakes.append([title, source + "\n", int(code), command, said.rstrip("\n") + "\n"])
    return mistakes


def write_page(mistakes):
    head = PAGE.read_text().split("\n=== ")[0].rstrip("\n") + "\n"
    parts = [f"\n=== {title}\n--- net.bn\n{source}--- exit code {code}: {command}\n{said}" for title, source, code, command, said in mistakes]
    PAGE.write_text(head + "".join(parts))


def problems_of(mistake, result):
    title, _, code, command, said = mistake
    problems = []
    if result.returncode != code:
        problems.append(f"exit code {result.returncode}, expected {code}")
    if said == "\n":
        problems.append("newcomers.txt does not say what is printed: run with --update")
    elif result.stderr != said:
        problems.append(f"says\n{result.stderr}--- expected\n{said}")
    if "help: " not in result.stderr:
        problems.append("does not say what to do")
    if code == 1 and not any(place in result.stderr for place in ["net.bn:", ".csv", ".npz", ".safetensors"]):
        problems.append("does not say where")
    if result.stderr.count("\n") > 24:
        problems.append("takes more than a screen")
    return problems


def main():
    update = "--update" in sys.argv[2:]
    mistakes = read_page()
    failures = []
    with tempfile.TemporaryDirectory(prefix="bnc_newcomers.") as folder:
        here = pathlib.Path(folder)
        make_files(here)
        for mistake in mistakes:
            (here / "net.bn").write_text(mistake[1])
            words = shlex.split(mistake[3])
            result = subprocess.run([BNC, *words[1:]], cwd=here, capture_output=True, text=True)
            if update:
                mistake[2], mistake[4] = result.returncode, result.stderr
            problems = problems_of(mistake, result)
            print(f"{'FAILED' if problems else 'ok    '} {mistake[0]}")
            if problems:
                failures.append(mistake[0])
                print("\n".join("    " + problem for problem in problems))
    if update:
        write_page(mistakes)
    titles = {mistake[0] for mistake in mistakes}
    if len(titles) != len(mistakes) or len(mistakes) < LEAST:
        failures.append(f"{len(titles)} titles of {len(mistakes)} mistakes; there are at least {LEAST}, each with its own")
    print(f"{len(mistakes)} mistakes, {len(failures)} failures" + "".join(f"\n  {failure}" for failure in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
