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

DEBIAN = "/usr/share/libonnx-testdata/data"   # package libonnx-testdata


def cases(root, only):
    for kind in (kind for kind in KINDS if (root / kind).is_dir()):
        for folder in sorted((root / kind).iterdir()):
            if (folder / "model.onnx").exists() and only in folder.name:
                yield kind, folder


def tensor_of(onnx, path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return tensor


def array_of(onnx, tensor, value_type):
    """As bnc takes it: floats of any kind in f32, integers in i32."""
    import numpy
    array = onnx.numpy_helper.to_array(tensor)
    if value_type == onnx.TensorProto.BFLOAT16 and array.dtype.kind in "iu":
        array = (array.astype(numpy.uint32) << 16).view(numpy.float32)
    if array.dtype.kind in "iub":
        return array.astype(numpy.int32)
    return array.astype(numpy.float32)


class Case:
    """A model with one data set. With `given` its integer inputs are constants of the model, as shapes and axes mostly are."""

    def __init__(self, onnx, folder, work, given):
        self.model = os.path.join(work, "model.onnx")
        model = onnx.load(folder / "model.onnx", load_external_data=False)
        known = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in known]
        arrays = {}
        # Results of bfloat16 are rounded to three digits, which bnc's are not.
        half = (onnx.TensorProto.BFLOAT16,)
        # Beside integers, the operands that tell how to compute: the second and later ones of these.
        settings = [name for node in model.graph.node if node.op_type in ("Resize", "Upsample", "Pad") for name in node.input[1:]]
        for role, values in (("input", inputs), ("output", list(model.graph.output))):
            for k, value in enumerate(values):
                file = folder / "test_data_set_0" / f"{role}_{k}.pb"
                kind = value.type.tensor_type.elem_type
                if not file.exists() or (role == "output" and kind in half):
                    continue
                tensor = tensor_of(onnx, file)
                if given and role == "input" and (
                        kind in (onnx.TensorProto.INT64, onnx.TensorProto.INT32) or value.name in settings):
                    tensor.name = value.name
                    model.graph.initializer.append(tensor)
                    model.graph.input.remove(value)
                else:
                    arrays[value.name] = array_of(onnx, tensor, kind)
        onnx.save(model, self.model)
        self.sample = os.path.join(work, "sample.npz")
        import numpy
        numpy.savez(self.sample, **arrays)
        # An array called `like` is none to some versions of numpy.savez.
        saved = set(numpy.load(self.sample).files)
        known = {tensor.name for tensor in model.graph.initializer}
        missing = [value.name for value in model.graph.input if value.name not in known and value.name not in saved]
        self.compared = not missing and any(value.name in saved for value in model.graph.output)


def run_once(onnx, bnc, folder, given):
    with tempfile.TemporaryDirectory() as work:
        command = [bnc, "import", folder / "model.onnx", "-o", os.path.join(work, "m.bn"), "--weights", os.path.join(work, "w.safetensors")]
        compared = False
        try:
            case = Case(onnx, folder, work, given)
            command[2] = case.model
            if case.compared:
                command += ["--check", case.sample, "--bound", "1e-3"]   # as ONNX's own tests
                compared = True
        except (ValueError, TypeError, AttributeError, onnx.onnx_cpp2py_export.checker.ValidationError):
            if given:
                return "refused", "its data are no tensors"
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode == 0:
        return ("passed" if compared else "imported"), ""
    first = next((line for line in done.stderr.splitlines() if line), "")
    if done.returncode == 1 and first.startswith("error: ") and "model.onnx: " in first:
        reasons = re.findall(r"^note: (.*)$", done.stderr, re.M)
        return "refused", (reasons or [first])[0]
    return "failed", f"exit {done.returncode}: " + (done.stderr.strip().splitlines() or [""])[-1][:200]


# Cases whose data are not what their model says.
EXCUSED = {
    "test_castlike_BFLOAT16_to_FLOAT": "its input `like` has another shape than the model gives it",
    "test_castlike_BFLOAT16_to_FLOAT_expanded": "its input `like` has another shape than the model gives it",
}


def run_case(onnx, bnc, folder):
    if folder.name in EXCUSED:
        return "excused", EXCUSED[folder.name]
    verdict, why = run_once(onnx, bnc, folder, given=False)
    if verdict != "refused":
        return verdict, why
    again = run_once(onnx, bnc, folder, given=True)
    return again if again[0] != "refused" else (verdict, why)


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
