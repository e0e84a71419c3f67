#!/usr/bin/env python3
"""Data and weights as common tools write them: numpy, pandas, spreadsheets, PyTorch; the same rules in train, eval, restat and run.

usage: data_files.py BNC
"""
import json
import pathlib
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import call, read_safetensors, succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_data_files."))


def network(name, loss, outputs=2, inputs=4, optimizer="sgd(rate=0.3)"):
    path = HERE / f"{name}.bn"
    path.write_text(f"""network {name}(x: f32[N, {inputs}]) {{
  return y = dense(batch_norm(x), {outputs})
}}

train {name} {{
  loss      = {loss}
  optimizer = {optimizer}
  batch     = 20
  epochs    = 40
}}
""")
    return path


CLASSES = network("classes", "softmax_cross_entropy(labels)")
NUMBERS = network("numbers", "mean_squared_error(labels)", outputs=1, optimizer="adam(rate=0.1)")


def train(model, data, *words):
    out = HERE / f"run-{len(list(HERE.iterdir()))}"
    result = json.loads(succeed(BNC, "train", model, "--data", data, "--out", out, "--json", *words).stdout.splitlines()[-1])
    return result, out / "weights.safetensors"


def evaluate(model, weights, data):
    return json.loads(succeed(BNC, "eval", model, "--weights", weights, "--data", data, "--json").stdout)


def run(model, weights, mode="infer", **arrays):
    np.savez(HERE / "in.npz", **arrays)
    succeed(BNC, "run", model, "--weights", weights, "--input", HERE / "in.npz", "--output", HERE / "out.npz", "--mode", mode)
    return dict(np.load(HERE / "out.npz"))


def refused(*parts, words):
    result = call(BNC, *words)
    assert result.returncode == 1, (words, result)
    for part in parts:
        assert part in result.stderr, (part, result.stderr)


def pixels(count):
    random = np.random.default_rng(3)
    y = (np.arange(count) % 2).astype(np.int64)
    x = random.integers(0, 100, (count, 4)).astype(np.uint8)
    x[:, 0] += (100 * y).astype(np.uint8)
    return x, y


def check_scale():
    """Bytes and floats of the same images: one rule, kept with the weights."""
    x, y = pixels(200)
    np.savez(HERE / "bytes.npz", x=x, y=y)
    np.savez(HERE / "wide.npz", x=x.astype(np.float32), y=y)
    np.savez(HERE / "narrow.npz", x=x.astype(np.float64) / 255, y=y)
    result, wide = train(CLASSES, HERE / "wide.npz", "--test", HERE / "bytes.npz")
    assert result["test"]["accuracy"] > 0.97, result
    accuracy = evaluate(CLASSES, wide, HERE / "wide.npz")["accuracy"]
    assert evaluate(CLASSES, wide, HERE / "bytes.npz")["accuracy"] == accuracy == result["test"]["accuracy"]
    assert np.array_equal(run(CLASSES, wide, x=x)["y"], run(CLASSES, wide, x=x.astype(np.float32))["y"])
    assert np.array_equal(run(CLASSES, wide, x=x.astype(np.int64))["y"], run(CLASSES, wide, x=x.astype(np.float32))["y"])

    _, narrow = train(CLASSES, HERE / "bytes.npz", "--test", HERE / "narrow.npz")
    assert np.allclose(run(CLASSES, narrow, x=x)["y"], run(CLASSES, narrow, x=(x / 255).astype(np.float32))["y"], atol=1e-5)
    refused("wide.npz", "from 0 to", "held bytes", "help:", words=["eval", CLASSES, "--weights", narrow, "--data", HERE / "wide.npz"])
    refused("wide.npz", "held bytes", words=["train", CLASSES, "--data", HERE / "bytes.npz", "--test", HERE / "wide.npz"])
    refused("wide.npz", "held bytes", words=["restat", CLASSES, "--weights", narrow, "--data", HERE / "wide.npz", "-o", HERE / "none"])
    refused("array `x`", "held bytes", words=["run", CLASSES, "--weights", narrow, "--input", HERE / "wide.npz", "--output", HERE / "none"])
    # A run that goes on and weights estimated again keep it.
    succeed(BNC, "train", CLASSES, "--data", HERE / "bytes.npz", "--resume", narrow.parent, "--epochs", 41)
    refused("held bytes", words=["eval", CLASSES, "--weights", narrow, "--data", HERE / "wide.npz"])
    succeed(BNC, "restat", CLASSES, "--weights", narrow, "--data", HERE / "bytes.npz", "-o", HERE / "again.safetensors")
    refused("held bytes", words=["eval", CLASSES, "--weights", HERE / "again.safetensors", "--data", HERE / "wide.npz"])


def check_targets():
    random = np.random.default_rng(4)
    x = random.normal(size=(200, 4)).astype(np.float32)
    y = np.round(20 * x[:, 0] - 7).astype(np.int64)
    np.savez(HERE / "whole.npz", x=x, y=y)
    np.savetxt(HERE / "whole.csv", np.column_stack([x, y]), delimiter=",", fmt=["%.9g"] * 4 + ["%d"])
    np.savetxt(HERE / "fractions.csv", np.column_stack([x, y]), delimiter=",", fmt=["%.9g"] * 4 + ["%.1f"])
    losses = []
    for data in ("whole.npz", "whole.csv", "fractions.csv"):
        result, weights = train(NUMBERS, HERE / data, "--test", HERE / data)
        losses += [result["test"]["loss"], evaluate(NUMBERS, weights, HERE / data)["loss"]]
    assert max(losses) < 3 and max(losses) - min(losses) < 1e-6, losses
    whole, floats = (run(NUMBERS, weights, "train", x=x[:20], labels=labels) for labels in (y[:20], y[:20, None].astype(np.float32)))
    assert whole["loss"] == floats["loss"]

    labels = (x[:, 0] > 0).astype(int)
    for fmt in ("%d", "%.1f", "%.3e"):
        np.savetxt(HERE / "labels.csv", np.column_stack([x, labels]), delimiter=",", fmt=["%.9g"] * 4 + [fmt])
        result, weights = train(CLASSES, HERE / "labels.csv", "--test", HERE / "labels.csv")
        assert result["test"]["accuracy"] > 0.95, result
    assert run(CLASSES, weights, "train", x=x, labels=labels.astype(np.float64))["loss"] == run(CLASSES, weights, "train", x=x, labels=labels)["loss"]
    refused("whole.csv:", "out of range", words=["train", CLASSES, "--data", HERE / "whole.csv"])
    np.savetxt(HERE / "half.csv", np.column_stack([x, labels / 2]), delimiter=",")
    refused("half.csv:", "target 0.5", "mean_squared_error", words=["train", CLASSES, "--data", HERE / "half.csv"])


def check_tables():
    """The same table in the forms of several tools."""
    random = np.random.default_rng(5)
    x = random.normal(size=(100, 4)).astype(np.float32)
    rows = [",".join([*(f"{value:.9g}" for value in row), str(int(row[0] > 0))]) for row in x]
    quoted = [",".join(f'"{field}"' for field in row.split(",")) for row in rows]
    forms = {
        "plain.csv": "\n".join(rows),
        "blank.csv": "\n".join(rows) + "\n\n",
        "pandas.csv": "0,1,2,3,4\n" + "\n".join(rows) + "\n",
        "excel.csv": "\ufeff" + "a,b,c,d,label\r\n" + "\r\n".join(rows) + "\r\n,,,,\r\n",
        "windows.CSV": "\r\r\n".join(rows) + "\r\r\n",
        "r.csv": '"V1","V2","V3","V4","label"\n' + "\n".join(quoted) + "\n",
    }
    reference = None
    for name, text in forms.items():
        (HERE / name).write_bytes(text.encode())
        _, weights = train(CLASSES, HERE / name, "--epochs", 2)
        tensors = {key: value.tobytes() for key, value in read_safetensors(weights).items()}
        reference = reference or tensors
        assert tensors == reference, name
    np.savez(HERE / "d.npz", x=x, y=(x[:, 0] > 0).astype(np.int32))
    (HERE / "d.npz").rename(HERE / "D.NPZ")
    _, weights = train(CLASSES, HERE / "D.NPZ", "--epochs", 2)
    assert {key: value.tobytes() for key, value in read_safetensors(weights).items()} == reference
    rows[3] = "1e-50,+.5,1.,-1E0,0"
    (HERE / "tiny.csv").write_text("\n".join(rows))
    train(CLASSES, HERE / "tiny.csv", "--epochs", 1)
    rows[3] = "1e50,+.5,1.,-1E0,0"
    (HERE / "huge.csv").write_text("\n".join(rows))
    refused("huge.csv:4:1: `1e50` in column 1 is out of the range", "help:", words=["train", CLASSES, "--data", HERE / "huge.csv"])


def check_weights():
    """Tensors of other types and names in a weights file are told and left out; where one is missing they are all listed."""
    path = HERE / "plain.safetensors"
    succeed(BNC, "init", CLASSES, "--seed", 1, "-o", path)
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + length]), raw[8 + length:]

    def write(name, extra, drop=None, metadata=None):
        entries, payload = {"__metadata__": metadata} if metadata else {}, b""
        for key, entry in header.items():
            if key not in (drop, "__metadata__"):
                begin, end = entry["data_offsets"]
                entries[key] = {**entry, "data_offsets": [len(payload), len(payload) + end - begin]}
                payload += data[begin:end]
        for key, (dtype, array) in extra.items():
            entries[key] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(payload), len(payload) + array.nbytes]}
            payload += array.tobytes()
        text = json.dumps(entries).encode()
        (HERE / name).write_bytes(struct.pack("<Q", len(text)) + text + payload)
        return HERE / name

    counter = {"batch_norm_1.num_batches_tracked": ("I64", np.array(7, np.int64))}
    x, y = pixels(40)
    np.savez(HERE / "bytes.npz", x=x, y=y)
    expected = run(CLASSES, path, x=x)["y"]
    torch = write("torch.safetensors", counter, metadata={"format": "pt"})
    assert np.array_equal(run(CLASSES, torch, x=x)["y"], expected)
    result = succeed(BNC, "eval", CLASSES, "--weights", torch, "--data", HERE / "bytes.npz")
    assert "torch.safetensors has a tensor that network `classes` does not use: `batch_norm_1.num_batches_tracked` I64[]" in result.stderr, result.stderr
    more = write("more.safetensors", {**counter, "dense_1.bias_average": ("F32", np.ones(2, np.float32)), "half": ("BF16", np.ones(3, np.uint16)),
                                      "optimizer.dense_1.weight.momentum": ("F32", np.ones((4, 2), np.float32))})
    assert np.array_equal(run(CLASSES, more, x=x)["y"], expected)
    result = succeed(BNC, "train", CLASSES, "--data", HERE / "bytes.npz", "--weights", more, "--steps", 2, "--out", HERE / "tuned")
    assert "`dense_1.bias_average` f32[2]" in result.stderr and "`half` BF16[3]" in result.stderr, result.stderr
    assert [name for name in read_safetensors(HERE / "tuned" / "weights.safetensors") if name != "__metadata__"] == [name for name in header if name != "__metadata__"]
    succeed(BNC, "compile", CLASSES, "--weights", more, "-o", HERE / "net.o")
    renamed = write("renamed.safetensors", {"dense_1.biass": ("F32", np.ones(2, np.float32))}, drop="dense_1.bias")
    refused("missing: `dense_1.bias`", "unknown: `dense_1.biass`", "did you mean", words=["eval", CLASSES, "--weights", renamed, "--data", HERE / "bytes.npz"])
    half = write("half.safetensors", {"dense_1.bias": ("F16", np.ones(2, np.uint16))}, drop="dense_1.bias")
    refused("`dense_1.bias` is F16; bnc reads F32 only", words=["eval", CLASSES, "--weights", half, "--data", HERE / "bytes.npz"])
    for metadata in ({"bnc.input.scale": "halved"}, {"bnc.input.scale": "as stored"}, {"bnc.targets": "4"}, {"a": 4}):
        damaged = write("damaged.safetensors", {}, metadata=metadata)
        refused("damaged.safetensors: its metadata hold", words=["eval", CLASSES, "--weights", damaged, "--data", HERE / "bytes.npz"])


for check in (check_scale, check_targets, check_tables, check_weights):
    check()
    print("ok", check.__name__)
