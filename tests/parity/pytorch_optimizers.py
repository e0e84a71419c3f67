#!/usr/bin/env python3
"""Optimizers, schedules of the learning rate and gradient clipping: twenty steps of `bnc train` against float64 PyTorch.

usage: pytorch_optimizers.py BNC [NAME ...]      Exit code 77 where PyTorch is not installed.
Both begin with the same weights, and every step sees the whole data set. Compared are the loss before each step and the weights behind
the last one: the norm of the difference, relative to how far the weights have moved. PyTorch has no LAMB; its formula stands here.
"""
import csv
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from comparison import torch
from harness import read_safetensors, succeed

from torch import optim
from torch.optim import lr_scheduler

STEPS, COUNT, TOLERANCE = 20, 53, 1e-5
SOURCE = """network net(x: f32[N, 9]) {{
  return dense(tanh(batch_norm(dense(x, 33, bias=false))), 5)
}}
train net {{
  loss      = softmax_cross_entropy(labels)
  optimizer = {optimizer}
  batch     = {count}
  steps     = {steps}
}}
"""
PARAMETERS = ["dense_1.weight", "batch_norm_1.gamma", "batch_norm_1.beta", "dense_2.weight", "dense_2.bias"]


class Lamb(optim.Optimizer):
    """Algorithm 2 of You et al., "Large batch optimization for deep learning", 2020; phi is the identity. What does not decay takes Adam's step."""

    def __init__(self, groups, lr, betas=(0.9, 0.999), eps=1e-6):
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self.betas, self.eps = betas, eps

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                state = self.state[w]
                state["t"] = state.get("t", 0) + 1
                for name, beta, sample in zip(("m", "v"), self.betas, (w.grad, w.grad**2)):
                    state[name] = beta * state.get(name, 0) + (1 - beta) * sample
                m, v = (state[name] / (1 - beta ** state["t"]) for name, beta in zip(("m", "v"), self.betas))
                u = m / (v.sqrt() + self.eps) + group["weight_decay"] * w
                trust = w.norm() / u.norm() if group["decays"] and w.norm() > 0 and u.norm() > 0 else 1.0
                w -= group["lr"] * trust * u


def with_warmup(steps, then):
    def make(optimizer):
        rising = lr_scheduler.LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
        return lr_scheduler.SequentialLR(optimizer, [rising, then(optimizer)], [steps])
    return make


def constant(optimizer):
    return lr_scheduler.ConstantLR(optimizer, factor=1)


def by_value_and_norm(parameters):
    torch.nn.utils.clip_grad_value_(parameters, 0.02)
    torch.nn.utils.clip_grad_norm_(parameters, 0.05)


def sgd(groups):
    return optim.SGD(groups, lr=0.25, momentum=0.5)


# Name: our optimizer; PyTorch's, from parameter groups; the weight decay of matrices, and that of vectors; its schedule; its clipping.
CASES = {
    "sgd": ("sgd(rate=0.25)", lambda g: optim.SGD(g, lr=0.25)),
    "momentum": ("sgd(rate=0.25, momentum=0.5, weight_decay=0.1)", sgd, (0.1, 0)),
    "nesterov": ("sgd(rate=0.1, momentum=0.9, nesterov, weight_decay=0.1, decay_all)",
                 lambda g: optim.SGD(g, lr=0.1, momentum=0.9, nesterov=True), (0.1, 0.1)),
    "rmsprop": ("rmsprop(rate=0.001)", lambda g: optim.RMSprop(g, lr=0.001)),
    "rmsprop momentum": ("rmsprop(rate=0.001, smoothing=0.9, momentum=0.5, weight_decay=0.1)", lambda g: optim.RMSprop(g, lr=0.001, alpha=0.9, momentum=0.5), (0.1, 0)),
    "adam": ("adam(rate=0.01)", lambda g: optim.Adam(g, lr=0.01)),
    "adam decay": ("adam(rate=0.01, beta1=0.8, beta2=0.95, epsilon=1e-4, weight_decay=0.1)",
                   lambda g: optim.Adam(g, lr=0.01, betas=(0.8, 0.95), eps=1e-4), (0.1, 0)),
    "adamw": ("adamw(rate=0.01)", lambda g: optim.AdamW(g, lr=0.01), (0.01, 0)),
    "adamw amsgrad": ("adamw(rate=0.01, beta2=0.8, weight_decay=0.5, decay_all, amsgrad)",
                      lambda g: optim.AdamW(g, lr=0.01, betas=(0.9, 0.8), amsgrad=True), (0.5, 0.5)),
    "amsgrad": ("amsgrad(rate=0.02, beta2=0.8)", lambda g: optim.Adam(g, lr=0.02, betas=(0.9, 0.8), amsgrad=True)),
    "lamb": ("lamb(rate=0.02, weight_decay=0.1)", lambda g: Lamb(g, lr=0.02), (0.1, 0)),
    "constant warm-up": ("sgd(rate=constant(start=0.25, warmup=6), momentum=0.5)", sgd, (0, 0), with_warmup(6, constant)),
    "step": ("sgd(rate=step(start=0.25, every=7, factor=0.5), momentum=0.5)", sgd, (0, 0), lambda o: lr_scheduler.StepLR(o, 7, gamma=0.5)),
    "multi-step": ("sgd(rate=step(start=0.25, at=[9, 15, 16]), momentum=0.5)", sgd, (0, 0), lambda o: lr_scheduler.MultiStepLR(o, [9, 15, 16])),
    "cosine": ("sgd(rate=cosine(start=0.25, end=0.05), momentum=0.5)", sgd, (0, 0), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.05)),
    "cosine warm-up": ("adam(rate=cosine(start=0.01, warmup=5))", lambda g: optim.Adam(g, lr=0.01), (0, 0),
                       with_warmup(5, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS - 5))),
    "one-cycle": ("adamw(rate=one_cycle(peak=0.02))", lambda g: optim.AdamW(g, lr=0.01), (0.01, 0),
                  lambda o: lr_scheduler.OneCycleLR(o, 0.02, total_steps=STEPS, cycle_momentum=False)),
    "clip_norm": ("sgd(rate=0.25, momentum=0.5, clip_norm=0.2)", sgd, (0, 0), constant, lambda p: torch.nn.utils.clip_grad_norm_(p, 0.2)),
    "clip_value": ("sgd(rate=0.25, momentum=0.5, clip_value=0.02)", sgd, (0, 0), constant, lambda p: torch.nn.utils.clip_grad_value_(p, 0.02)),
    "clip both": ("adam(rate=0.01, epsilon=1e-3, clip_value=0.02, clip_norm=0.05)", lambda g: optim.Adam(g, lr=0.01, eps=1e-3), (0, 0), constant, by_value_and_norm),
}


def theirs(weights, x, labels, make_optimizer, decay=(0, 0), make_schedule=constant, clip=lambda parameters: None):
    """The losses before each step, and the weights behind the last one."""
    tensors = {name: torch.tensor(weights[name].astype(np.float64), requires_grad=True) for name in PARAMETERS}
    groups = [{"params": [t for t in tensors.values() if (t.dim() > 1) == matrices], "weight_decay": share, "decays": matrices or share > 0}
              for matrices, share in zip((True, False), decay)]
    optimizer = make_optimizer(groups)
    schedule = make_schedule(optimizer)
    losses = []
    for _ in range(STEPS):
        h = torch.nn.functional.batch_norm(x @ tensors["dense_1.weight"], None, None, tensors["batch_norm_1.gamma"], tensors["batch_norm_1.beta"], True)
        loss = torch.nn.functional.cross_entropy(torch.tanh(h) @ tensors["dense_2.weight"] + tensors["dense_2.bias"], labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        clip(list(tensors.values()))
        optimizer.step()
        schedule.step()
    return losses, {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def compare(bnc, name, folder):
    source, *reference = CASES[name]
    model, data, first = folder / "net.bn", folder / "data.npz", folder / "first.safetensors"
    model.write_text(SOURCE.format(optimizer=source, count=COUNT, steps=STEPS))
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, COUNT)
    x = (random.normal(size=(COUNT, 9)) + np.eye(5, 9)[labels]).astype(np.float32)
    np.savez(data, x=x, y=labels.astype(np.int32))
    succeed(bnc, "init", model, "--seed", 11, "-o", first)
    succeed(bnc, "train", model, "--data", data, "--seed", 11, "--out", folder / "run")
    rows = list(csv.DictReader(open(folder / "run" / "history.csv")))
    before, after = read_safetensors(first), read_safetensors(folder / "run" / "weights.safetensors")
    losses, expected = theirs(before, torch.from_numpy(x).double(), torch.from_numpy(labels), *reference)
    ours = [float(row["loss"]) for row in rows]
    assert len(ours) == STEPS, f"{len(ours)} rows in history.csv"
    worst = max(abs(a - b) / b for a, b in zip(ours, losses))
    what = "the loss of a step"
    for each in PARAMETERS:
        relative = np.linalg.norm(after[each] - expected[each]) / np.linalg.norm(expected[each] - before[each])
        if not relative <= worst:
            worst, what = relative, each
    passed = worst <= TOLERANCE
    print(f"{'ok   ' if passed else 'WRONG'} {name:<18} the worst by {worst:.1e} ({what}; tolerance {TOLERANCE:.0e})", flush=True)
    return passed


def main():
    bnc, *names = sys.argv[1:]
    torch.set_num_threads(1)
    passed = True
    for name in names or CASES:
        with tempfile.TemporaryDirectory(prefix="bnc_optimizers.") as folder:
            passed &= compare(bnc, name, pathlib.Path(folder))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
