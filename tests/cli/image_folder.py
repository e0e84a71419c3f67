#!/usr/bin/env python3
"""Folders of PNG and JPEG images: train, eval, predict; classes that are missing, renamed or in another set; `bnc data` on every kind of data.

usage: image_folder.py BNC
"""
import base64
import csv
import gzip
import io
import json
import pathlib
import shutil
import struct
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import call, succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_images."))
KINDS = ["blue", "dark", "light"]
random = np.random.default_rng(1)

# 8 x 8 pixels of dark grey, as libjpeg writes them.
JPEGS = {
    "dark": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//"
            "wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABv/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8ABv/Z",
}


def png(pixels):
    """The bytes of a PNG image: height x width of grey, or height x width x 3."""
    height, width = pixels.shape[:2]
    stride = pixels.size // height
    rows = b"".join(b"\0" + pixels.reshape(height, stride)[k].tobytes() for k in range(height))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture(kind, size=(8, 8)):
    centre = {"blue": (40, 50, 200), "dark": (30, 30, 30), "light": (220, 220, 220)}[kind]
    pixels = np.clip(random.normal(centre, 12, (*size, 3)), 0, 255).astype(np.uint8)
    return pixels if kind == "blue" else pixels[:, :, 0]


def folder(name, counts, size=(8, 8), jpegs=0):
    root = HERE / name
    for kind, count in counts.items():
        (root / kind).mkdir(parents=True)
        for k in range(count):
            (root / kind / f"{k:03}.png").write_bytes(png(picture(kind, size)))
        for k in range(jpegs if kind in JPEGS else 0):
            (root / kind / f"{k}.JPG").write_bytes(base64.b64decode(JPEGS[kind]))
    return root


def network(name, shape="8, 8, 3", classes=3):
    path = HERE / f"{name}.bn"
    path.write_text(f"""network {name}(x: f32[N, {shape}]) {{
  return y = dense(relu(batch_norm(dense(flatten(x), 8))), {classes})
}}

train {name} {{
  loss      = softmax_cross_entropy(labels)
  optimizer = adam(rate=0.02)
  batch     = 10
  epochs    = 20
}}
""")
    return path


def predictions(*words):
    return list(csv.reader(io.StringIO(succeed(BNC, "predict", *words).stdout)))


def evaluate(*words):
    return json.loads(succeed(BNC, "eval", *words, "--json").stdout)


def refused(parts, *words, code=1):
    result = call(BNC, *words)
    assert result.returncode == code and all(part in result.stderr for part in parts), f"{words}: {result.returncode} {result.stderr}"


def classes():
    model, data = network("kinds"), folder("train", {kind: 20 for kind in KINDS}, jpegs=3)
    run = HERE / "run"
    succeed(BNC, "train", model, "--data", data, "--out", run)
    weights = run / "weights.safetensors"
    test = folder("test", {kind: 4 for kind in KINDS}, jpegs=1)
    result = evaluate(model, "--weights", weights, "--data", test)
    assert result["accuracy"] == 1 and result["count"] == 13, result
    found = predictions(model, "--weights", weights, "--data", test)
    assert found[0] == ["file", "prediction", "probability", *KINDS], found[0]
    assert ["dark/0.JPG", "dark"] in [row[:2] for row in found] and len(found) == 14
    for row in found[1:]:
        assert row[0].split("/")[0] == row[1] and (test / row[0]).is_file(), row
    line = json.loads(succeed(BNC, "predict", model, "--weights", weights, "--data", test, "--json").stdout.splitlines()[0])
    assert line["file"] == "blue/000.png" and line["prediction"] == "blue", line

    # A class that is missing is no matter; one that is renamed or unknown is an error.
    shutil.rmtree(test / "blue")
    assert evaluate(model, "--weights", weights, "--data", test)["accuracy"] == 1
    (test / "light").rename(test / "lights")
    for command in ("eval", "predict"):
        refused([f"{test}/lights", "is no class that the network was trained on", "is it `light`?", "blue, dark, light"],
                command, model, "--weights", weights, "--data", test)
    refused([f"{test}/lights"], "train", model, "--data", data, "--test", test)
    refused([f"network `kinds` tells 3 classes apart, but there are 2: dark, lights"], "train", model, "--data", test, "--batch", 5)

    # Images without labels.
    new = HERE / "new"
    new.mkdir()
    for k, kind in enumerate(reversed(KINDS)):
        (new / f"{k}.png").write_bytes(png(picture(kind)))
    (new / ".DS_Store").write_bytes(b"x")
    (new / "notes.txt").write_text("x")
    result = succeed(BNC, "predict", model, "--weights", weights, "--data", new)
    assert [row[:2] for row in csv.reader(io.StringIO(result.stdout))][1:] == [["0.png", "light"], ["1.png", "dark"], ["2.png", "blue"]]
    assert "files that are no PNG or JPEG images are left out: notes.txt" in result.stderr, result.stderr
    refused(["the name of an image's folder is its label"], "eval", model, "--weights", weights, "--data", new)
    refused(["is no table"], "predict", model, "--weights", weights, "--data", new, "--id", "name")
    (new / "3.png").write_bytes(png(picture("dark"))[:60])
    refused([f"{new}/3.png: damaged"], "predict", model, "--weights", weights, "--data", new)
    (new / "3.png").write_bytes(b"")
    refused([f"{new}/3.png: the file is empty"], "predict", model, "--weights", weights, "--data", new)
    # An output does not take the place of an image.
    refused(["which would be lost"], "predict", model, "--weights", weights, "--data", data, "-o", data / "dark" / "000.png")
    print("ok     classes of folders")


def sizes():
    model, data = network("small"), folder("large", {kind: 20 for kind in KINDS}, (16, 12))
    refused(["the images are 16x12, but the network takes 8x8", "--resize 8x8"], "train", model, "--data", data)
    (data / "blue" / "odd.png").write_bytes(png(picture("blue", (9, 9))))
    refused(["differ in height and width", "`--resize 8x8` makes them alike"], "train", model, "--data", data)
    for wrong in ("8", "8x", "0x8", "8x8x8", "8x-8"):
        refused(["`--resize` is a height and a width, such as 32x32"], "train", model, "--data", data, "--resize", wrong, code=2)
    run = HERE / "run_small"
    succeed(BNC, "train", model, "--data", data, "--resize", "8x8", "--out", run)
    # The weights keep the size.
    weights = run / "weights.safetensors"
    assert evaluate(model, "--weights", weights, "--data", data)["accuracy"] == 1
    assert evaluate(model, "--weights", weights, "--data", data, "--resize", "8x8")["accuracy"] == 1
    refused(["the images are 9x9, but the network takes 8x8"], "eval", model, "--weights", weights, "--data", data, "--resize", "9x9")
    # Grey by the network's input, with its channels in front or none at all.
    for name, shape in (("grey", "8, 8, 1"), ("flat", "64")):
        succeed(BNC, "train", network(name, shape), "--data", data, "--resize", "8x8", "--epochs", "1")
    # Images fill one input.
    pair = HERE / "pair.bn"
    pair.write_text("network pair(a: f32[N, 8, 8, 3], b: f32[N, 4]) {\n  return y = dense(flatten(a), 3) + dense(b, 3)\n}\n")
    succeed(BNC, "init", pair, "--seed", 1, "-o", HERE / "pair.safetensors")
    refused(["has inputs `a` and `b`"], "predict", pair, "--weights", HERE / "pair.safetensors", "--data", data, "--resize", "8x8")
    print("ok     sizes and colours")


def splits():
    model = network("split")
    for part, count in (("train", 10), ("test", 3)):
        shutil.move(folder(f"part_{part}", {kind: count for kind in KINDS}), HERE / "whole" / part)
    whole = HERE / "whole"
    result = json.loads(succeed(BNC, "train", model, "--data", whole, "--test", whole, "--out", HERE / "run_split", "--json").stdout.splitlines()[-1])
    assert result["test"]["count"] == 9 and result["test"]["accuracy"] == 1, result
    assert evaluate(model, "--weights", result["weights"], "--data", whole)["count"] == 9
    assert evaluate(model, "--weights", result["weights"], "--data", f"{whole}:train")["count"] == 30
    assert evaluate(model, "--weights", result["weights"], "--data", f"{whole / 'train'}:test")["count"] == 6
    shutil.rmtree(whole / "test")
    refused(["holds no folder `test` beside `train`"], "eval", model, "--weights", result["weights"], "--data", whole)
    print("ok     splits")


def summary(*words):
    lines = succeed(BNC, "data", *words, "--json").stdout.splitlines()
    assert len(lines) == 1, lines
    return json.loads(lines[0])


def told(found, *parts):
    text = "\n".join(found["warnings"] + found["notes"])
    for part in parts:
        assert part in text, (part, found)


def tables():
    rows = [[k + 1, f"{random.normal():.3f}", "" if k == 7 else k % 5, "x", f"name {k}", ["north", "south"][k % 2], 2.5 * (k * k % 37), k * k % 37 + 0.5,
             ["no", "yes"][k > 37]] for k in range(40)]
    header = ["nr", "a", "b", "same", "who", "site", "size", "share", "label"]
    (HERE / "t.csv").write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")
    found = summary(HERE / "t.csv")
    assert found["examples"] == 40 and found["classes"] == {"no": 38, "yes": 2} and found["targets"] == "classes", found
    columns = {column["name"]: column for column in found["columns"]}
    assert list(columns) == header and columns["label"]["role"] == "target"
    assert columns["b"]["missing"] == 1 and columns["b"]["type"] == "whole number" and (columns["b"]["lowest"], columns["b"]["highest"]) == (0, 4)
    assert columns["site"]["categories"] == {"north": 20, "south": 20}
    told(found, "column `nr` counts the rows, from 1 to 40", "column `b` lacks 1 of 40 values, the first in line 9", "column `same` is `x` in all rows",
         "column `who` holds another text in every row", "the classes are uneven: `no` has 38 examples, `yes` 2")
    assert "t.csv:9:" in found["problem"] and "`b` is empty here" in found["problem"], found["problem"]
    good = summary(HERE / "t.csv", "--missing", "drop", "--ignore", "who,nr,same")
    assert good["problem"] is None and good["examples"] == 39 and good["shape"] == [6] and (columns["share"]["lowest"], columns["share"]["highest"]) == (0.5, 36.5), good
    told(summary(HERE / "t.csv", "--label", "share"), "column `size` is the target but for scale (correlation 1.000000)")
    text = succeed(BNC, "data", HERE / "t.csv").stdout
    for part in ("examples  40", "`bnc train` refuses this", "site", "2: north, south", "no     38 (95.0 %)", "warning: column `same`"):
        assert part in text, text
    refused(["no column `lable`; did you mean `label`?"], "data", HERE / "t.csv", "--label", "lable")

    leak = [[k % 3, f"{10 * (k % 3) + k % 7 / 10}", f"{random.normal():.3f}", KINDS[k % 3]] for k in range(60)]
    (HERE / "leak.tsv").write_text("\n".join("\t".join(map(str, row)) for row in [["code", "score", "noise", "kind"], *leak]) + "\n")
    found = summary(HERE / "leak.tsv")
    told(found, "column `code` alone tells the classes apart", "column `score` alone tells the classes apart")
    assert len(found["warnings"]) == 2 and found["problem"] is None and found["classes"] == {kind: 20 for kind in KINDS}, found
    (HERE / "one.csv").write_text("1,2,0\n2,1,0\n3,3,0\n1,2,0\n")
    found = summary(HERE / "one.csv")
    told(found, "all examples are of one class, `0`", "1 of 4 examples are equal to one before")
    assert [column["name"] for column in found["columns"]] == ["1", "2", "3"], found
    print("ok     tables as `bnc data` tells them")


def other_kinds():
    found = summary(HERE / "train", )
    assert found["kind"] == "images" and found["examples"] == 63 and found["shape"] == [8, 8, 3] and found["columns"] == [], found
    assert found["classes"] == {"blue": 20, "dark": 23, "light": 20} and found["bytes"], found
    told(found, "2 of 63 examples are equal to one before")
    x = random.integers(0, 255, (30, 4)).astype(np.uint8)
    x[:, 2] = 5
    np.savez(HERE / "a.npz", x=x, y=(np.arange(30) % 3 * 2).astype(np.int32))
    found = summary(HERE / "a.npz")
    assert found["kind"] == "arrays" and found["shape"] == [4] and found["classes"] == {"0": 10, "2": 10, "4": 10}, found
    told(found, "of the classes 0 to 4 2 have no example: 1, 3", "1 of the 4 numbers of an example are the same in all, and tell nothing: at 2")
    np.savez(HERE / "b.npz", x=x.astype(np.float32), y=random.normal(size=30).astype(np.float32))
    found = summary(HERE / "b.npz")
    assert found["targets"] == "numbers" and found["classes"] == {} and not found["bytes"], found
    idx = HERE / "idx"
    idx.mkdir()
    for stem, count in (("train", 6), ("t10k", 2)):
        (idx / f"{stem}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, 2, 2) + bytes(range(4 * count)))
        (idx / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">II", 0x801, count) + bytes(k % 2 for k in range(count))))
    found = summary(idx)
    assert (found["kind"], found["examples"], found["test_examples"], found["classes"]) == ("IDX", 6, 2, {"0": 3, "1": 3}), found
    told(found, "2 of 2 test examples stand among the training examples too")
    cifar = HERE / "cifar"
    cifar.mkdir()
    (cifar / "data_batch_1.bin").write_bytes(b"".join(bytes([k % 2]) + random.bytes(3072) for k in range(4)))
    found = summary(cifar)
    assert (found["kind"], found["shape"], found["classes"]) == ("CIFAR-10", [32, 32, 3], {"airplane": 2, "automobile": 2}), found
    refused(["no data set `nowhere`"], "data", "nowhere")
    refused(["the data SPEC is missing"], "data", code=2)
    print("ok     arrays, images and their folders as `bnc data` tells them")


def main():
    classes()
    sizes()
    splits()
    tables()
    other_kinds()
    print("all passed")


if __name__ == "__main__":
    main()
