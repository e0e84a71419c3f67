#!/usr/bin/env python3
"""Bad input at the command line: one clear error, exit 1, and nothing lost.

usage: bad_input.py BNC
"""
import gzip
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import SMALL_NETWORK, call, read_safetensors, succeed, write_safetensors

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_bad_input."))
failures = []


def expect(name, result, *parts, code=1):
    """One error, in bnc's words, and all of `parts` in it."""
    text = result.stderr
    problems = [f"does not say {part!r}" for part in parts if part not in text]
    if result.returncode != code:
        problems.append(f"exit code {result.returncode}, expected {code}")
    if text.count("error:") != 1:
        problems.append(f"{text.count('error:')} errors, expected one")
    if result.stdout:
        problems.append(f"printed on stdout: {result.stdout[:200]!r}")
    print(f"{'FAILED' if problems else 'ok    '} {name}")
    if problems:
        failures.append(name)
        print("\n".join("    " + problem for problem in problems), "    stderr:", text, sep="\n")


def unchanged(name, path, before):
    leftovers = [entry.name for entry in path.parent.iterdir() if entry.name.startswith(path.name + ".")]
    if path.read_bytes() != before or leftovers:
        failures.append(name)
        print(f"FAILED {name}: the file that stood there was lost, or something was left behind: {leftovers}")


def source(name, text):
    path = HERE / f"{name}.bn"
    path.write_text(text)
    return path


def source_errors():
    cases = {
        "misspelt op": ("batch_nrom(x)", ["`batch_nrom`", "batch_norm", ":2:"]),
        "misspelt attribute": ("batch_norm(x, epsilom=1e-3)", ["`epsilom`", "epsilon", "^"]),
        "misspelt name": ("relu(y)", ["`y`", "^"]),
        "mismatched shapes": ("add(x, dense(x, 5))", ["f32[N, 6]", "f32[N, 5]"]),
        "unclosed parenthesis": ("relu(x", [":2:", "^"]),
    }
    for name, (expression, parts) in cases.items():
        path = source(name.replace(" ", "_"), f"network net(x: f32[N, 6]) {{\n  return {expression}\n}}\n")
        expect(name, call(BNC, "compile", path, "--emit", "graph"), str(path), *parts)
    expect("missing model", call(BNC, "fmt", HERE / "none.bn"), "none.bn", "No such file")
    expect("folder as model", call(BNC, "fmt", HERE), str(HERE))
    model = source("net", SMALL_NETWORK)
    expect("unknown pass", call(BNC, "opt", model, "--passes", "cannonicalize"), "`cannonicalize`", "canonicalize")
    expect("unknown stop-after", call(BNC, "opt", model, "--passes", "canonicalize", "--stop-after", "dead-cod"), "dead-code")
    expect("unknown CPU", call(BNC, "compile", model, "--emit", "asm", "--cpu", "haswel"), "`haswel`", "haswell")
    plain = source("no_train", SMALL_NETWORK.split("train net")[0])
    expect("no train section", call(BNC, "train", plain, "--data", HERE / "data.npz"), "train")


def weights_files(model):
    weights = HERE / "w.safetensors"
    succeed(BNC, "init", model, "--seed", 1, "-o", weights)
    whole, tensors = weights.read_bytes(), read_safetensors(weights)
    images = HERE / "in.npz"
    np.savez(images, x=np.ones((4, 6), np.float32))
    bad = HERE / "bad.safetensors"

    def run(name, *parts):
        expect(name, call(BNC, "run", model, "--weights", bad, "--input", images, "--output", HERE / "out.npz"), bad.name, *parts)

    run("missing weights file", "No such file")
    for name, raw in {
        "empty weights file": b"",
        "weights header cut short": whole[:40],
        "weights data cut short": whole[:-4],
        "weights file with bytes too many": whole + b"1234",
        "weights header longer than the file": struct.pack("<Q", 1 << 60) + whole[8:],
        "weights header that is not JSON": struct.pack("<Q", 8) + b"no json!" + whole,
    }.items():
        bad.write_bytes(raw)
        run(name)

    def changed(name, change, *parts):
        copy = dict(tensors)
        change(copy)
        write_safetensors(bad, copy)
        run(name, *parts)

    changed("weights of the wrong shape", lambda t: t.update({"dense_1.weight": np.ones((5, 6))}), "dense_1.weight", "[5, 6]", "[6, 5]")
    changed("unknown weight in place of one", lambda t: t.update({"dense_9.weight": t.pop("dense_1.weight")}), "dense_9.weight", "dense_1.weight")
    changed("missing weight", lambda t: t.pop("batch_norm_1.mean"), "batch_norm_1.mean")
    changed("misspelt weight", lambda t: t.update({"batch_norm_1.gama": t.pop("batch_norm_1.gamma")}), "`batch_norm_1.gama`", "`batch_norm_1.gamma`")
    return weights


def arrays(model, weights):
    path = HERE / "arrays.npz"

    def run(name, parts, mode="infer", **entries):
        np.savez(path, **entries)
        expect(name, call(BNC, "run", model, "--weights", weights, "--input", path, "--output", HERE / "out.npz", "--mode", mode), *parts)

    x, labels = np.ones((4, 6), np.float32), np.array([0, 1, 2, 0], np.int32)
    run("input array missing", ["`x`", "images"], images=x)
    run("unknown input array", ["`extra`"], x=x, extra=x)
    run("input of the wrong shape", ["x", "[4, 7]"], x=np.ones((4, 7), np.float32))
    run("input of the wrong rank", ["x"], x=np.ones(6, np.float32))
    run("no example", ["no example"], x=np.ones((0, 6), np.float32))
    run("labels missing", ["labels"], mode="train", x=x)
    run("labels out of range", ["label", "3"], mode="train", x=x, labels=labels + 1)
    run("negative label", ["label", "-1"], mode="train", x=x, labels=labels - 1)
    run("other batch size of the labels", ["labels"], mode="train", x=x, labels=labels[:3])
    run("batch of one in training", ["batch_norm_1", "f32[N, 5]"], mode="train", x=x[:1], labels=labels[:1])
    np.savez(path, x=x)
    path.write_bytes(path.read_bytes()[:-30])
    expect("npz cut short", call(BNC, "run", model, "--weights", weights, "--input", path, "--output", HERE / "out.npz"), "arrays.npz")


def data_sets(model):
    def train(name, spec, *parts):
        expect(name, call(BNC, "train", model, "--data", spec, "--steps", 2, "--out", HERE / "run"), *parts)

    path = HERE / "data.npz"
    x, y = np.ones((8, 6), np.float32), np.arange(8, dtype=np.int32) % 3
    np.savez(path, x=x, y=y + 1)
    train("data set with labels out of range", path, "label", "3")
    np.savez(path, x=x, y=y[:7])
    train("data set with labels missing", path, "7", "8")
    bad = x.copy()
    bad[5, 2] = np.nan
    np.savez(path, x=bad, y=y)
    train("data set with NaN", path, "example 5", "nan", "position 2")
    np.savez(path, x=x[:0], y=y[:0])
    train("data set without examples", path, "holds no examples")
    np.savez(path, x=x, y=y - 1)
    train("data set with negative labels", path, "label -1 of example 0")
    np.savez(path, x=x[:, :4], y=y)
    train("examples of the wrong shape", path, "[N, 6]")
    np.savez(path, x=x[:2], y=y[:2])
    train("fewer examples than a batch", path, "2", "4")
    train("no such data", HERE / "nowhere", "nowhere")
    train("misspelt data", "fashion-mnst", "fashion-mnist")
    folder = HERE / "idx"
    folder.mkdir()
    images = struct.pack(">4BIII", 0, 0, 8, 3, 10, 2, 3) + bytes(60)
    labels = struct.pack(">4BI", 0, 0, 8, 1, 10) + bytes(10)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    train("IDX images missing", folder, "train-images-idx3-ubyte")
    (folder / "train-images-idx3-ubyte").write_bytes(images[:-1])
    train("IDX images cut short", folder, "train-images-idx3-ubyte")
    (folder / "train-images-idx3-ubyte").unlink()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images)[:-12])
    train("gzipped IDX images cut short", folder, "train-images-idx3-ubyte.gz")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\1" + images[1:]))
    train("IDX file that is none", folder, "train-images-idx3-ubyte.gz")
    cifar = HERE / "cifar"
    cifar.mkdir()
    (cifar / "data_batch_1.bin").write_bytes(bytes(3073 * 4 - 5))
    train("CIFAR-10 batch cut short", cifar, "data_batch_1.bin")
    one = HERE / "one.npz"
    np.savez(one, x=x, y=y)
    expect("batch of one in training", call(BNC, "train", model, "--data", one, "--batch", 1, "--steps", 2), "batch_norm_1", "f32[N, 5]")


def tables(model):
    def train(name, text, *parts):
        path = HERE / "table.csv"
        path.write_text(text)
        expect(name, call(BNC, "train", model, "--data", path, "--steps", 2), *parts)

    line = "1,2,3,4,5,6,0\n"
    train("table that is empty", "", "table.csv is empty")
    train("table with a ragged line", line * 6 + "1,2,3\n", "table.csv:7:1: this line has 3 fields, but line 1 has 7")
    train("table with text in it", line * 6 + "1,2,many,4,5,6,0\n", "table.csv:7:5: `many` in column 3 is no number")
    train("table with too few columns", "1,2,3,0\n" * 9, "are [3]", "f32[N, 6]")
    train("table with a label out of range", line * 6 + "1,2,3,4,5,6,3\n", "label 3 of example 6", "3 classes")
    train("table with too few different labels", "1,2,3,4,5,6,a\n" * 6 + "1,2,3,4,5,6,b\n", "there are 2 different labels", "numbered in alphabetical order")
    train("table with a missing number", line * 6 + "1,,3,4,5,6,0\n", "table.csv:7:3: column 2 is empty")
    (HERE / "table.csv").write_bytes(gzip.compress(line.encode() * 500)[:-9])
    (HERE / "table.csv").rename(HERE / "cut.csv.gz")
    expect("gzipped table cut short", call(BNC, "train", model, "--data", HERE / "cut.csv.gz"), "cut.csv.gz: truncated")
    (HERE / "other.csv").write_text("1,2,3,4,5,6,x\n1,2,3,4,5,6,y\n1,2,3,4,5,6,z\n" * 5)
    (HERE / "table.csv").write_text("1,2,3,4,5,6,u\n1,2,3,4,5,6,v\n1,2,3,4,5,6,w\n" * 5)
    expect("tables with different classes", call(BNC, "train", model, "--data", HERE / "table.csv", "--test", HERE / "other.csv"), "other.csv:1:", "label `x` is no class", "u, v, w")
    augmented = source("augmented", SMALL_NETWORK.replace("epochs ", "augment = [flip]\n  epochs ", 1))
    (HERE / "table.csv").write_text(line * 9)
    expect("flipping what is no image", call(BNC, "train", augmented, "--data", HERE / "table.csv"), "augment = [flip]", "the examples of", "[6]")


def limited():
    """In the child: files may not grow past 100 bytes, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def output_paths(model, weights):
    before = weights.read_bytes()
    commands = {
        "init": ["init", model, "-o"],
        "compile": ["compile", model, "--weights", weights, "-o"],
        "compile --emit graph": ["compile", model, "--emit", "graph", "-o"],
        "opt": ["opt", model, "--passes", "canonicalize", "-o"],
        "run": ["run", model, "--weights", weights, "--input", HERE / "in.npz", "--output"],
    }
    for name, words in commands.items():
        expect(f"{name}: no such folder", call(BNC, *words, HERE / "none" / "file"), str(HERE / "none" / "file"), "No such file")
        expect(f"{name}: a folder as output", call(BNC, *words, HERE), "directory")
        expect(f"{name}: full disk", call(BNC, *words, "/dev/full"), "/dev/full", "No space left")
        target = HERE / "target"
        target.write_bytes(before)
        expect(f"{name}: disk full half-way", call(BNC, *words, target, preexec_fn=limited, restore_signals=False), str(target), "File too large")
        unchanged(f"{name}: disk full half-way", target, before)
    expect("header on a full disk", call(BNC, "compile", model, "--weights", weights, "-o", HERE / "net.o", "--header", "/dev/full"), "No space left")
    for words in (["fmt", model], ["--list-passes"], ["opt", model, "--passes", "canonicalize"]):
        with open("/dev/full", "w") as full:
            result = subprocess.run([BNC, *map(str, words)], stdout=full, stderr=subprocess.PIPE, text=True)
        result.stdout = ""
        expect(f"{words[0]} to a full disk", result, "standard output", "No space left")

    data, run = HERE / "good.npz", HERE / "kept"
    np.savez(data, x=np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32), y=(np.arange(64) % 3).astype(np.int32))
    succeed(BNC, "train", model, "--data", data, "--steps", 3, "--out", run)
    kept = (run / "weights.safetensors").read_bytes()
    train = ["train", model, "--data", data, "--steps", 5]
    expect("train: disk full half-way", call(BNC, *train, "--resume", run, preexec_fn=limited, restore_signals=False), str(run), "File too large")
    unchanged("train: disk full half-way", run / "weights.safetensors", kept)
    expect("train: a file as folder", call(BNC, *train, "--out", weights), str(weights))
    expect("resume without a checkpoint", call(BNC, "train", model, "--data", data, "--resume", HERE), "checkpoint")
    if os.geteuid() != 0:
        locked = HERE / "locked"
        locked.mkdir(mode=0o500)
        expect("folder that must not be written", call(BNC, "init", model, "-o", locked / "w"), "Permission denied")


def main():
    source_errors()
    model = source("net", SMALL_NETWORK)
    weights = weights_files(model)
    arrays(model, weights)
    data_sets(model)
    tables(model)
    output_paths(model, weights)
    print(f"{len(failures)} failed: {', '.join(failures)}" if failures else "all passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
