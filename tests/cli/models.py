#!/usr/bin/env python3
"""What a weights file and a C header say of a model, and that training loses nothing and says what it does.

usage: models.py BNC
"""
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import ROOT, SMALL_NETWORK, call, read_metadata, read_safetensors, succeed, write_safetensors

BNC = str(pathlib.Path(sys.argv[1]).resolve())
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_models."))
os.chdir(HERE)
MODEL, DATA, OTHERS = HERE / "net.bn", HERE / "data.npz", HERE / "others.npz"


def make_data(path, count, seed):
    random = np.random.default_rng(seed)
    y = (np.arange(count) % 3).astype(np.int32)
    np.savez(path, x=(random.normal(size=(count, 6)) + y[:, None]).astype(np.float32), y=y)


def named(name, text=SMALL_NETWORK):
    return text.replace("network net(", f"network {name}(").replace("train net {", f"train {name} {{")


def refused(parts, *words, code=1):
    result = call(BNC, *words)
    assert result.returncode == code and all(part in result.stderr for part in parts), f"{words}: {result.returncode} {result.stderr}"


def identity():
    """What the file says, and what is said where it does not fit."""
    result = json.loads(succeed(BNC, "train", MODEL, "--data", DATA, "--test", OTHERS, "--validate", 0.25, "--seed", 3, "--out", "run",
                                "--json").stdout.splitlines()[-1])
    weights = HERE / "run" / "weights.safetensors"
    found = read_metadata(weights)
    assert all(isinstance(value, str) for value in found.values()), found
    assert found["bnc.network"] == "net" and len(found["bnc.graph"]) == 16 and found["bnc.version"].startswith("bnc "), found
    assert json.loads(found["bnc.inputs"]) == [{"name": "x", "type": "f32[N, 6]", "example": [6]}], found
    training = json.loads(found["bnc.training"])
    expected = {"data": str(DATA), "test": str(OTHERS), "weights": "", "seed": 3, "batch": 4, "steps": 7, "epochs": 1, "validate": 0.25,
                "restat": False, "loss": "softmax_cross_entropy(labels)", "optimizer": "sgd(rate=0.01)"}
    assert {key: training[key] for key in expected} == expected, training
    for part in ("train", "validation", "test"):
        assert training["figures"][part] == {key: result[part][key] for key in ("loss", "accuracy", "count")}, (part, training, result)
    best = json.loads(read_metadata(HERE / "run" / "weights.best.safetensors")["bnc.training"])
    assert best["steps"] == result["best"]["step"] and best["figures"]["validation"]["loss"] == result["best"]["loss"], best

    succeed(BNC, "restat", MODEL, "--weights", weights, "--data", DATA, "-o", "restat.safetensors")
    again = json.loads(read_metadata("restat.safetensors")["bnc.training"])
    assert again["restat"] and again["steps"] == 7 and again["figures"] == {"train": None, "validation": None, "test": None}, again

    # The same graph under other names, laid out in another way; also in its flat form.
    renamed = HERE / "renamed.bn"
    renamed.write_text(named("other").replace("h = sigmoid(batch_norm(dense(x, 5)))", "# a comment\n  a = dense(x, 5)\n  b = batch_norm(a)\n  h = sigmoid(b)")
                       .replace("return dense(h, 3)", "scores = dense(h, 3)\n  return scores"))
    flat = HERE / "flat.bn"
    flat.write_text(succeed(BNC, "compile", MODEL, "--emit", "graph").stdout + SMALL_NETWORK[SMALL_NETWORK.index("train"):])
    for model in (MODEL, renamed, flat):
        assert succeed(BNC, "eval", model, "--weights", weights, "--data", OTHERS, "--json").stderr.count("warning") == 0, model
    # Other graphs with the same weights: one of this name, one of another.
    changed, foreign = HERE / "changed.bn", HERE / "foreign.bn"
    changed.write_text(SMALL_NETWORK.replace("sigmoid", "tanh"))
    foreign.write_text(named("foreign").replace("sigmoid", "tanh"))
    np.savez("in.npz", x=np.zeros((2, 6), np.float32))
    for model, text in ((changed, "is of network `net` before its graph changed"), (foreign, "is of network `net` (x: f32[N, 6]), trained on")):
        for words in (["eval", "--data", OTHERS], ["predict", "--data", OTHERS], ["restat", "--data", DATA, "-o", "r.safetensors"], ["compile", "-o", "x.o"],
                      ["run", "--input", "in.npz", "--output", "out.npz"], ["train", "--data", DATA, "--out", "tuned", "--overwrite"], ["lint"]):
            result = call(BNC, words[0], model, "--weights", weights, *words[1:])
            assert result.stderr.count(text) == 1 and "error" not in result.stderr, (words, result)
    tuned = read_metadata(HERE / "tuned" / "weights.safetensors")
    assert tuned["bnc.network"] == "foreign" and json.loads(tuned["bnc.training"])["weights"] == str(weights), tuned
    assert call(BNC, "eval", foreign, "--weights", HERE / "tuned" / "weights.safetensors", "--data", OTHERS).stderr.count("warning") == 0
    wide = HERE / "wide.bn"
    wide.write_text(named("wide").replace("dense(x, 5)", "dense(x, 7)"))
    refused(["does not fit network `wide`", "note: the weights are of network `net` (x: f32[N, 6]), trained on"], "eval", wide, "--weights", weights, "--data", OTHERS)
    # A file without all that works, and one that is damaged is refused.
    write_safetensors("bare.safetensors", read_safetensors(weights))
    for model in (MODEL, foreign):
        assert call(BNC, "eval", model, "--weights", "bare.safetensors", "--data", OTHERS).stderr.count("warning") == 0
    raw = weights.read_bytes()
    (HERE / "damaged.safetensors").write_bytes(raw.replace(b'\\"steps\\":7', b'\\"steps\\":x'))
    refused(["damaged.safetensors", "`bnc.training`"], "eval", MODEL, "--weights", "damaged.safetensors", "--data", OTHERS)
    assert read_metadata(init(MODEL))["bnc.graph"] == found["bnc.graph"]
    print("ok     weights say what they are of")


def init(model):
    succeed(BNC, "init", model, "-o", "init.safetensors")
    return HERE / "init.safetensors"


def headers():
    """The example of a C program that takes raw rows."""
    folder = ROOT / "examples" / "table"
    model, rows = folder / "flowers.bn", folder / "flowers.csv"
    succeed(BNC, "train", model, "--data", f"{rows}:train", "--test", f"{rows}:test", "--missing", "mean", "--out", "flowers")
    weights = HERE / "flowers" / "weights.safetensors"
    assert json.loads(succeed(BNC, "eval", model, "--weights", weights, "--data", f"{rows}:test", "--json").stdout)["accuracy"] > 0.8
    succeed(BNC, "compile", model, "--weights", weights, "-o", "flowers.o", "--header", "flowers.h")
    strict = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-I."]
    subprocess.run(["cc", "-std=c99", *strict, folder / "predict.c", "flowers.o", "-lm", "-o", "predict"], check=True)
    # Other rows, in another order of the columns, with one that is unknown.
    table = list(csv.reader(rows.open()))
    order = [3, 1, 4, 0, 2]
    (HERE / "rows.csv").write_text("".join(",".join([str(k), *(row[c] for c in order)]) + "\n" for k, row in enumerate(table)).replace("0,", "number,", 1))
    printed = subprocess.run(["./predict"], stdin=open("rows.csv"), check=True, capture_output=True, text=True).stdout.split()
    found = list(csv.reader(io.StringIO(succeed(BNC, "predict", model, "--weights", weights, "--data", "rows.csv").stdout)))
    assert len(printed) == 150 and printed == [row[0] for row in found[1:]], (printed, found)
    for field, number in (("NA", 0), ("12cm", 0), ("nan", 0), ("swamp", 3)):
        row = [*table[1][:number], field, *table[1][number + 1:]]
        result = subprocess.run(["./predict"], input="\n".join([",".join(table[0]), ",".join(row)]), capture_output=True, text=True)
        assert (result.returncode, result.stdout, result.stderr) == (1, "", f"column {table[0][number]} takes no `{field}`\n"), result
    # Names that C takes for something else.
    kinds = ['a"b', "c\\d", "what??!", "Zürich/*", "e*/f", "_"]
    odd = HERE / "odd.bn"
    odd.write_text(SMALL_NETWORK.replace("f32[N, 6]", f"f32[N, {1 + len(kinds)}]").replace("dense(h, 3)", f"dense(h, {len(kinds)})"))
    with open("odd.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([['"the"\\', "text", "label"], *([k, kinds[k % 6], kinds[(k + 1) % 6]] for k in range(60))])
    succeed(BNC, "train", odd, "--data", "odd.csv", "--out", "odd")
    succeed(BNC, "compile", odd, "--weights", "odd/weights.safetensors", "-o", "odd.o", "--header", "odd.h", "--name", "int")
    text = '#include "odd.h"\n#include "odd.h"\n#include <stdio.h>\nint main(void) {\n' \
           "  for (int k = 0; k < int_CLASSES; ++k) puts(int_class_names[k]);\n" \
           "  for (int k = 0; k < int_columns[1].categories; ++k) puts(int_columns[1].category_names[k]);\n  puts(int_columns[0].name);\n" \
           "  return int_FEATURES - 7 + int_COLUMNS - 2;\n}\n"
    alone = '#include "odd.h"\n'
    for compiler, name in ((["cc", "-std=c99"], "odd.c"), (["c++", "-std=c++11"], "odd.cpp"), (["c++", "-std=c++20"], "odd.cpp")):
        for source in (alone, text):
            (HERE / name).write_text(source)
            subprocess.run([*compiler, *strict, "-c", name, "-o", "program.o"], check=True)
        subprocess.run([*compiler, *strict, name, "-o", "program"], check=True)
        lines = subprocess.run(["./program"], check=True, capture_output=True).stdout.decode().split("\n")
        assert lines == [*sorted(kinds, key=str.encode), *sorted(kinds, key=str.encode), '"the"\\', ""], lines
    # Bytes are to be divided.
    np.savez("bytes.npz", x=np.arange(240, dtype=np.uint8).reshape(40, 6), y=np.arange(40) % 3)
    succeed(BNC, "train", MODEL, "--data", "bytes.npz", "--out", "bytes")
    succeed(BNC, "compile", MODEL, "--weights", "bytes/weights.safetensors", "-o", "bytes.o", "--header", "bytes.h")
    assert "#define net_BYTE_DIVISOR 255.0f\n" in (HERE / "bytes.h").read_text()
    print("ok     headers say what a model takes and tells")


def folders():
    """Runs keep what they make, and lose nothing."""
    words = ["train", MODEL, "--data", DATA, "--steps", 4]
    assert "the run goes into runs/net-1\n" in succeed(BNC, *words).stderr
    result = json.loads(succeed(BNC, *words, "--json").stdout.splitlines()[-1])
    assert result["weights"] == "runs/net-2/weights.safetensors" and (HERE / "runs/net-2/report.html").is_file(), result
    (HERE / "runs" / "net-9").mkdir()
    assert "the run goes into runs/net-10\n" in succeed(BNC, *words, "--tensorboard").stderr
    before = sorted(os.listdir("runs"))
    refused(["no data set"], "train", MODEL, "--data", "none.npz")
    assert sorted(os.listdir("runs")) == before
    (HERE / "empty").mkdir()
    os.chdir(HERE / "empty")
    refused(["no data set"], "train", MODEL, "--data", "none.npz")
    assert os.listdir(".") == []
    os.chdir(HERE)

    kept = (HERE / "runs/net-1/weights.safetensors").read_bytes()
    refused(["runs/net-1 holds history.csv of another run", "--resume runs/net-1", "--overwrite"], *words, "--seed", 5, "--out", "runs/net-1")
    refused(["holds history.csv of another run"], *words, "--resume", "runs/net-2", "--out", "runs/net-1")
    assert (HERE / "runs/net-1/weights.safetensors").read_bytes() == kept
    succeed(BNC, "train", MODEL, "--data", DATA, "--steps", 8, "--resume", "runs/net-1", "--out", "runs/../runs/net-1")
    succeed(BNC, *words, "--seed", 5, "--out", "runs/net-1", "--overwrite")
    assert (HERE / "runs/net-1/weights.safetensors").read_bytes() != kept
    (HERE / "other" / "folder").mkdir(parents=True)
    (HERE / "other" / "notes.txt").write_text("mine")
    succeed(BNC, *words, "--out", "other")
    assert (HERE / "other" / "notes.txt").read_text() == "mine"
    print("ok     folders of runs")


def notes():
    """What is said of a run before it begins, each once."""
    def said(*words):
        return succeed(BNC, "train", *words, "--out", "said", "--overwrite").stderr
    text = said(MODEL, "--data", DATA, "--test", DATA)
    assert f"warning: {DATA} tests on the rows it trains on: all of its 40 examples" in text and "--validate" in text, text
    assert "left out" not in text and "leaves" not in text and "no length" not in text, text
    (HERE / "copy.npz").write_bytes(DATA.read_bytes())
    assert "tests on the rows it trains on" in said(MODEL, "--data", DATA, "--test", "copy.npz")
    assert "tests on the rows it trains on" in said(MODEL, "--data", DATA, "--test", f"{DATA}:test")
    assert "31 of its 40 examples" in said(MODEL, "--data", DATA, "--validate", 0.225, "--test", DATA)
    for words in (["--data", DATA, "--test", OTHERS], ["--data", f"{DATA}:train", "--test", f"{DATA}:test"], ["--data", DATA]):
        assert "warning" not in said(MODEL, *words), words
    text = said(MODEL, "--data", DATA, "--batch", 6, "--epochs", 3)
    assert text.count("each epoch leaves 4 of the 40 training examples out") == 1, text
    endless = HERE / "endless.bn"
    endless.write_text(SMALL_NETWORK.replace("  epochs    = 1\n", ""))
    assert said(endless, "--data", DATA).count("trains for 1 epoch") == 1
    for words in (["--epochs", 1], ["--steps", 3]):
        assert "trains for" not in said(endless, "--data", DATA, *words)
    text = said(MODEL, "--data", DATA, "--validate", 0.25)
    assert ", validation loss" in text and "test" not in text, text
    page = (HERE / "said" / "report.html").read_text()
    assert "validation accuracy" in page and "validation examples were misclassified" in page and "test accuracy" not in page
    assert ", test loss" in said(MODEL, "--data", DATA, "--test", OTHERS)
    print("ok     what is said before a run")


def extensions():
    """A name that means another format."""
    weights = init(MODEL)
    np.savez("in.npz", x=np.zeros((2, 6), np.float32))
    for words in (["run", MODEL, "--weights", weights, "--input", "in.npz", "--output", "p.csv"], ["init", MODEL, "-o", "w.o"],
                  ["restat", MODEL, "--weights", weights, "--data", DATA, "-o", "w.npz"], ["compile", MODEL, "-o", "x.h"],
                  ["compile", MODEL, "-o", "x.o", "--header", "x.C"], ["compile", MODEL, "--emit", "shared", "-o", "x.o"],
                  ["compile", MODEL, "--emit", "graph", "-o", "x.ll"], ["compile", MODEL, "--emit", "asm", "-o", "x.O"],
                  ["compile", MODEL, "--emit", "llvm", "-o", "x.bc"], ["opt", MODEL, "--passes", "dead-code", "-o", "x.safetensors"],
                  ["report", "run", "-o", "x.PDF"], ["predict", MODEL, "--weights", weights, "--data", DATA, "-o", "p.html"]):
        before = sorted(os.listdir())
        refused([words[-1]], *words, code=2)
        assert sorted(os.listdir()) == before, words
    refused(["`--output` p.csv would be a NumPy archive, but its name says a table; call it *.npz"], "run", MODEL, "--weights", weights, "--input", "in.npz", "--output", "p.csv", code=2)
    for words in (["init", MODEL, "-o", "w.SAFETENSORS"], ["init", MODEL, "-o", "w.bin"], ["init", MODEL, "-o", "w"], ["compile", MODEL, "-o", "x.o", "--header", "x.hpp"],
                  ["compile", MODEL, "--emit", "loops", "-o", "x.txt"]):
        succeed(BNC, *words)
    print("ok     names that mean another format")


def main():
    MODEL.write_text(SMALL_NETWORK)
    make_data(DATA, 40, 1)
    make_data(OTHERS, 24, 2)
    identity()
    headers()
    folders()
    notes()
    extensions()
    print("all passed")


if __name__ == "__main__":
    main()
