"""What the scripts under tests/ and bench/ share: calling bnc, and weights files."""
import json
import pathlib
import struct
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77  # the exit code ctest takes for "skipped"

# Six numbers to three classes, with one epoch of training.
SMALL_NETWORK = """network net(x: f32[N, 6]) {
  h = sigmoid(batch_norm(dense(x, 5)))
  return dense(h, 3)
}

train net {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.01)
  batch     = 4
  epochs    = 1
}
"""


def call(bnc, *words, **options):
    """Runs bnc; the result has returncode, stdout and stderr as text."""
    return subprocess.run([str(bnc), *map(str, words)], capture_output=True, text=True, **options)


def succeed(bnc, *words):
    result = call(bnc, *words)
    if result.returncode != 0:
        raise RuntimeError(f"bnc {' '.join(map(str, words))}: exit code {result.returncode}\n{result.stderr}")
    return result


def read_safetensors(path):
    """{name: float32 array}, in the order of the data."""
    raw = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(raw[begin:end], np.float32).reshape(entry["shape"])
    return tensors


def read_metadata(path):
    """What a weights file says beside its tensors: {key: text}."""
    raw = pathlib.Path(path).read_bytes()
    return json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]]).get("__metadata__", {})


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        array = np.ascontiguousarray(array, np.float32)
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)
