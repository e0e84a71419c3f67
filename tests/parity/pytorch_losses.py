#!/usr/bin/env python3
"""Losses one by one against float64 PyTorch, on the same inputs: values and gradients, with ignored labels and weights.

usage: pytorch_losses.py BNC      Exit code 77 where PyTorch is not installed.
PyTorch's losses of single elements or rows are weighed and averaged here where it has no weights for examples.
"""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from comparison import Comparison, functional, torch
from harness import succeed

TOLERANCE = 1e-5
CLASSES, WEIGHTS = 7, [0.5, 1, 2, 0, 3, 1, 0.25]
SHAPES = {"x: f32[N, 7]": (), "x: f32[N, 1, 7]": (1,), "x: f32[N, 3, 5, 7]": (3, 5)}

# Losses of single elements of a prediction and a target.
ELEMENTWISE = {
    "mean_squared_error": lambda x, y: functional.mse_loss(x, y, reduction="none"),
    "mean_absolute_error": lambda x, y: functional.l1_loss(x, y, reduction="none"),
    "huber": lambda x, y: functional.huber_loss(x, y, reduction="none"),
    "huber, delta=0.3": lambda x, y: functional.huber_loss(x, y, reduction="none", delta=0.3),
    "hinge": lambda x, y: functional.margin_ranking_loss(x, torch.zeros_like(x), y, margin=1, reduction="none"),
    "hinge, margin=2.5": lambda x, y: functional.margin_ranking_loss(x, torch.zeros_like(x), y, margin=2.5, reduction="none"),
    "binary_cross_entropy_with_logits": lambda x, y: functional.binary_cross_entropy_with_logits(x, y, reduction="none"),
    "binary_cross_entropy_with_logits, positive_weight=3":
        lambda x, y: functional.binary_cross_entropy_with_logits(x, y, reduction="none", pos_weight=torch.tensor(3.0).double()),
    f"binary_cross_entropy_with_logits, positive_weight={WEIGHTS}":
        lambda x, y: functional.binary_cross_entropy_with_logits(x, y, reduction="none", pos_weight=torch.tensor(WEIGHTS).double()),
}

# Losses of rows of logits and a distribution.
DISTRIBUTIONS = {
    "softmax_cross_entropy_with_probabilities": lambda x, y: functional.cross_entropy(x, y, reduction="none"),
    "kl_divergence": lambda x, y: functional.kl_div(functional.log_softmax(x, 1), y, reduction="none").sum(1),
}

# Losses of rows of logits and a label: each row's, and what it counts in the mean.
CLASS_WEIGHTS = torch.tensor(WEIGHTS).double()
LABELS = {
    "softmax_cross_entropy": lambda x, y: (functional.cross_entropy(x, y, reduction="none"), torch.ones(len(y))),
    "softmax_cross_entropy, ignore=2": lambda x, y: (functional.cross_entropy(x, y, reduction="none", ignore_index=2), y != 2),
    f"softmax_cross_entropy, class_weights={WEIGHTS}":
        lambda x, y: (functional.cross_entropy(x, y, CLASS_WEIGHTS, reduction="none"), CLASS_WEIGHTS[y]),
    f"softmax_cross_entropy, class_weights={WEIGHTS}, smoothing=0.2, ignore=4":
        lambda x, y: (functional.cross_entropy(x, y, CLASS_WEIGHTS, reduction="none", ignore_index=4, label_smoothing=0.2),
                      CLASS_WEIGHTS[y] * (y != 4)),
    "multi_class_hinge": lambda x, y: (functional.multi_margin_loss(x, y, reduction="none"), torch.ones(len(y))),
    "multi_class_hinge, margin=0.4": lambda x, y: (functional.multi_margin_loss(x, y, margin=0.4, reduction="none"), torch.ones(len(y))),
}

# PyTorch's own means, without weights of examples.
OWN_MEANS = {
    "softmax_cross_entropy, ignore=2": lambda x, y: functional.cross_entropy(x, y, ignore_index=2),
    f"softmax_cross_entropy, class_weights={WEIGHTS}, smoothing=0.2, ignore=4":
        lambda x, y: functional.cross_entropy(x, y, CLASS_WEIGHTS, ignore_index=4, label_smoothing=0.2),
}


class Cases:
    def __init__(self, bnc, folder):
        self.bnc, self.folder, self.random, self.passed = bnc, folder, np.random.default_rng(11), True

    def ours(self, call, x_type, y_type, w_type, arrays):
        """The loss of one step and its gradients by the inputs; the loss is the network's own."""
        model, weights = self.folder / "m.bn", self.folder / "w.safetensors"
        op, _, attributes = call.partition(", ")
        operands = "x, y" + (", w" if "w" in arrays else "")
        model.write_text(f"network net({x_type}, {y_type}, {w_type}) {{\n  l = {op}({operands}{', ' if attributes else ''}{attributes})\n"
                         "  objective l\n  return l\n}\ntrain net {\n  loss = mean_squared_error(unused)\n  optimizer = sgd(rate=1.0)\n}\n")
        succeed(self.bnc, "init", model, "-o", weights)
        np.savez(self.folder / "in.npz", **{"w": np.ones(len(arrays["x"]), np.float32), **arrays})
        succeed(self.bnc, "run", model, "--mode", "train", "--weights", weights, "--input", self.folder / "in.npz", "--output", self.folder / "out.npz")
        return dict(np.load(self.folder / "out.npz"))

    def compare(self, call, x_type, y_type, arrays, theirs, differentiable, weight_dims=""):
        """`theirs` gives from x, y and w the losses and what each counts; checked as mean and as sum, with weights and without."""
        for reduction in ("mean", "sum"):
            for weighted in (False, True):
                start = time.time()
                given = dict(arrays)
                w = (0.25 + self.random.random(arrays["x"].shape[:1 + weight_dims.count(",")])).astype(np.float32)
                if weighted:
                    given["w"] = w
                got = self.ours(f"{call}, reduction={reduction}", x_type, y_type, f"w: f32[N{weight_dims if weighted else ''}]", given)
                x = torch.from_numpy(arrays["x"]).double().requires_grad_()
                y = torch.from_numpy(arrays["y"])
                y = y.double().requires_grad_(differentiable) if arrays["y"].dtype == np.float32 else y.long()
                losses, counts = theirs(x, y)
                scale = torch.from_numpy(w if weighted else np.ones_like(w)).double()
                scale = scale.reshape(-1, *[1] * (losses.dim() - 1)) if losses.dim() > 1 else scale.reshape(-1)
                loss = (losses * scale).sum()
                if reduction == "mean":
                    loss = loss / (counts * scale).sum()
                loss.backward()
                expected = {"loss": loss, "grad/x": x.grad, **({"grad/y": y.grad} if differentiable else {})}
                comparison = Comparison(TOLERANCE)
                for key, value in expected.items():
                    comparison.add(key, got[key], value.detach().numpy())
                self.passed &= comparison.report(call, f"{reduction}{', weights' if weighted else ''}", time.time() - start)

    def numbers(self, *shape):
        return (2 * self.random.standard_normal(shape)).astype(np.float32)

    def elementwise(self, call, theirs):
        for x_type, inner in SHAPES.items():
            x, y = self.numbers(5, *inner, CLASSES), self.numbers(5, *inner, CLASSES)
            if call.startswith("hinge"):
                y = np.where(y > 0, 1, -1).astype(np.float32)
            if call.startswith("binary"):
                y = self.random.random(y.shape).astype(np.float32)

            def both(x, y):
                return theirs(x, y), torch.ones_like(x)
            self.compare(call, x_type, x_type.replace("x:", "y:"), {"x": x, "y": y}, both, True)

    def rows(self, call, theirs, distribution):
        for x_type, inner in SHAPES.items():
            x, dims = self.numbers(5, *inner, CLASSES), "".join(f", {d}" for d in inner)
            if distribution:
                y = self.random.random(x.shape).astype(np.float32)
                y /= y.sum(-1, keepdims=True)
                y_type = x_type.replace("x:", "y:")
            else:
                y, y_type = self.random.integers(0, CLASSES, (5, *inner)).astype(np.int32), f"y: i32[N{dims}]"

            def flat(x, y):
                x = x.reshape(-1, CLASSES)
                if distribution:
                    return theirs(x, y.reshape(-1, CLASSES)), torch.ones(len(x))
                return theirs(x, y.reshape(-1))
            self.compare(call, x_type, y_type, {"x": x, "y": y}, flat, distribution, dims)

    def own_mean(self, call, theirs):
        start, x, y = time.time(), self.numbers(23, CLASSES), self.random.integers(0, CLASSES, 23).astype(np.int32)
        got = self.ours(call, "x: f32[N, 7]", "y: i32[N]", "w: f32[N]", {"x": x, "y": y})
        logits = torch.from_numpy(x).double().requires_grad_()
        loss = theirs(logits, torch.from_numpy(y).long())
        loss.backward()
        comparison = Comparison(TOLERANCE)
        comparison.add("loss", got["loss"], loss.detach().numpy())
        comparison.add("grad/x", got["grad/x"], logits.grad.numpy())
        self.passed &= comparison.report(call, "PyTorch's own mean", time.time() - start)


def main():
    with tempfile.TemporaryDirectory(prefix="bnc_losses.") as folder:
        cases = Cases(sys.argv[1], pathlib.Path(folder))
        for call, theirs in ELEMENTWISE.items():
            cases.elementwise(call, theirs)
        for call, theirs in DISTRIBUTIONS.items():
            cases.rows(call, theirs, True)
        for call, theirs in LABELS.items():
            cases.rows(call, theirs, False)
        for call, theirs in OWN_MEANS.items():
            cases.own_mean(call, theirs)
    return 0 if cases.passed else 1


if __name__ == "__main__":
    sys.exit(main())
