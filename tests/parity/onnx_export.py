#!/usr/bin/env python3
"""What `bnc export` writes, checked by onnx and run by ONNX Runtime, against `bnc run` on the same weights and inputs.

usage: onnx_export.py BNC [--random N] [--first SEED] [--keep DIR] [EXAMPLE ...]      Exit code 77 where onnx or ONNX Runtime is missing.
The example networks, and random ones that bnc-fuzz beside BNC prints; each trainable and frozen. Differences are relative to the largest
number of an output.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import ROOT, SKIPPED, call, read_safetensors, succeed, write_safetensors

try:
    import onnx
    import onnxruntime
except ImportError as error:
    print(f"skipped: {error} (pip install onnx onnxruntime)")
    sys.exit(SKIPPED)

TOLERANCE = 1e-4
LARGE = {"resnet50", "mobilenet_v2"}   # one image
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.bn"))
REFUSAL = re.compile(r"error: network `\w+` cannot be said in ONNX: \d+ of its nodes ha(s|ve) no counterpart")
onnxruntime.set_default_logger_severity(3)


class Failure(Exception):
    pass


def arrays_of(model, batch, seed, positive):
    """An array for each input, by name; a dimension is a number, the batch symbol or a multiple of it."""
    random, arrays = np.random.default_rng(seed), {}
    for value in model.graph.input:
        dims = []
        for dim in value.type.tensor_type.shape.dim:
            factor = re.fullmatch(r"(?:(\d+)\*)?\w+", dim.dim_param)
            dims.append(int(factor.group(1) or 1) * batch if factor else dim.dim_value)
        is_float = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        numbers = random.uniform(0.1, 1, dims) if positive else random.standard_normal(dims)
        arrays[value.name] = numbers.astype(np.float32) if is_float else random.integers(0, 3, dims).astype(np.int32)
    return arrays


def transposes(model):
    """How often a tensor that depends on the input is transposed."""
    return sum(node.op_type == "Transpose" for node in model.graph.node)


def difference(ours, theirs):
    if ours.shape != theirs.shape:
        raise Failure(f"shapes {ours.shape} and {theirs.shape}")
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    if not np.isfinite(theirs).all():
        raise Failure("not finite")
    return float(np.abs(ours - theirs).max(initial=0) / max(np.abs(ours).max(initial=0), 1e-6))


def run_ours(bnc, network, weights, folder, arrays):
    """bnc's outputs, in their order; none where it takes no inference of the network."""
    np.savez(folder / "in.npz", **arrays)
    result = call(bnc, "run", network, "--weights", weights, "--input", folder / "in.npz", "--output", folder / "out.npz")
    return list(np.load(folder / "out.npz").items()) if result.returncode == 0 else None


def check(bnc, network, weights, folder, batch, seed, frozen):
    """Exports, checks, runs both. What became of it (`same`, `refused`, `not run` by bnc itself, `not finite`), then the largest difference
    and the model, or what was said."""
    path = folder / "m.onnx"
    result = call(bnc, "export", network, "--weights", weights, "-o", path, *["--frozen"] * frozen)
    if result.returncode == 1 and REFUSAL.search(result.stderr):
        return "refused", result.stderr
    if result.returncode == 1 and "the stored variance" in result.stderr:
        return "not run", result.stderr
    if result.returncode != 0:
        raise Failure(f"exit code {result.returncode}: {result.stderr.strip()}")
    model = onnx.load(path)
    try:
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:   # of whatever class onnx and its runtime have
        raise Failure(f"{type(error).__name__}: {str(error)[:600]}") from error
    for positive in (False, True):   # positive inputs where others lead to numbers that are not finite
        arrays = arrays_of(model, batch, seed, positive)
        ours = run_ours(bnc, network, weights, folder, arrays)
        if ours is None:
            return "not run", ""
        if not all(np.isfinite(array).all() for _, array in ours):
            continue
        try:
            theirs = session.run(None, arrays)
        except Exception as error:
            raise Failure(f"{type(error).__name__}: {str(error)[:600]}") from error
        if len(theirs) != len(ours):
            raise Failure(f"{len(theirs)} outputs instead of {len(ours)}")
        worst = max((difference(array, other) for (_, array), other in zip(ours, theirs)), default=0)
        if not worst <= TOLERANCE:
            raise Failure(f"differs by {worst:.1e}")
        return "same", (worst, model)
    return "not finite", ""


def randomized(path):
    """Statistics and scales as after training, not zeros and ones."""
    random, weights = np.random.default_rng(5), read_safetensors(path)
    for name, array in weights.items():
        last = name.rsplit(".", 1)[-1]
        if last in ("variance", "gamma", "scale"):
            weights[name] = random.uniform(0.5, 1.5, array.shape).astype(np.float32)
        elif last in ("mean", "beta", "bias", "offset"):
            weights[name] = random.normal(0, 0.2, array.shape).astype(np.float32)
    write_safetensors(path, weights)


def check_examples(bnc, folder, names):
    wrong = 0
    for name in names:
        network, weights = ROOT / "examples" / f"{name}.bn", folder / "w.safetensors"
        succeed(bnc, "init", network, "--seed", 4, "-o", weights)
        randomized(weights)
        for frozen in (False, True):
            what = f"{name:<18} {'frozen' if frozen else 'trainable':<10}"
            try:
                fate, answer = check(bnc, network, weights, folder, 1 if name in LARGE else 5, 1, frozen)
                if fate != "same":
                    raise Failure(f"{fate}: {answer}")
                worst, model = answer
                print(f"ok    {what} differs by {worst:.1e}; {len(model.graph.node)} nodes, {transposes(model)} of them transpositions", flush=True)
                if transposes(model) > 1 and not name.startswith("lstm"):
                    raise Failure("an image network is transposed more than once")
            except Failure as failure:
                wrong += 1
                print(f"WRONG {what} {failure}", flush=True)
    return wrong


def check_random(bnc, folder, first, count, keep):
    wrong, worst, fates, reasons = 0, 0.0, collections.Counter(), collections.Counter()
    fuzz = pathlib.Path(bnc).resolve().parent / "bnc-fuzz"
    for seed in range(first, first + count):
        text = subprocess.run([fuzz, "--seed", str(seed), "--print"], capture_output=True, text=True, check=True).stdout
        network, weights = folder / "n.bn", folder / "n.safetensors"
        network.write_text(text)
        succeed(bnc, "init", network, "--seed", seed, "-o", weights)
        batch = int(re.search(r"batch=(\d+)", text).group(1))
        for frozen in (False, True):
            try:
                fate, answer = check(bnc, network, weights, folder, batch, seed, frozen)
                fates[fate] += 1
                if fate == "refused":
                    reasons.update(re.findall(r"note: (`\w+`) of", answer))
                if fate == "same":
                    worst = max(worst, answer[0])
            except Failure as failure:
                wrong += 1
                print(f"WRONG seed {seed} {'frozen' if frozen else 'trainable'}: {failure}", flush=True)
                if keep:
                    pathlib.Path(keep).mkdir(exist_ok=True)
                    (pathlib.Path(keep) / f"{seed}.bn").write_text(text)
    refusals = f" ({dict(reasons)})" if reasons else ""
    print(f"{count} random networks, trainable and frozen: {wrong} wrong, {fates['same']} the same, by {worst:.1e} at most; {fates['refused']} "
          f"refused{refusals}, {fates['not run']} that bnc refuses to run, {fates['not finite']} not finite")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bnc")
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", help="default: all")
    parser.add_argument("--random", type=int, default=60, metavar="N")
    parser.add_argument("--first", type=int, default=1, metavar="SEED")
    parser.add_argument("--keep", metavar="DIR", help="for random networks that fail")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = check_examples(arguments.bnc, pathlib.Path(folder), arguments.examples or EXAMPLES) if arguments.examples != ["none"] else 0
        wrong += check_random(arguments.bnc, pathlib.Path(folder), arguments.first, arguments.random, arguments.keep)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
