#!/usr/bin/env python3
"""Runs ONNX's backend tests through `bnc import`: each model with its inputs and the outputs that it must have.

    onnx_backend.py BNC [--data FOLDER] [--only TEXT] [--list FILE]

A case passes, is refused by one error that names its nodes, or fails: a wrong number, another exit code than 0 or 1, an error of another
kind. Needs the Python package onnx; says so and exits 77 where it is not there.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")

DEBIAN = "/usr/include/onnx/backend/test/data"   # package libonnx-testdata


def cases(root, only):
    for kind in (kind for kind in KINDS if (root / kind).is_dir()):
        for folder in sorted((root / kind).iterdir()):
            if (folder / "model.onnx").exists() and only in folder.name:
                yield kind, folder


def tensor_of(onnx, path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return onnx.numpy_helper.to_array(tensor)


def write_sample(onnx, folder, path):
    """The first data set of a case as an .npz, by the names of the model."""
    import numpy
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in given]
    outputs = [value.name for value in model.graph.output]
    arrays = {}
    data = folder / "test_data_set_0"
    for role, names in (("input", inputs), ("output", outputs)):
        for k, name in enumerate(names):
            file = data / f"{role}_{k}.pb"
            if not file.exists():
                continue
            array = tensor_of(onnx, file)
            if array.dtype.kind == "f":
                array = array.astype(numpy.float32)
            elif array.dtype.kind in "iub":
                array = array.astype(numpy.int32)
            arrays[name] = array
    numpy.savez(path, **arrays)


def run_case(onnx, bnc, folder):
    with tempfile.TemporaryDirectory() as work:
        sample = os.path.join(work, "sample.npz")
        try:
            write_sample(onnx, folder, sample)
        except Exception as error:  # a data set of sequences or strings
            sample = None
        command = [bnc, "import", folder / "model.onnx", "-o", os.path.join(work, "m.bn"), "--weights", os.path.join(work, "w.safetensors")]
        if sample:
            command += ["--check", sample]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    text = done.stderr
    if done.returncode == 0:
        return ("passed" if sample else "imported"), ""
    first = next((line for line in text.splitlines() if line), "")
    if done.returncode == 1 and first.startswith("error: ") and "model.onnx: " in first:
        reasons = re.findall(r"^note: (.*)$", text, re.M)
        return "refused", (reasons or [first])[0]
    return "failed", f"exit {done.returncode}: " + (text.strip().splitlines() or [""])[-1][:200]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bnc")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--data", default=DEBIAN, help="the folder with `node`, `simple` and so on")
    parser.add_argument("--list", help="write a line for each case to this file")
    arguments = parser.parse_args()
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        print("skipped: the Python package onnx is not there")
        return 77
    root = pathlib.Path(arguments.data)
    if not root.is_dir():
        print("skipped: ONNX's test cases are not there (Debian's libonnx-testdata, or `--data FOLDER`)")
        return 77
    counts = collections.Counter()
    lines = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(cases(root, arguments.only))
        results = pool.map(lambda case: run_case(onnx, arguments.bnc, case[1]), found)
        for (kind, folder), (verdict, why) in zip(found, results):
            counts[verdict] += 1
            lines.append(f"{verdict:9} {kind:18} {folder.name:60} {why}")
    if arguments.list:
        pathlib.Path(arguments.list).write_text("\n".join(lines) + "\n")
    for line in lines:
        if line.startswith("failed"):
            print(line)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
