#!/usr/bin/env python3
"""`bnc export --state-dict` of the example networks against the same networks in PyTorch.

usage: pytorch_state_dict.py BNC      Exit code 77 where PyTorch is not installed.
Each module gets bnc's weights by tests/pytorch_networks.py; what is exported must be its tensors, in their order, and load into it.
"""
import json
import pathlib
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from comparison import torch
from harness import ROOT, read_safetensors, succeed, write_safetensors

from pytorch_networks import EXAMPLES, paired, randomized

TYPES = {"F32": torch.float32, "I64": torch.int64}
WORDS = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}


def load(path):
    """A state dictionary, in the order of the data; views of the file, as safetensors makes them, which needs aligned data."""
    raw = bytearray(pathlib.Path(path).read_bytes())
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    storage, tensors = torch.frombuffer(raw, dtype=torch.uint8)[8 + length:], {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        tensors[name] = storage[begin:end].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def expected_name(name):
    layer, word = name.rsplit(".", 1)
    return f"{layer}.{WORDS.get(word, word)}"


def check(bnc, name, folder):
    network, weights, exported = ROOT / "examples" / f"{name}.bn", folder / "w.safetensors", folder / "s.safetensors"
    succeed(bnc, "init", network, "--seed", 4, "-o", weights)
    write_safetensors(weights, randomized(read_safetensors(weights)))
    succeed(bnc, "export", network, "--weights", weights, "--state-dict", "-o", exported)
    ours, module = read_safetensors(weights), EXAMPLES[name].build()
    pairs = paired(module, ours)
    for pair in pairs:
        pair.load(ours[pair.name])
    state = load(exported)
    tensors = {key: tensor for key, tensor in state.items() if not key.endswith(".num_batches_tracked")}
    assert list(tensors) == [expected_name(pair.name) for pair in pairs], f"{name}: {list(tensors)[:6]} ..."
    for pair, (key, tensor) in zip(pairs, tensors.items()):
        assert torch.equal(tensor, pair.tensor), f"{name}: {key}"
    batch_norms = [key[:-len(".running_var")] for key in tensors if key.endswith(".running_var")]
    for layer in batch_norms:
        steps = state[f"{layer}.num_batches_tracked"]
        assert steps.shape == () and steps.dtype == torch.int64 and steps == 0, f"{name}: {layer}"
    assert len(state) == len(tensors) + len(batch_norms)

    keys = {tensor.data_ptr(): key for key, tensor in module.state_dict().items()}
    named = {keys[pair.tensor.data_ptr()]: tensor for pair, tensor in zip(pairs, tensors.values())}
    counters = {key: value for key, value in module.state_dict().items() if key.endswith("num_batches_tracked")}
    EXAMPLES[name].build().load_state_dict({**named, **counters})
    print(f"ok    {name:<16} {len(tensors):>4} tensors, {len(batch_norms)} batch norms", flush=True)


def main():
    bnc = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        for name in EXAMPLES:
            check(bnc, name, pathlib.Path(folder))


if __name__ == "__main__":
    main()
