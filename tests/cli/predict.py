#!/usr/bin/env python3
"""`bnc predict`, and what travels with the weights so that it can: names of classes, columns and their rules.

usage: predict.py BNC
"""
import csv
import io
import json
import math
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import call, succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_predict."))
KINDS = ["setosa", "versicolor", "virginica"]
random = np.random.default_rng(1)


def network(name, inputs, outputs, loss, optimizer="adam(rate=0.02)", epochs=40):
    path = HERE / f"{name}.bn"
    path.write_text(f"""network {name}(x: f32[N, {inputs}]) {{
  return y = dense(relu(batch_norm(dense(x, 16))), {outputs})
}}

train {name} {{
  loss      = {loss}
  optimizer = {optimizer}
  batch     = 16
  epochs    = {epochs}
}}
""")
    return path


def table(name, header, rows, delimiter=","):
    path = HERE / name
    path.write_text("".join(delimiter.join(map(str, row)) + "\n" for row in [header, *rows]))
    return path


def flowers(count):
    centres = {"setosa": (5.0, 1.5), "versicolor": (5.9, 4.3), "virginica": (6.6, 6.5)}
    for k in range(count):
        kind = KINDS[k % 3]
        yield [*(round(random.normal(c, 0.2), 2) for c in centres[kind]), ["north", "south"][k % 2], kind]


def train(model, data, *words):
    run = HERE / f"run_{model.stem}"
    succeed(BNC, "train", model, "--data", data, "--out", run, *words)
    return run / "weights.safetensors"


def predictions(*words):
    return list(csv.reader(io.StringIO(succeed(BNC, "predict", *words).stdout)))


def refused(parts, *words, code=1):
    result = call(BNC, *words)
    assert result.returncode == code and all(part in result.stderr for part in parts), f"{words}: {result.returncode} {result.stderr}"


def classes():
    model = network("flowers", 4, 3, "softmax_cross_entropy(labels)")
    header = ["sepal", "petal", "site", "species"]
    rows = list(flowers(90))
    weights = train(model, table("flowers.csv", header, rows[:60]))
    rest = rows[60:]
    # Unlabelled rows in another order, with an id.
    new = table("new.csv", ["site", "id", "petal", "sepal"], [[r[2], f"p{k}", r[1], r[0]] for k, r in enumerate(rest)], ";")
    found = predictions(model, "--weights", weights, "--data", new, "--id", "id")
    assert found[0] == ["id", "prediction", "probability", *KINDS], found[0]
    assert [row[0] for row in found[1:]] == [f"p{k}" for k in range(len(rest))]
    assert [row[1] for row in found[1:]] == [r[3] for r in rest]
    for row in found[1:]:
        shares = [float(x) for x in row[3:]]
        assert math.isclose(sum(shares), 1, abs_tol=1e-5) and float(row[2]) == max(shares) and KINDS[int(np.argmax(shares))] == row[1]
    # Batches of any size give the same; so do files and JSON.
    for batch in (1, 7, 1000):
        assert predictions(model, "--weights", weights, "--data", new, "--id", "id", "--batch", batch)[1][1] == found[1][1]
    succeed(BNC, "predict", model, "--weights", weights, "--data", new, "--id", "id", "-o", HERE / "p.tsv")
    assert list(csv.reader((HERE / "p.tsv").open(), delimiter="\t")) == found
    succeed(BNC, "predict", model, "--weights", weights, "--data", new, "-o", HERE / "p.npz")
    with np.load(HERE / "p.npz") as arrays:
        assert [KINDS[k] for k in arrays["prediction"]] == [row[1] for row in found[1:]]
        assert np.allclose(arrays["probabilities"], [[float(x) for x in row[3:]] for row in found[1:]], atol=1e-6)
    lines = [json.loads(line) for line in succeed(BNC, "predict", model, "--weights", weights, "--data", new, "--id", "id", "--json").stdout.splitlines()]
    assert [(line["id"], line["prediction"]) for line in lines] == [(row[0], row[1]) for row in found[1:]]
    top = predictions(model, "--weights", weights, "--data", new, "--top", 2)
    assert top[0] == ["prediction", "probability", "prediction_2", "probability_2"]
    assert [row[0] for row in top[1:]] == [row[1] for row in found[1:]] and all(float(row[1]) >= float(row[3]) for row in top[1:])
    # Labels are matched by name: shuffled and incomplete is right, renamed is refused.
    only = table("only.csv", ["species", *header[:3]], [[r[3], *r[:3]] for r in reversed(rest) if r[3] != "setosa"])
    result = json.loads(succeed(BNC, "eval", model, "--weights", weights, "--data", only, "--json").stdout)
    assert result["accuracy"] == 1 and result["count"] == 20, result
    assert "accuracy 1.0000" in succeed(BNC, "predict", model, "--weights", weights, "--data", only).stderr
    renamed = table("renamed.csv", header, [[*r[:3], r[3].replace("virginica", "virginca")] for r in rest])
    for command in ("eval", "predict"):
        refused(["renamed.csv:4:", "`virginca`", "is it `virginica`?"], command, model, "--weights", weights, "--data", renamed)
    refused(["renamed.csv:4:", "`virginca`"], "train", model, "--data", HERE / "flowers.csv", "--test", renamed)
    refused(["`west`", "--unknown zero"], "predict", model, "--weights", weights, "--data",
            table("west.csv", header[:3], [[5, 1.5, "west"]]))
    assert predictions(model, "--weights", weights, "--data", HERE / "west.csv", "--unknown", "zero")[1][0] == "setosa"
    refused(["`--output p.txt`"], "predict", model, "--weights", weights, "--data", new, "-o", "p.txt", code=2)
    refused(["no column `ident`"], "predict", model, "--weights", weights, "--data", new, "--id", "ident")
    refused(["input `x` of network `flowers` is f32[N, 4]", "`sepal`, `petal`, `site` as 3 (east, north, south)"], "train", model, "--data",
            table("east.csv", header, [*rows, [5, 1.5, "east", "setosa"]]))
    print("ok     classes of a table with text")


def numbers():
    model = network("prices", 2, 1, "mean_squared_error(labels)", "adam(rate=0.05)", 60)
    rows = [[a, "" if k % 9 == 0 else b, 3 * a + b] for k, (a, b) in enumerate(random.integers(0, 9, (80, 2)))]
    data = table("prices.csv", ["a", "b", "price"], rows)
    refused(["prices.csv:2:", "column `b` is empty here", "--missing mean"], "train", model, "--data", data)
    weights = train(model, data, "--missing", "mean")
    found = predictions(model, "--weights", weights, "--data", table("ask.csv", ["b", "a"], [[4, 4], ["", 2], [0, 8]]))
    assert found[0] == ["y"], found
    mean = np.mean([row[1] for row in rows if row[1] != ""])
    for (got,), wanted in zip(found[1:], [16, 6 + mean, 24]):
        assert abs(float(got) - wanted) < 3, (got, wanted)
    assert len(predictions(model, "--weights", weights, "--data", data)) == 81
    refused(["`--top` goes with classes"], "predict", model, "--weights", weights, "--data", HERE / "ask.csv", "--top", 1, code=2)
    print("ok     numbers, and values that are missing")


def two_classes():
    model = network("mail", 2, 1, "binary_cross_entropy_with_logits(labels)")
    rows = [[round(random.normal(2 * k, 0.3), 2), round(random.normal(-k, 0.3), 2), ["ham", "spam"][k]] for k in [0, 1] * 30]
    weights = train(model, table("mail.csv", ["u", "v", "kind"], rows))
    found = predictions(model, "--weights", weights, "--data", HERE / "mail.csv", "--ignore", "kind")
    assert found[0] == ["prediction", "probability", "ham", "spam"], found[0]
    assert [row[0] for row in found[1:]] == [row[2] for row in rows]
    print("ok     two classes of one output")


def arrays():
    model = network("blobs", 3, 2, "softmax_cross_entropy(labels)")
    y = np.arange(40) % 2
    x = (random.normal(0, 0.2, (40, 3)) + y[:, None]).astype(np.float32)
    np.savez(HERE / "blobs.npz", x=x, y=y.astype(np.int32))
    weights = train(model, HERE / "blobs.npz")
    found = predictions(model, "--weights", weights, "--data", HERE / "blobs.npz")
    assert found[0] == ["prediction", "probability", "0", "1"]
    assert [int(row[0]) for row in found[1:]] == y.tolist()
    np.savez(HERE / "bare.npz", x=x)
    assert predictions(model, "--weights", weights, "--data", HERE / "bare.npz") == found
    print("ok     arrays, with targets and without")


def through_onnx():
    """What is known of the data goes with a model of ONNX: it comes back with the names of classes, columns and their rules."""
    model = network("travellers", 4, 3, "softmax_cross_entropy(labels)")
    header = ["width", "height", "region", "kind"]
    data = table("travellers.csv", header, flowers(150))
    weights = train(model, data, "--target", "kind")
    onnx, back, back_weights = HERE / "travellers.onnx", HERE / "back.bn", HERE / "back.safetensors"
    succeed(BNC, "export", model, "--weights", weights, "-o", onnx)
    succeed(BNC, "import", onnx, "-o", back, "--weights", back_weights)
    found, expected = (predictions(m, "--weights", w, "--data", data) for m, w in ((back, back_weights), (model, weights)))
    assert found[0] == expected[0] == ["prediction", "probability", *KINDS], found[0]
    for a, b in zip(found[1:], expected[1:]):
        assert a[0] == b[0] and np.allclose([float(x) for x in a[1:]], [float(x) for x in b[1:]], atol=1e-5), (a, b)
    print("ok     names of classes and columns through ONNX")


def main():
    classes()
    through_onnx()
    numbers()
    two_classes()
    arrays()
    print("all passed")


if __name__ == "__main__":
    main()
