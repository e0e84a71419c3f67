#!/usr/bin/env python3
"""Layers and losses one by one against float64 PyTorch, on the same inputs: values and all gradients.

usage: pytorch_layers.py BNC      Exit code 77 where PyTorch is not installed.
Each case is a network of one call; the loss weighs its result with random numbers, so that no gradient vanishes.
"""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from comparison import Comparison
from harness import SKIPPED, read_safetensors, succeed, write_safetensors

try:
    import torch
    from torch.nn import functional
except ImportError:
    print("skipped: PyTorch is not installed (apt-get install python3-torch)")
    sys.exit(SKIPPED)

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
}


# A loss of logits and class numbers, and the same in PyTorch.
LOSSES = {
    "softmax_cross_entropy(labels)": {},
    "softmax_cross_entropy(labels, smoothing=0.1)": {"label_smoothing": 0.1},
    "softmax_cross_entropy(labels, smoothing=0.3, reduction=sum)": {"label_smoothing": 0.3, "reduction": "sum"},
    "softmax_cross_entropy(labels, smoothing=1.0)": {"label_smoothing": 1.0},
}


class Cases:
    def __init__(self, bnc, folder):
        self.bnc, self.folder, self.random, self.passed = bnc, folder, np.random.default_rng(3), True

    def numbers(self, *shape):
        return (3 + 2 * self.random.standard_normal(shape)).astype(np.float32)

    def train(self, network, inputs):
        """One step of the network with random parameters, which come first in what it returns."""
        model, weights = self.folder / "m.bn", self.folder / "w.safetensors"
        model.write_text(network)
        succeed(self.bnc, "init", model, "-o", weights)
        parameters = {name: self.numbers(*value.shape) for name, value in read_safetensors(weights).items()}
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


def main():
    with tempfile.TemporaryDirectory(prefix="bnc_layers.") as folder:
        cases = Cases(sys.argv[1], pathlib.Path(folder))
        for call, (shape, theirs) in LAYERS.items():
            cases.layer(call, shape, theirs)
        for call, theirs in LOSSES.items():
            cases.loss(call, theirs)
    return 0 if cases.passed else 1


if __name__ == "__main__":
    sys.exit(main())
