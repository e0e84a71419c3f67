#!/usr/bin/env python3
"""Networks of several inputs, outputs and targets: trained from their data, resumed to the same bits, evaluated, used for predictions.

usage: objectives.py BNC
"""
import csv
import io
import json
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import call, succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_objectives."))
random = np.random.default_rng(3)


def model(name, network, train):
    path = HERE / f"{name}.bn"
    path.write_text(f"{network}\n\ntrain {name} {{\n  optimizer = adam(rate=0.02)\n  batch = 32\n  epochs = 12\n{train}\n}}\n")
    return path


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def arrays(name, **values):
    path = HERE / name
    np.savez(path, **values)
    return path


def train(path, data, *words, sections=("Predictions",)):
    """Runs to the end at once, and again in two parts: the same bits. The report has those sections. Returns the figures and the weights."""
    whole, parts = HERE / f"{path.stem}.whole", HERE / f"{path.stem}.parts"
    for folder in (whole, parts):
        shutil.rmtree(folder, ignore_errors=True)
    options = ["--data", data, "--validate", 0.2, *words]
    figures = json.loads(succeed(BNC, "train", path, *options, "--out", whole, "--json").stdout.splitlines()[-1])
    succeed(BNC, "train", path, *options, "--epochs", 5, "--out", parts)
    succeed(BNC, "train", path, "--data", data, *words, "--epochs", 12, "--resume", parts)
    weights = whole / "weights.safetensors"
    assert weights.read_bytes() == (parts / "weights.safetensors").read_bytes(), path
    page = (whole / "report.html").read_text()
    assert [name for name in sections if f"<h2>{name}</h2>" not in page] == [], (path, re.findall("<h2>(.*?)</h2>", page))
    return figures, weights


def evaluate(path, weights, data):
    return json.loads(succeed(BNC, "eval", path, "--weights", weights, "--data", data, "--json").stdout)


def history(path):
    with open(HERE / f"{path.stem}.whole/history.csv") as file:
        return [row for row in csv.DictReader(file) if row["test_loss"]]


def two_heads():
    path = model("two", """network two(x: f32[N, 6]) {
  h = relu(batch_norm(dense(x, 16, bias=false)))
  return policy = dense(h, 3), value = dense(h, 1)
}""", """  loss = softmax_cross_entropy(policy, kind) + 0.5 * mean_squared_error(value, price)
  metrics = [accuracy(policy, kind), root_mean_squared_error(value, price), r_squared(value, price), f1_score(policy, kind)]
  watch = r_squared""")
    x = floats(400, 6)
    kind, price = np.argmax(x[:, :3], 1), 2 * x[:, 3] + x[:, 4]
    table = HERE / "two.csv"
    names = ["red", "green", "blue"]
    lines = ["a,b,kind,c,d,price,e,f"]
    lines += [f"{r[0]},{r[1]},{names[k]},{r[2]},{r[3]},{p},{r[4]},{r[5]}" for r, k, p in zip(x, kind, price)]
    table.write_text("\n".join(lines) + "\n")
    _, weights = train(path, table, sections=("Predictions of policy", "Confusion of policy", "Classes of policy", "Predictions of value"))
    found = evaluate(path, weights, table)
    assert found["accuracy"] > 0.9 and found["metrics"]["r_squared"] > 0.9, found
    assert set(found["metrics"]) == {"root_mean_squared_error", "r_squared", "f1_score"}, found
    rows = history(path)
    assert float(rows[-1]["test_r_squared"]) > 0.8
    # Predictions: the class of the one head, the number of the other, whatever the columns' order, without targets.
    shuffled = HERE / "new.csv"
    shuffled.write_text("f,e,d,c,b,a\n" + "".join(",".join(map(str, r[::-1])) + "\n" for r in x))
    answers = list(csv.DictReader(io.StringIO(succeed(BNC, "predict", path, "--weights", weights, "--data", shuffled).stdout)))
    right = np.mean([answer["prediction"] == names[k] for answer, k in zip(answers, kind)])
    numbers = np.array([float(answer["value"]) for answer in answers])
    assert right > 0.9 and np.corrcoef(numbers, price)[0, 1] > 0.95, (right, answers[0])
    # The figures that the best test is chosen by.
    best = max(rows, key=lambda row: float(row["test_r_squared"]))
    record = json.loads(succeed(BNC, "train", path, "--data", table, "--validate", 0.2, "--json", "--out", HERE / "again").stdout.splitlines()[-1])
    assert record["best"]["step"] == int(best["step"]), (record["best"], best)
    # The same numbers from arrays, and names of columns that differ.
    archive = arrays("two.npz", x=x, kind=kind.astype(np.int32), price=price[:, None])
    train(path, archive, sections=("Predictions of policy", "Predictions of value"))
    renamed = HERE / "renamed.csv"
    renamed.write_text(table.read_text().replace("kind", "colour").replace("price", "cost"))
    missing = call(BNC, "train", path, "--data", renamed, "--out", HERE / "missing")
    assert missing.returncode == 1 and "--target COLUMN" in missing.stderr, missing.stderr
    succeed(BNC, "train", path, "--data", renamed, "--target", "colour,cost", "--epochs", 1, "--out", HERE / "renamed")
    text = call(BNC, "eval", path, "--weights", HERE / "two.whole/weights.safetensors", "--data", table)
    assert text.returncode == 1 and "is text, but the network was trained on numbers" in text.stderr, text.stderr


def two_class_heads():
    """Both targets are text: the classes of both are kept with the weights, and named in predictions and report."""
    path = model("kinds", """network kinds(x: f32[N, 3]) {
  h = relu(batch_norm(dense(x, 16, bias=false)))
  return kind = dense(h, 1), colour = dense(h, 3)
}""", """  loss = binary_cross_entropy_with_logits(kind, animal) + softmax_cross_entropy(colour, paint)
  metrics = [accuracy(colour, paint)]""")
    x = floats(400, 3)
    animals = np.where(x[:, 0] > 0, "dog", "cat")
    paints = np.array(["red", "green", "blue"])[np.digitize(x[:, 1], [-0.5, 0.5])]
    table = HERE / "kinds.csv"
    table.write_text("a,b,c,animal,paint\n" + "".join(f"{r[0]},{r[1]},{r[2]},{a},{p}\n" for r, a, p in zip(x, animals, paints)))
    _, weights = train(path, table, sections=("Confusion of kind", "Thresholds of kind", "Confusion of colour"))
    assert evaluate(path, weights, table)["metrics"]["accuracy/colour"] > 0.85
    # Other rows, in other columns, with classes in another order; one class does not occur.
    rows = [k for k in range(400) if paints[k] != "blue"][::-1]
    shuffled = HERE / "shuffled.csv"
    shuffled.write_text("paint,c,animal,b,a\n" + "".join(f"{paints[k]},{x[k][2]},{animals[k]},{x[k][1]},{x[k][0]}\n" for k in rows))
    assert evaluate(path, weights, shuffled)["metrics"]["accuracy/colour"] > 0.85
    answers = list(csv.DictReader(io.StringIO(succeed(BNC, "predict", path, "--weights", weights, "--data", shuffled).stdout)))
    assert np.mean([answer["prediction"] == animals[k] and answer["colour"] == paints[k] for answer, k in zip(answers, rows)]) > 0.8, answers[0]
    names = ["blue", "green", "red"]
    for answer in answers:
        shares = [float(answer[f"colour[{name}]"]) for name in names]
        assert abs(sum(shares) - 1) < 1e-4 and names[int(np.argmax(shares))] == answer["colour"], answer
    first = json.loads(succeed(BNC, "predict", path, "--weights", weights, "--data", shuffled, "--json").stdout.splitlines()[0])
    assert first["colour"] == answers[0]["colour"] and first["prediction"] == answers[0]["prediction"], first
    unknown = HERE / "unknown.csv"
    unknown.write_text(table.read_text().replace(",green", ",gren", 1))
    refused = call(BNC, "eval", path, "--weights", weights, "--data", unknown)
    assert refused.returncode == 1 and "is no class that the network was trained on; is it `green`?" in refused.stderr, refused.stderr


def probabilities():
    """A network that returns a softmax, as imported ones do: accuracy, report and predictions are those of its logits."""
    body = "  h = relu(batch_norm(dense(x, 16, bias=false)))\n"
    x = floats(400, 3)
    labels = np.digitize(x[:, 0], [-0.5, 0.5]).astype(np.int64)
    data = arrays("shares.npz", x=x, labels=labels)
    logits = model("logits", f"network logits(x: f32[N, 3]) {{\n{body}  return y = dense(h, 3)\n}}", "  loss = softmax_cross_entropy(labels)")
    shares = model("shares", f"network shares(x: f32[N, 3]) {{\n{body}  return y = softmax(dense(h, 3))\n}}",
                   "  loss = softmax_cross_entropy(log(y + 1e-07), labels)")
    _, weights = train(shares, data, sections=("Confusion",))
    of_shares, of_logits = evaluate(shares, weights, data), evaluate(logits, weights, data)
    assert of_shares["accuracy"] == of_logits["accuracy"] > 0.85 and abs(of_shares["loss"] - of_logits["loss"]) < 1e-4, (of_shares, of_logits)
    answers = [list(csv.DictReader(io.StringIO(succeed(BNC, "predict", path, "--weights", weights, "--data", data).stdout)))
               for path in (shares, logits)]
    for a, b in zip(*answers):
        assert a["prediction"] == b["prediction"] and abs(float(a["probability"]) - float(b["probability"])) < 1e-5, (a, b)


def siamese():
    path = model("siamese", """block embed(x, first, second) { return matmul(relu(matmul(x, first)), second) }
network siamese(left: f32[N, 8], right: f32[N, 8]) {
  parameter first: f32[8, 16] = he
  parameter second: f32[16, 4] = he
  d = embed(left, first, second) - embed(right, first, second)
  return score = dense(relu(batch_norm(dense(batch_norm(reduce_sum(d * d, axes=[1], keep_dims=true)), 8))), 1)
}""", "  loss = binary_cross_entropy_with_logits(same)")
    left, same = floats(400, 8), random.random(400) < 0.5
    right = np.where(same[:, None], left + 0.05 * floats(400, 8), floats(400, 8)).astype(np.float32)
    data = arrays("siamese.npz", left=left, right=right, same=same.astype(np.int32))
    _, weights = train(path, data, sections=("Predictions", "Confusion", "Classes", "Thresholds"))
    assert evaluate(path, weights, data)["accuracy"] > 0.85
    new = arrays("pairs.npz", left=left, right=right)
    lines = succeed(BNC, "predict", path, "--weights", weights, "--data", new).stdout.splitlines()
    assert np.mean([line.split(",")[0] == str(int(s)) for line, s in zip(lines[1:], same)]) > 0.85
    one = call(BNC, "train", path, "--data", arrays("one.npz", x=left, y=same.astype(np.int32)), "--out", HERE / "one")
    assert one.returncode == 1 and "right" in one.stderr, one.stderr


def autoencoder():
    path = model("auto", """network auto(x: f32[N, 8]) {
  return image = dense(relu(batch_norm(dense(x, 4, bias=false))), 8)
}""", "  loss = mean_squared_error\n  target = x\n  metrics = [r_squared(image, x)]")
    basis = floats(3, 8)
    data = arrays("auto.npz", x=floats(400, 3) @ basis)
    _, weights = train(path, data)
    found = evaluate(path, weights, data)
    assert found["metrics"]["r_squared"] > 0.5, found
    assert len(succeed(BNC, "predict", path, "--weights", weights, "--data", data).stdout.splitlines()) == 401


def several_numbers():
    path = model("plane", "network plane(x: f32[N, 3]) { return y = dense(batch_norm(dense(x, 8)), 2) }", "  loss = mean_squared_error")
    x = floats(200, 3)
    table = HERE / "plane.csv"
    table.write_text("u,v,a,b,c\n" + "".join(f"{int(3 * r[0])},{r[1] - r[2]},{r[0]},{r[1]},{r[2]}\n" for r in x))
    _, weights = train(path, table, "--target", "u,v")
    figures = evaluate(path, weights, table)
    assert figures["count"] == 200 and figures["loss"] < 1.0, figures
    head = succeed(BNC, "predict", path, "--weights", weights, "--data", table).stdout.splitlines()[0]
    assert head == "y[0],y[1]", head


def u_net():
    path = model("unet", """network unet(x: f32[N, 8, 12, 2]) {
  wide = relu(batch_norm(conv2d(x, 4, bias=false)))
  deep = relu(batch_norm(conv2d(max_pool(wide, 2), 6, bias=false)))
  return scores = conv2d(concat(resize(deep, size=[8, 12]), wide), 3, 1)
}""", "  loss = softmax_cross_entropy(scores, mask, ignore=255, class_weights=balanced)\n  metrics = [intersection_over_union(scores, mask)]")
    x = floats(120, 8, 12, 2)
    mask = np.where(x[..., 0] > 0, 1, np.where(x[..., 1] > 0.5, 2, 0)).astype(np.int32)
    mask[:, :, :3] = 255
    data = arrays("unet.npz", x=x, mask=mask)
    _, weights = train(path, data, sections=("Confusion", "Classes"))
    found = evaluate(path, weights, data)
    assert found["accuracy"] > 0.85 and found["metrics"]["intersection_over_union"] > 0.7, found
    mask[0, 0, 5] = 3
    wrong = call(BNC, "eval", path, "--weights", weights, "--data", arrays("wrong.npz", x=x, mask=mask))
    assert wrong.returncode == 1 and "label 3 of example 0 is out of range" in wrong.stderr, wrong.stderr


def weighted_examples():
    path = model("weighted", "network weighted(x: f32[N, 2]) { return y = dense(x, 2) }", "  loss = softmax_cross_entropy(y, kind, weights=importance)")
    x = 3 * floats(300, 2)
    kind, honest = (x[:, 0] > 0).astype(int), random.random(300) < 0.5
    told = np.where(honest, kind, 1 - kind)   # those that lie have no weight
    table = HERE / "weighted.csv"
    table.write_text("a,b,kind,importance\n" + "".join(f"{r[0]},{r[1]},{'no' if k == 0 else 'yes'},{int(h)}\n" for r, k, h in zip(x, told, honest)))
    _, weights = train(path, table)
    answers = list(csv.DictReader(io.StringIO(succeed(BNC, "predict", path, "--weights", weights, "--data", table).stdout)))
    assert np.mean([(answer["prediction"] == "yes") == k for answer, k in zip(answers, kind)]) > 0.95


def balanced_classes():
    """One of twenty examples is of the second class: balanced, it is predicted about as often as it should be."""
    network = "network rare(x: f32[N, 1]) { return y = dense(x, 2) }"
    x = np.concatenate([floats(380, 1), floats(20, 1) + 1.5])
    data = arrays("rare.npz", x=x.astype(np.float32), y=np.repeat([0, 1], [380, 20]).astype(np.int32))
    found = []
    for weights in ("", ", class_weights=balanced"):
        path = model("rare", network, f"  loss = softmax_cross_entropy(labels{weights})\n  metrics = [recall]")
        _, trained = train(path, data)
        found.append(evaluate(path, trained, data)["metrics"]["recall"])
    assert found[1] > found[0] + 0.1, found


for test in (two_heads, two_class_heads, siamese, autoencoder, several_numbers, u_net, weighted_examples, balanced_classes, probabilities):
    test()
    print(f"ok {test.__name__}")
