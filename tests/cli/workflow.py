#!/usr/bin/env python3
"""The commands one after another on a small data set: init, train, eval, run, compile, explain; what they write and print.

usage: workflow.py BNC
"""
import csv
import fcntl
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import call, read_safetensors, succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_workflow."))
MODEL = HERE / "net.bn"
MODEL.write_text("""network net(x: f32[N, 9]) {
  return dense(relu(batch_norm(dense(x, 33))), 3)
}

train net {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.05, momentum=0.9)
  batch     = 16
  epochs    = 3
}
""")


def make_data(path, count, seed):
    """Three clouds of points, well apart."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, count).astype(np.int32)
    x = (random.normal(size=(count, 9)) + 2.5 * np.eye(9)[y]).astype(np.float32)
    np.savez(path, x=x, y=y)
    return x, y


def json_lines(*words):
    """The objects that a command prints with --json; anything else on stdout is an error."""
    return [json.loads(line) for line in succeed(BNC, *words, "--json").stdout.splitlines()]


def check_training(data, test):
    lines = json_lines("train", MODEL, "--data", data, "--test", test, "--seed", 7, "--out", HERE / "run")
    result = lines[-1]
    assert result["stopped"] is False and result["test"]["accuracy"] > 0.9, result
    assert sorted(os.listdir(HERE / "run")) == ["checkpoint", "distributions.csv", "history.csv", "report.html", "report.json", "weights.best.safetensors", "weights.safetensors"]
    rows = list(csv.DictReader(open(HERE / "run" / "history.csv")))
    assert rows, "history.csv is empty"
    names = ["dense_1.weight", "dense_1.bias", "batch_norm_1.gamma", "batch_norm_1.beta", "batch_norm_1.mean", "batch_norm_1.variance",
             "dense_2.weight", "dense_2.bias"]
    assert list(read_safetensors(HERE / "run" / "weights.safetensors")) == names, "not in the order of the network"


def check_watching(data, test):
    """Examples held out, early stopping, the best weights, the seconds' whereabouts, and what the options refuse."""
    run = HERE / "watched"
    words = ["--data", data, "--seed", 7, "--epochs", 60]
    result = json_lines("train", MODEL, *words, "--test", test, "--validate", 0.25, "--patience", 4, "--out", run)[-1]
    assert result["stopped_early"] and not result["stopped"] and result["steps"] % (750 // 16) == 0, result
    assert result["validation"]["count"] == 250 and result["test"]["count"] == 250 and result["train"]["count"] == 750 // 16 * 16, result
    assert result["steps"] - result["best"]["step"] == 4 * (750 // 16), result
    rows = list(csv.DictReader(open(run / "history.csv")))
    best = next(row for row in rows if int(row["step"]) == result["best"]["step"])
    assert float(best["test_accuracy"]) == max(float(row["test_accuracy"]) for row in rows if row["test_accuracy"]), best
    assert {row["rate"] for row in rows} == {"0.05"}, rows
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds) and seconds[0] >= 0, seconds
    assert set(result["seconds"]) == {"steps", "waiting", "tests", "checkpoints"} and result["seconds"]["steps"] > 0, result
    tested = HERE / "tested"
    json_lines("train", MODEL, "--data", data, "--test", test, "--steps", 50, "--test-every", 7, "--out", tested)
    steps = [int(row["step"]) for row in csv.DictReader(open(tested / "history.csv")) if row["test_accuracy"]]
    assert steps == [7, 14, 21, 28, 35, 42, 49, 50], steps
    assert read_safetensors(run / "weights.best.safetensors").keys() == read_safetensors(run / "weights.safetensors").keys()

    again = json_lines("train", MODEL, "--data", data, "--test", test, "--patience", 4, "--resume", run)[-1]
    assert again["steps"] == result["steps"] and again["stopped_early"] and again["test"] == result["test"], (again, result)
    profile = call(BNC, "train", MODEL, "--data", data, "--steps", 20, "--profile", "--out", HERE / "profiled")
    assert re.search(r"^waiting for data +[\d.]+ s +[\d.]+ %$", profile.stderr, re.M), profile.stderr
    for words, message in ((["--patience", 2], "needs examples to test on"), (["--validate", 0.0001], "is none")):
        refused = call(BNC, "train", MODEL, "--data", data, *words)
        assert refused.returncode == 1 and message in refused.stderr, refused
    refused = call(BNC, "train", MODEL, "--data", data, "--validate", 1)
    assert refused.returncode == 2 and "between 0 and 1" in refused.stderr, refused
    refused = call(BNC, "train", MODEL, "--data", data, "--validate", 0.5, "--resume", run)
    assert refused.returncode == 1 and "share of 0.25, which cannot change to 0.5" in refused.stderr, refused


def check_threads_and_seeds(data):
    """Same seed, same bits, for any number of threads; another seed, others."""
    def weights(name, *words):
        succeed(BNC, "train", MODEL, "--data", data, "--steps", 50, "--out", HERE / name, *words)
        return (HERE / name / "weights.safetensors").read_bytes()
    one = weights("one", "--seed", 7, "--threads", 1)
    assert one == weights("two", "--seed", 7, "--threads", 2), "the number of threads changes the result"
    assert one != weights("other", "--seed", 8, "--threads", 1), "the seed changes nothing"


def check_evaluation(test, count):
    words = ["eval", MODEL, "--weights", HERE / "run" / "weights.safetensors", "--data", test]
    population = json_lines(*words)[0]
    assert population["count"] == count and population["accuracy"] > 0.9, population
    odd = json_lines(*words, "--batch", 17)[0]  # the last batch is a part
    assert odd["count"] == count and odd["accuracy"] == population["accuracy"] and abs(odd["loss"] - population["loss"]) < 1e-6, (odd, population)
    alone = json_lines(*words, "--batch", 1, "--stats", "batch")[0]
    assert alone["accuracy"] < 0.6, f"one example with its own statistics should collapse: {alone}"


def check_statistics(data):
    """restat and lint, on weights that were never trained and on those of the run."""
    fresh, estimated = HERE / "fresh.safetensors", HERE / "estimated.safetensors"
    succeed(BNC, "init", MODEL, "--seed", 3, "-o", fresh)
    lint = call(BNC, "lint", MODEL, "--weights", fresh, "--json")
    finding = json.loads(lint.stdout)
    assert lint.returncode == 1 and finding["kind"] == "initial-statistics" and finding["tensor"] == "batch_norm_1.mean", lint
    assert finding["place"] == f"{MODEL}:2" and "restat" in finding["advice"], finding
    assert json_lines("restat", MODEL, "--weights", fresh, "--data", data, "-o", estimated)[0]["weights"] == str(estimated)
    assert succeed(BNC, "lint", MODEL, "--weights", estimated, "--data", data).stdout == "nothing found\n"
    before, after = read_safetensors(fresh), read_safetensors(estimated)
    h = np.load(data)["x"].astype(np.float64) @ before["dense_1.weight"] + before["dense_1.bias"]
    assert np.allclose(after["batch_norm_1.mean"], h.mean(0), rtol=1e-5, atol=1e-6)
    assert np.allclose(after["batch_norm_1.variance"], h.var(0, ddof=1), rtol=1e-5)
    assert {name for name in before if (before[name] != after[name]).any()} == {"batch_norm_1.mean", "batch_norm_1.variance"}
    assert json_lines("lint", MODEL, "--weights", HERE / "run" / "weights.safetensors", "--data", data) == []


def check_run(x):
    """An example alone gives the same bits as in a batch (bn-infer)."""
    def outputs(rows):
        np.savez(HERE / "in.npz", x=rows)
        succeed(BNC, "run", MODEL, "--weights", HERE / "run" / "weights.safetensors", "--input", HERE / "in.npz", "--output", HERE / "out.npz")
        return np.load(HERE / "out.npz")["y"]
    together = outputs(x[:15])
    alone = np.concatenate([outputs(x[k:k + 1]) for k in range(15)])
    assert np.abs(together - alone).max() <= 1e-6 * np.abs(together).max(), np.abs(together - alone).max()
    assert (together.argmax(1) == alone.argmax(1)).all()


def check_targets():
    """The loss names what the targets are called; the same archive serves inference, which has no use for them."""
    model, weights, given, found = HERE / "target.bn", HERE / "target.safetensors", HERE / "target.npz", HERE / "found.npz"
    model.write_text("network net(x: f32[N, 4], scale: f32[N, 1]) {\n  return dense(x, 2) * scale\n}\n"
                     "train net {\n  loss = mean_squared_error(wanted)\n  optimizer = sgd(rate=0.1)\n}\n")
    random = np.random.default_rng(5)
    arrays = {name: random.normal(size=(7, width)).astype(np.float32) for name, width in (("x", 4), ("scale", 1), ("wanted", 2))}
    np.savez(given, **arrays)
    succeed(BNC, "init", model, "--seed", 1, "-o", weights)
    words = ["run", model, "--weights", weights, "--input", given, "--output", found]
    succeed(BNC, *words, "--mode", "train")
    step = dict(np.load(found))
    assert np.isclose(step["loss"], ((step["y"].astype(np.float64) - arrays["wanted"]) ** 2).mean(), rtol=1e-5), step["loss"]
    assert {"grad/dense_1.weight", "grad/x", "grad/scale"} <= step.keys(), step.keys()
    succeed(BNC, *words)
    assert (np.load(found)["y"] == step["y"]).all() or np.allclose(np.load(found)["y"], step["y"], rtol=1e-5)
    np.savez(given, labels=arrays["wanted"], **{name: arrays[name] for name in ("x", "scale")})
    refused = call(BNC, *words, "--mode", "train")
    assert refused.returncode == 1 and "holds no array `wanted` for the network's target of that name" in refused.stderr, refused


def check_other_commands():
    weights = HERE / "run" / "weights.safetensors"
    assert json_lines("compile", MODEL, "--weights", weights, "-o", HERE / "net.o", "--header", HERE / "net.h")[0]["stage"] == "obj"
    assert json_lines("explain", MODEL, "--weights", weights, "--require-folded")[0]["folded"] is True
    assert all(check["passed"] for check in json_lines("gradcheck", MODEL))
    assert json_lines("bench", MODEL, "--mode", "train", "--batch", 16, "--seconds", 0.05, "--weights", weights)[0]["runs"] > 0


def stderr_on_terminal(columns, *words):
    """What a command writes to a terminal of that width."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    child = subprocess.Popen([BNC, *map(str, words)], stdout=subprocess.DEVNULL, stderr=side)
    os.close(side)
    text = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text += part
    assert child.wait() == 0, text
    return text.decode()


def check_progress(data, test):
    words = ["train", MODEL, "--data", data, "--steps", 400, "--out", HERE / "shown", "--overwrite"]
    plain = call(BNC, *words).stderr
    assert "\r" not in plain and "\x1b" not in plain and "step 400/400" in plain, repr(plain)
    for columns, parts in ((120, ["train [", "=] 100% epoch 7/7 step 400/400 loss 0.", " accuracy ", " examples/s took 0:"]), (80, ["] 100% epoch 7/7 loss 0.", " accuracy ", " examples/s took 0:"]),
                           (30, ["100% loss 0.", "took 0:"]), (8, ["100%"])):
        bar = re.sub(r"\x1b\[[0-9;]*m", "", stderr_on_terminal(columns, *words, "--test", test))   # without colours
        drawn = [line for line in re.split(r"\r\x1b\[K|\r?\n", bar) if line and not line.startswith("note: ")]
        tests = [line for line in drawn if ", test loss" in line]
        assert len(tests) == 10 and tests[-1].startswith("train epoch 7/7 step 400/400 loss"), tests
        assert max(len(line) for line in drawn if line not in tests) < columns, drawn
        assert all(part in drawn[-1] for part in parts), (columns, drawn[-1])
        assert columns < 20 or sum(bool(re.search(r" testing \d+%", line)) for line in drawn) >= 10, (columns, drawn)


def main():
    data, test = HERE / "train.npz", HERE / "test.npz"
    make_data(data, 1000, 1)
    x, _ = make_data(test, 250, 2)
    check_training(data, test)
    check_watching(data, test)
    check_threads_and_seeds(data)
    check_evaluation(test, 250)
    check_statistics(data)
    check_run(x)
    check_targets()
    check_other_commands()
    check_progress(data, test)
    print("all passed")


if __name__ == "__main__":
    main()
