#!/usr/bin/env python3
"""One training step of examples/mnist_mlp.bn against PyTorch, on the same weights and a batch of 60.

usage: pytorch_parity.py BNC      Exit code 77 where PyTorch is not installed.
Held to: loss within 1e-5 (relative), every gradient within 1e-4 (norm of the difference over norm of the reference),
running statistics and outputs within 1e-5.
"""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import ROOT, SKIPPED, read_safetensors, succeed, write_safetensors

try:
    import torch
    from torch import nn
except ImportError:
    print("skipped: PyTorch is not installed (apt-get install python3-torch)")
    sys.exit(SKIPPED)

BATCH = 60
MODEL = ROOT / "examples" / "mnist_mlp.bn"


def settings():
    """What the file says of its batch norms and loss."""
    text = MODEL.read_text()
    decay = re.search(r"ema\(decay\s*=\s*([0-9.e-]+)", text)
    epsilon = re.search(r"epsilon\s*=\s*([0-9.e-]+)", text)
    reduction = re.search(r"softmax_cross_entropy\([^)]*reduction\s*=\s*(\w+)", text)
    return float(decay[1]) if decay else 0.9, float(epsilon[1]) if epsilon else 1e-5, reduction[1] if reduction else "mean"


def reference(weights, decay, epsilon):
    """784-100-100-10, batch norm before each sigmoid, no bias before a batch norm, and which tensor is which of ours."""
    layers, names = [], {}
    for i, (inputs, outputs) in enumerate([(784, 100), (100, 100)], 1):
        norm = nn.BatchNorm1d(outputs, eps=epsilon, momentum=1 - decay)
        dense = nn.Linear(inputs, outputs, bias=False)
        layers += [dense, norm, nn.Sigmoid()]
        names |= {f"dense_{i}.weight": dense.weight, f"batch_norm_{i}.gamma": norm.weight, f"batch_norm_{i}.beta": norm.bias,
                  f"batch_norm_{i}.mean": norm.running_mean, f"batch_norm_{i}.variance": norm.running_var}
    last = nn.Linear(100, 10)
    names |= {"dense_3.weight": last.weight, "dense_3.bias": last.bias}
    if set(names) != set(weights):
        sys.exit(f"FAILED: {MODEL.name} has the tensors {sorted(weights)}, expected {sorted(names)}")
    with torch.no_grad():
        for name, tensor in names.items():
            tensor.copy_(torch.from_numpy(weights[name].T.copy() if name.endswith(".weight") else weights[name].copy()))
    return nn.Sequential(*layers, last).train(), names


def randomized(weights):
    """Statistics, scales and shifts away from their neutral first values, so that a wrong rule shows."""
    random = np.random.default_rng(11)
    changed = {}
    for name, value in weights.items():
        if name.endswith((".gamma", ".variance")):
            value = random.uniform(0.5, 1.5, value.shape)
        elif name.endswith((".beta", ".mean", ".bias")):
            value = random.normal(0, 0.3, value.shape)
        changed[name] = np.asarray(value, np.float32)
    return changed


def distance(ours, theirs):
    theirs = np.asarray(theirs, np.float64)
    return np.linalg.norm(ours.astype(np.float64) - theirs) / max(np.linalg.norm(theirs), 1e-30)


def main():
    bnc = sys.argv[1]
    here = pathlib.Path(tempfile.mkdtemp(prefix="bnc_parity."))
    succeed(bnc, "init", MODEL, "--seed", 4, "-o", here / "w.safetensors")
    weights = randomized(read_safetensors(here / "w.safetensors"))
    write_safetensors(here / "w.safetensors", weights)
    random = np.random.default_rng(5)
    x = np.where(random.random((BATCH, 784)) < 0.5, 0, random.random((BATCH, 784))).astype(np.float32)
    labels = random.integers(0, 10, BATCH).astype(np.int32)
    np.savez(here / "in.npz", x=x, labels=labels)
    succeed(bnc, "run", MODEL, "--mode", "train", "--weights", here / "w.safetensors", "--input", here / "in.npz", "--output", here / "out.npz")
    ours = dict(np.load(here / "out.npz"))

    decay, epsilon, reduction = settings()
    network, names = reference(weights, decay, epsilon)
    inputs = torch.from_numpy(x).requires_grad_()
    prediction = network(inputs)
    loss = nn.functional.cross_entropy(prediction, torch.from_numpy(labels).long(), reduction=reduction)
    loss.backward()

    checks = [("loss", abs(float(ours["loss"]) - loss.item()) / abs(loss.item()), 1e-5),
              ("grad/x", distance(ours["grad/x"], inputs.grad.numpy()), 1e-4)]
    outputs = [name for name in ours if "/" not in name and name != "loss"]
    checks += [(name, distance(ours[name], prediction.detach().numpy()), 1e-5) for name in outputs]
    for name, tensor in names.items():
        if name.endswith((".mean", ".variance")):
            checks.append((f"state/{name}", distance(ours[f"state/{name}"], tensor.numpy()), 1e-5))
        else:
            gradient = tensor.grad.numpy()
            checks.append((f"grad/{name}", distance(ours[f"grad/{name}"], gradient.T if name.endswith(".weight") else gradient), 1e-4))
    wrong = [check for check in checks if not check[1] <= check[2]]
    for name, error, tolerance in checks:
        print(f"{'ok   ' if error <= tolerance else 'WRONG'} {name:<28} {error:.2e} (tolerance {tolerance:.0e})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
