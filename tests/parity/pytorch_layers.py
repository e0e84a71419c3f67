#!/usr/bin/env python3
"""Layers and losses one by one against float64 PyTorch, on the same inputs: values and all gradients.

usage: pytorch_layers.py BNC      Exit code 77 where PyTorch is not installed.
Each case is a network of one call; the loss weighs its result with random numbers, so that no gradient vanishes. Then the recurrent
network of the examples, made small: a training step with the statistics of each cell.
"""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from comparison import Comparison, functional, torch
from harness import ROOT, read_safetensors, succeed, write_safetensors

TOLERANCE = 1e-5


def channels_first(layer):
    """A PyTorch layer of images [N, C, H, W], applied to channels last."""
    return lambda x, *p: layer(x.permute(0, 3, 1, 2), *p).permute(0, 2, 3, 1)


def rms_norm(x, gamma):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * gamma


# A call of x, the shape of an example, and the same of x and the parameters in PyTorch.
LAYERS = {
    "layer_norm(x)": ((37,), lambda x, g, b: functional.layer_norm(x, (37,), g, b)),
    "layer_norm(x, epsilon=0.1, gamma=false, beta=false)": ((5, 19), lambda x: functional.layer_norm(x, (19,), eps=0.1)),
    "layer_norm(x, axes=[1, 2, 3])": ((5, 7, 6), lambda x, g, b: functional.layer_norm(x, (5, 7, 6), g, b)),
    "rms_norm(x)": ((7, 21), rms_norm),
    "group_norm(x, 3)": ((9, 7, 12), channels_first(lambda x, g, b: functional.group_norm(x, 3, g, b))),
    "group_norm(x, 1, epsilon=0.01)": ((5, 4, 6), channels_first(lambda x, g, b: functional.group_norm(x, 1, g, b, 0.01))),
    "instance_norm(x)": ((9, 5, 21), channels_first(lambda x, g, b: functional.instance_norm(x, weight=g, bias=b))),
    "instance_norm(x, gamma=false, beta=false)": ((4, 3, 2), channels_first(functional.instance_norm)),
    "matmul(softmax(0.3 * matmul(x, x, transpose_right=true)), x)":
        ((3, 17, 8), lambda x: torch.softmax(0.3 * x @ x.transpose(-1, -2), -1) @ x),
    "matmul(x, matmul(x, x, transpose_left=true))":
        ((3, 17, 8), lambda x: x @ (x.transpose(-1, -2) @ x)),
    "erf(x)": ((5, 19), torch.erf),
    "x * one_hot(argmax(x), classes=19)": ((5, 19), lambda x: x * functional.one_hot(x.argmax(-1), 19)),
}


# A loss of logits and class numbers, and the same in PyTorch.
LOSSES = {
    "softmax_cross_entropy(labels)": {},
    "softmax_cross_entropy(labels, smoothing=0.1)": {"label_smoothing": 0.1},
    "softmax_cross_entropy(labels, smoothing=0.3, reduction=sum)": {"label_smoothing": 0.3, "reduction": "sum"},
    "softmax_cross_entropy(labels, smoothing=1.0)": {"label_smoothing": 1.0},
}


def lstm(rows, weights):
    """lstm_mnist on images of some rows; `weights` by name, of which the stored statistics move as in training."""
    def normalized(x, cell, what, scale, shift):
        name = f"{cell}.{what}"
        return functional.batch_norm(x, weights[f"{name}.mean"], weights[f"{name}.variance"], weights[scale], weights[shift], training=True)

    memory = hidden = None
    for number, row in enumerate(rows):
        cell = f"cell{number + 1}"
        gates = normalized(row @ weights["input_weight"], cell, "from_input", "input_gamma", "no_shift")
        if hidden is not None:
            gates = gates + normalized(hidden @ weights["hidden_weight"], cell, "from_hidden", "hidden_gamma", "no_shift")
        accept, keep, show, candidate = (gates + weights["gate_bias"]).chunk(4, dim=1)
        added = accept.sigmoid() * candidate.tanh()
        memory = added if memory is None else keep.sigmoid() * memory + added
        hidden = show.sigmoid() * normalized(memory, cell, "of_memory", "memory_gamma", "memory_beta").tanh()
    return hidden @ weights["dense_1.weight"] + weights["dense_1.bias"]


class Cases:
    def __init__(self, bnc, folder):
        self.bnc, self.folder, self.random, self.passed = bnc, folder, np.random.default_rng(3), True

    def numbers(self, *shape):
        return (3 + 2 * self.random.standard_normal(shape)).astype(np.float32)

    def train(self, network, inputs, scale=None):
        """One step of the network with random parameters, which come first in what it returns; with `scale` they are around 0."""
        model, weights = self.folder / "m.bn", self.folder / "w.safetensors"
        model.write_text(network)
        succeed(self.bnc, "init", model, "-o", weights)
        parameters = {name: self.numbers(*value.shape) if scale is None else scale * self.random.standard_normal(value.shape).astype(np.float32)
                      for name, value in read_safetensors(weights).items()}
        write_safetensors(weights, parameters)
        np.savez(self.folder / "in.npz", **inputs)
        succeed(self.bnc, "run", model, "--mode", "train", "--weights", weights, "--input", self.folder / "in.npz", "--output", self.folder / "out.npz")
        return parameters, dict(np.load(self.folder / "out.npz"))

    def check(self, name, ours, theirs, start):
        comparison = Comparison(TOLERANCE)
        for key, value in theirs.items():
            comparison.add(key, ours[key], value.detach().numpy())
        self.passed &= comparison.report(name, "training", time.time() - start)

    def layer(self, call, shape, theirs):
        start, examples, dims = time.time(), 3, ", ".join(map(str, shape))
        x, target = self.numbers(examples, *shape), self.numbers(examples, *shape)
        network = f"network net(x: f32[N, {dims}]) {{ return y = {call} }}\ntrain net {{\n loss = mean_squared_error(labels, reduction=sum)\n optimizer = sgd(rate=1.0)\n}}\n"
        parameters, ours = self.train(network, {"x": x, "labels": target})
        tensors = [torch.from_numpy(value).double().requires_grad_() for value in (x, *parameters.values())]
        y = theirs(*tensors)
        loss = (y - torch.from_numpy(target).double()).square().sum()
        loss.backward()
        gradients = {f"grad/{name}": tensor.grad for name, tensor in zip(["x", *parameters], tensors)}
        self.check(call, ours, {"y": y, "loss": loss, **gradients}, start)

    def loss(self, call, theirs):
        start, x, labels = time.time(), self.numbers(7, 13), self.random.integers(0, 13, 7)
        network = f"network net(x: f32[N, 13]) {{ return x }}\ntrain net {{\n loss = {call}\n optimizer = sgd(rate=1.0)\n}}\n"
        _, ours = self.train(network, {"x": x, "labels": labels.astype(np.int32)})
        logits = torch.from_numpy(x).double().requires_grad_()
        loss = functional.cross_entropy(logits, torch.from_numpy(labels), **theirs)
        loss.backward()
        self.check(call, ours, {"loss": loss, "grad/x": logits.grad}, start)

    def recurrent(self):
        """Images of 9 rows of 6 pixels, of which rows 2 to 6 are read, by 7 units."""
        start, network = time.time(), (ROOT / "examples/lstm_mnist.bn").read_text()
        for old, new in (("784", "54"), ("28, 28]", "9, 6]"), ("28]", "6]"), ("[28,", "[6,"), ("4..24", "2..7"), ("row == 4", "row == 2"), ("units=100", "units=7")):
            assert old in network, old
            network = network.replace(old, new)
        x, labels = self.random.random((33, 54)).astype(np.float32), self.random.integers(0, 10, 33)
        parameters, ours = self.train(network, {"x": x, "labels": labels.astype(np.int32)}, scale=0.7)
        weights = {name: torch.from_numpy(value).double() for name, value in parameters.items()}
        learned = [name for name in weights if f"grad/{name}" in ours]
        image = torch.from_numpy(x).double().requires_grad_()
        for name in learned:
            weights[name].requires_grad_()
        scores = lstm(image.reshape(33, 9, 6)[:, 2:7].unbind(1), weights)
        loss = functional.cross_entropy(scores, torch.from_numpy(labels))
        loss.backward()
        moved = {f"state/{name}": value for name, value in weights.items() if name.endswith((".mean", ".variance"))}
        gradients = {f"grad/{name}": weights[name].grad for name in learned}
        assert len(moved) == 2 * 14 and len(learned) == 9, (len(moved), learned)
        self.check("lstm_mnist, small", ours, {"loss": loss, "grad/x": image.grad, **gradients, **moved}, start)


def main():
    with tempfile.TemporaryDirectory(prefix="bnc_layers.") as folder:
        cases = Cases(sys.argv[1], pathlib.Path(folder))
        for call, (shape, theirs) in LAYERS.items():
            cases.layer(call, shape, theirs)
        for call, theirs in LOSSES.items():
            cases.loss(call, theirs)
        cases.recurrent()
    return 0 if cases.passed else 1


if __name__ == "__main__":
    sys.exit(main())
