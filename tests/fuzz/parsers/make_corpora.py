#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets to tests/fuzz/corpora; what the fuzzer found since lies beside them.

usage: make_corpora.py
"""
import gzip
import io
import json
import pathlib
import struct
import zipfile

import numpy as np
import onnx_corpus
import torch_corpus

CORPORA = pathlib.Path(__file__).resolve().parent.parent / "corpora"


def write(target, name, data):
    folder = CORPORA / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def weights():
    four = np.arange(4, dtype=np.float32).tobytes()
    return {
        "empty": safetensors({}),
        "one": safetensors({"w": entry([4], 0, 16)}, four),
        "matrix": safetensors({"dense_1.weight": entry([2, 2], 0, 16), "dense_1.bias": entry([2], 16, 24)}, four + four[:8]),
        "unaligned": safetensors(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} ', four[:4]),
        "scalar": safetensors({"s": entry([], 0, 4)}, four[:4]),
        "no_elements": safetensors({"z": entry([0, 7], 0, 0), "w": entry([1], 0, 4)}, four[:4]),
        "metadata": safetensors({"__metadata__": {"format": "pt"}, "w": entry([1], 0, 4)}, four[:4]),
        "int64": safetensors({"num_batches_tracked": entry([], 0, 8, "I64"), "w": entry([1], 8, 12)}, bytes(8) + four[:4]),
        "reversed": safetensors({"b": entry([1], 4, 8), "a": entry([1], 0, 4)}, four[:8]),
        "huge_shape": safetensors({"w": entry([1 << 60], 0, 1 << 62)}),
        "overflowing_shape": safetensors({"w": entry([1 << 33, 1 << 33], 0, 0)}),
        "overlap": safetensors({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, four[:12]),
        "twice": safetensors(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four[:4]),
        "header_too_long": safetensors(b"{}", length=1 << 60),
        "nested": safetensors(b"[" * 500),
        "no_json": safetensors(b"{\"w\":"),
    }


def npz(compressed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_header(text, data=b"", version=1):
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text.encode() + data


def overlapping_zip():
    """Two entries of the directory at the same local one: a few bytes that claim any amount."""
    raw = npz(compressed=True, x=np.zeros(1000, np.uint8))
    end = raw.rindex(b"PK\5\6")
    start = struct.unpack("<I", raw[end + 16:end + 20])[0]
    one = raw[start:end]
    two = one + one.replace(b"x.npy", b"y.npy")
    return raw[:start] + two + raw[end:end + 8] + struct.pack("<HHII", 2, 2, len(two), start) + b"\0\0"


def archives():
    x, y = np.arange(12, dtype=np.float32).reshape(4, 3), np.array([0, 1, 2, 0], np.int64)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("x.npy"), bytes(1 << 20), zipfile.ZIP_DEFLATED)
    return {
        "data_set": npz(x=x, y=y),
        "deflated": npz(compressed=True, x=x.astype(np.uint8), y=y.astype(np.uint8)),
        "targets": npz(x=x, y=x[:, :2]),
        "empty": npz(),
        "bomb": bomb.getvalue(),
        "overlap": overlapping_zip(),
        "f4.npy": npy(x),
        "f8.npy": npy(x.astype(np.float64)),
        "i8.npy": npy(y),
        "u1.npy": npy(x.astype(np.uint8)),
        "fortran.npy": npy(np.asfortranarray(x)),
        "scalar.npy": npy(np.float32(3)),
        "no_elements.npy": npy(x[:0]),
        "version2.npy": npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", bytes(4), 2),
        "huge.npy": npy_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({1 << 60},), }}"),
        "huge_but_empty.npy": npy_header(f"{{'descr': '|u1', 'fortran_order': True, 'shape': ({1 << 40}, {1 << 22}, 0), }}"),
        "big_endian.npy": npy(x.astype(">f4")),
    }


def part(data):
    return struct.pack("<H", len(data)) + data


def idx(dims, data=None, kind=8):
    count = int(np.prod(dims)) if data is None else 0
    return struct.pack(f">BBBB{len(dims)}I", 0, 0, kind, len(dims), *dims) + (bytes(k % 251 for k in range(count)) if data is None else data)


def idx_pairs():
    labels = idx([3], bytes([0, 1, 2]))
    images = idx([3, 2, 2])
    return {
        "gray": part(labels) + images,
        "color": part(labels) + idx([3, 2, 2, 3]),
        "gzipped": part(gzip.compress(labels, mtime=0)) + gzip.compress(images, mtime=0),
        "two_members": part(labels) + gzip.compress(images[:9], mtime=0) + gzip.compress(images[9:], mtime=0),
        "none": part(idx([0], b"")) + idx([0, 2, 2], b""),
        "hollow": part(labels) + idx([3, 0, 2], b""),
        "cut": part(labels) + images[:-1],
        "too_long": part(labels) + images + b"x",
        "huge": part(labels) + idx([0xffffffff] * 4, b""),
        "huge_but_empty": part(labels) + idx([3] + [0xffffffff] * 3 + [0], b""),
        "floats": part(labels) + idx([3, 2, 2], kind=0x0d),
        "rank": part(labels) + struct.pack(">BBBB", 0, 0, 8, 255),
        "bomb": part(labels) + gzip.compress(bytes(1 << 20), mtime=0),
    }


def cifar_batches():
    record = lambda label: bytes([label]) + bytes((k * 7 + label) % 256 for k in range(3072))
    return {
        "one": gzip.compress(record(0), mtime=0),
        "two": gzip.compress(record(3) + record(9), mtime=0),
        "plain": record(1),
        "label": gzip.compress(record(10), mtime=0),
        "cut": gzip.compress(record(0)[:-1], mtime=0),
        "too_long": gzip.compress(record(0) + b"\1", mtime=0),
        "empty": b"",
        "empty_gzip": gzip.compress(b"", mtime=0),
        "gzip_cut": gzip.compress(record(0), mtime=0)[:-9],
        "gzip_header": b"\x1f\x8b",
        "members": gzip.compress(record(0)[:1000], mtime=0) + gzip.compress(record(0)[1000:], mtime=0),
        "bomb": gzip.compress(bytes(1 << 20), mtime=0),
    }


def tables():
    rows = "1,2,0\n3,4,1\n5,6,0\n7,8,1\n9,1,0\n"
    return {
        "labels": rows,
        "header": "a,b,label\n" + rows,
        "numbers_as_header": "0,1,2\n" + rows,
        "blank_last_line": rows + "\n",
        "windows": rows.replace("\n", "\r\n"),
        "byte_order_mark": b"\xef\xbb\xbf" + rows.encode(),
        "text_labels": rows.replace(",0\n", ",cat\n").replace(",1\n", ",dog\n"),
        "float_targets": rows.replace(",0\n", ",0.5\n"),
        "quoted": '"a ""b""","c\nd",label\n1,"2",x\n3,4,"y,z"\n5,6,x\n7,8,x\n9,1,x\n',
        "underflow": "1e-50,1e-320,0\n1e39,2,1\n",
        "not_finite": "nan,1,0\n1,inf,1\n",
        "ragged": "1,2,0\n1,2\n",
        "open_quote": '1,"2,0\n',
        "missing": "1,,0\n",
        "one_column": "1\n2\n",
        "empty": "",
        "zero_byte": b"1,2,0\n\0",
        "gzipped": gzip.compress(rows.encode(), mtime=0),
        "spaces": " 1 , +2 ,0\n\t3,-4e0 , 1\n",
    }


def checkpoints():
    history = "step,epoch,loss,accuracy,test_loss,test_accuracy,rate,seconds\n4,1,0.5,0.75,,,0.01,0.100\n8,2,0.25,1,0.5,0.5,0.01,0.200\n"
    distributions = "step,batch_norm,p5,p15,p50,p85,p95\n0,batch_norm_1,-1,-0.5,0,0.5,1\n"
    progress = {"network": "net", "step": 8, "steps": 20, "seed": 0, "batch": 4, "examples": 16, "validate": 0.0,
                "epoch": {"loss": 1.0, "right": 8.0, "batches": 4}, "interval": {"loss": None, "right": None, "batches": 0},
                "best_step": 8, "seconds": 0.2, "settings": {"loss": "mean_squared_error", "batch": "4"}}
    tensors, state = weights()["one"], npz(**{"training.step": np.array([8], np.int32)})

    def whole(text=None, rows=history, looks=distributions, store=tensors, best=tensors, hidden=state, **changes):
        text = json.dumps(progress | changes) if text is None else text
        return b"".join(part(each if isinstance(each, bytes) else each.encode()) for each in (text, rows, looks, store, best)) + hidden

    return {
        "whole": whole(),
        "no_best": whole(best_step=None, best=b""),
        "best_missing": whole(best_step=7),
        "no_progress": whole(text=""),
        "progress_is_list": whole(text="[]"),
        "progress_nested": whole(text="[" * 500),
        "negative_step": whole(step=-1),
        "huge_step": whole(step=1 << 62, steps=1 << 62, batch=1 << 62),
        "step_is_float": whole(step=1e300),
        "seed_is_negative": whole(seed=-1),
        "name_is_no_utf8": whole(text=json.dumps(progress).replace("net", "n\xff").encode("latin-1")),
        "no_settings": whole(settings={}),
        "history_cut": whole(rows=history[:-9]),
        "no_distributions": whole(looks=""),
        "weights_cut": whole(store=tensors[:-1]),
        "state_cut": whole(hidden=state[:-1]),
    }


def networks():
    train = "train net {\n  loss = softmax_cross_entropy(labels)\n  optimizer = sgd(rate=0.01, momentum=0.9)\n  batch = 4\n  epochs = 1\n}\n"
    body = lambda text: f"network net(x: f32[N, 6]) {{\n{text}\n}}\n"
    nested = lambda open_, close, count: body("return " + open_ * count + "x" + close * count)
    return {
        "mlp": body("  h = sigmoid(batch_norm(dense(x, 5)))\n  return dense(h, 3)") + train,
        "blocks": "block pair(x, width=4, act=relu) {  # two layers\n  h = act(dense(x, width, bias=false))\n  return dense(h, x.shape[1]), h\n}\n"
                  + body("a, b = pair(x)\nrepeat 3 { a = pair(a, 8, name=again)[0] }\nreturn first = a, second = b"),
        "loops": body("sizes = [4, 2 * 4, if true { 3 } else { 5 }]\nrepeat k in 0..length(sizes) { x = dense(x, sizes[k]) }\nreturn x"),
        "image": "network net(x: f32[N, 3, 8, 8] layout=nchw) {\n  h = relu(batch_norm(conv2d(x, 4, 3, stride=2, padding=same)))\n"
                 "  return dense(flatten(max_pool2d(h, 2)), 2)\n}\n",
        "flat": "network net(x: f32[N, 2]) {\n  parameter w: f32[2, 2] = normal(deviation=0.1)\n  state s: f32[2] = zeros\n  h: f32[N, 2] = matmul(x, w)\n"
                "  update s = s\n  return y = h\n}\n",
        "range_bomb": body("a = 0..9223372036854775807\nb = -9223372036854775807..9223372036854775807\nreturn x"),
        "recursion": "block b(x) { return b(x) }\n" + body("return b(x)"),
        "brackets": nested("(", ")", 500),
        "lists": nested("[", "]", 500),
        "calls": nested("relu(", ")", 500),
        "minus": body("return " + "-" * 500 + "x"),
        "not": body("a = " + "not " * 500 + "true\nreturn x"),
        "indices": body("return " + "x[" * 500),
        "sum": body("return x" + " + x" * 500),
        "else_if": body("if false { }" + " else if false { }" * 200 + "\nreturn x"),
        "braces": body("repeat 1 {" * 200),
        "huge_size": "network net(x: f32[N, 4611686018427387904, 2]) {\n  return concat(x, x)\n}\n",
        "numbers": body("a = 9223372036854775807\nb = 1e308 * 10\nc = 9223372036854775808\nd = -a - 2\ne = a * a\nf = 1 / 0\ng = 7 % -2\nreturn x * b"),
        "not_utf8": b"network \xff",
        "zero_byte": b"network net\0",
        "byte_order_mark": b"\xef\xbb\xbf" + body("return x").encode(),
        "comments": "# a\n\n#b\n" + body("  # c\n  return relu(  # d\n    x)   # e\n#f"),
        "empty": "",
    }


def main():
    for target, inputs in {"bn": networks(), "safetensors": weights(), "npz": archives(), "idx": idx_pairs(), "cifar": cifar_batches(),
                           "csv": tables(), "onnx": onnx_corpus.models(), "torch": torch_corpus.archives(), "checkpoint": checkpoints()}.items():
        for name, data in inputs.items():
            write(target, name, data)


if __name__ == "__main__":
    main()
