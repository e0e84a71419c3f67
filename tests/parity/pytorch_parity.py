#!/usr/bin/env python3
"""The example networks against float64 PyTorch, on the same weights and inputs.

usage: pytorch_parity.py BNC [--full] [--seeds N] [NETWORK ...]      Exit code 77 where PyTorch is not installed.
Training: one step's loss, gradients of parameters and input, running statistics and outputs. Frozen: the outputs of the folded, compiled f32
network against those of the unfolded one. Differences are norms, relative to the norm of the reference. The large networks see
smaller images, which their global average pooling allows, unless --full is given.
"""
import argparse
import pathlib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from comparison import Comparison, torch
from harness import ROOT, read_safetensors, succeed, write_safetensors

from pytorch_networks import EXAMPLES, paired, randomized, to_ours

TOLERANCE = 1e-5
# Network: examples in a training step (0: none), their image size where it is reduced, and the seeds of the images, reduced and of full
# size; examples when frozen, and their size likewise. Where a ReLU's input is nearer to 0 than f32 resolves, its gradient is either side's,
# in PyTorch's f32 too; the seeds are those of a hundred that keep all of them farthest from 0 in float64 (`--margins`).
TABLE = {
    "mnist_mlp": ((60, None, 0, 0), (7, None)),
    "mnist_mlp_plain": ((60, None, 0, 0), (7, None)),
    "lenet": ((8, None, 94, 94), (7, None)),
    "lenet_plain": ((8, None, 24, 24), (7, None)),
    "all_cnn": ((8, 16, 53, 95), (3, None)),
    "all_cnn_plain": ((8, 16, 70, 96), (3, None)),
    "resnet18_cifar": ((8, 16, 17, 49), (3, None)),
    "resnet50": (None, (1, 72)),
    "mobilenet_v2": (None, (2, 104)),
    "densenet_cifar": ((8, 16, 99, 53), (3, None)),
}


class Case:
    def __init__(self, bnc, name, folder, size):
        self.bnc, self.name, self.folder, self.example = bnc, name, folder, EXAMPLES[name]
        self.model, self.shape = ROOT / "examples" / f"{name}.bn", self.example.shape
        if size:
            text, height = self.model.read_text(), self.shape[1]
            self.model, self.shape = folder / f"{name}.bn", (3, size, size)
            self.model.write_text(text.replace(f"f32[N, {height}, {height}, 3]", f"f32[N, {size}, {size}, 3]"))
        succeed(bnc, "init", self.model, "--seed", 4, "-o", folder / "w.safetensors")
        self.weights = weights = randomized(read_safetensors(folder / "w.safetensors"))
        write_safetensors(folder / "w.safetensors", weights)
        self.module = self.example.build().double()
        self.pairs = paired(self.module, weights)
        for pair in self.pairs:
            pair.load(weights[pair.name])

    def images(self, count, seed):
        random = np.random.default_rng(seed)
        shape = (count, *self.shape)
        return np.where(random.random(shape) < 0.3, 0, random.random(shape)).astype(np.float32)

    def margin(self, images):
        """How near to 0 the nearest input of a ReLU lies in training, beside the deviation of its layer."""
        nearest = []
        hooks = [module.register_forward_pre_hook(lambda _, inputs: nearest.append(float(inputs[0].abs().min() / inputs[0].std())))
                 for module in self.module.modules() if isinstance(module, torch.nn.ReLU)]
        with torch.no_grad():
            self.module.train()(torch.from_numpy(images).double())
        for hook in hooks:
            hook.remove()
        return min(nearest)

    def run(self, mode, **inputs):
        np.savez(self.folder / "in.npz", **inputs)
        succeed(self.bnc, "run", self.model, "--mode", mode, "--weights", self.folder / "w.safetensors", "--input", self.folder / "in.npz", "--output", self.folder / "out.npz")
        return dict(np.load(self.folder / "out.npz"))

    def our_step(self, images, labels):
        return self.run("train", x=to_ours(images), labels=labels.astype(np.int32))

    def pytorch_step(self, images, labels, dtype):
        """What bnc gives for a training step, from PyTorch in that precision. Leaves the module as it was."""
        module = self.module.to(dtype).train()
        module.zero_grad()
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        reduction = re.search(r"softmax_cross_entropy\([^)]*reduction\s*=\s*(\w+)", self.model.read_text())
        x = torch.from_numpy(images).to(dtype).requires_grad_()
        prediction = module(x)
        loss = torch.nn.functional.cross_entropy(prediction, torch.from_numpy(labels), reduction=reduction[1] if reduction else "mean")
        loss.backward()
        result = {"loss": np.array(loss.item()), "grad/x": to_ours(x.grad.numpy())}
        for pair in paired(module, self.weights):
            state = not isinstance(pair.tensor, torch.nn.Parameter)
            result[f"{'state' if state else 'grad'}/{pair.name}"] = pair.ours(pair.tensor if state else pair.tensor.grad).copy()
        module.load_state_dict(before)
        return result, prediction.detach().numpy()

    def labels(self, batch):
        return np.random.default_rng(6).integers(0, self.example.classes, batch)

    def check_training(self, batch, seed):
        start, comparison = time.time(), Comparison(TOLERANCE)
        images, labels = self.images(batch, seed), self.labels(batch)
        ours = self.our_step(images, labels)
        expected, prediction = self.pytorch_step(images, labels, torch.float64)
        for output in [name for name in ours if "/" not in name and name != "loss"]:
            comparison.add(output, ours[output], prediction)
        for name, reference in expected.items():
            comparison.add(name, ours[name], reference)
        return comparison.report(self.name, "training", time.time() - start)

    def compare_seeds(self, batch, count):
        """On how many seeds the step agrees to 1e-4, where PyTorch's own f32 is no better: inputs of ReLUs that f32 puts on 0's other side."""
        agree = {"bnc": 0, "PyTorch in f32": 0}
        for seed in range(count):
            images, labels = self.images(batch, seed), self.labels(batch)
            expected = self.pytorch_step(images, labels, torch.float64)[0]
            for who, got in (("bnc", self.our_step(images, labels)), ("PyTorch in f32", self.pytorch_step(images, labels, torch.float32)[0])):
                norms = {name: np.linalg.norm(reference) for name, reference in expected.items()}
                agree[who] += all(np.linalg.norm(got[name] - expected[name]) <= 1e-4 * norm for name, norm in norms.items() if norm > 1e-6)
        print(f"{self.name}: all tensors within 1e-4 of float64 on " + ", ".join(f"{n} of {count} seeds ({who})" for who, n in agree.items()))

    def compare_precision(self, batch, count):
        """How far a training step's outputs are from float64's, beside PyTorch's own in f32: norms, the median of several seeds."""
        ours, theirs = [], []
        for seed in range(count):
            images, labels = self.images(batch, seed), self.labels(batch)
            expected = self.pytorch_step(images, labels, torch.float64)[1]
            step = self.our_step(images, labels)
            (name,) = [name for name in step if "/" not in name and name != "loss"]
            for errors, got in ((ours, step[name]), (theirs, self.pytorch_step(images, labels, torch.float32)[1])):
                errors.append(np.linalg.norm(got.astype(np.float64) - expected) / np.linalg.norm(expected))
        ours, theirs = np.median(ours), np.median(theirs)
        print(f"{self.name}: outputs of a training step differ from float64 by {ours:.2e}, PyTorch's in f32 by {theirs:.2e}: {ours / theirs:.2f} of that, {count} seeds")

    def check_frozen(self, count):
        start, comparison = time.time(), Comparison(TOLERANCE)
        images = self.images(count, 5)
        with torch.no_grad():
            prediction = self.module.eval()(torch.from_numpy(images).double()).numpy()
        for name, output in self.run("infer", x=to_ours(images)).items():
            comparison.add(name, output, prediction)
        return comparison.report(self.name, "frozen", time.time() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bnc")
    parser.add_argument("--full", action="store_true", help="images of full size")
    parser.add_argument("--margins", action="store_true", help="tell how far from 0 each seed keeps the inputs of ReLUs, instead of comparing")
    parser.add_argument("--seeds", type=int, metavar="N", help="count the seeds on which a training step agrees, beside PyTorch in f32, instead of comparing")
    parser.add_argument("--precision", type=int, metavar="N", help="compare a step's outputs with PyTorch's in f32, of N seeds, instead of comparing")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(TABLE))
    options = parser.parse_intermixed_args()
    passed = True
    with tempfile.TemporaryDirectory(prefix="bnc_parity.") as folder:
        def case(name, size):
            return Case(options.bnc, name, pathlib.Path(folder), None if options.full else size)
        for name in options.networks or TABLE:
            training, (count, size) = TABLE[name]
            if not (options.margins or options.seeds or options.precision):
                passed &= case(name, size).check_frozen(count)
            if training:
                batch, size, reduced_seed, full_seed = training
                seed = full_seed if options.full else reduced_seed
                trained = case(name, size)
                if options.margins:
                    print(name, sorted(((trained.margin(trained.images(batch, seed)), seed) for seed in range(100)), reverse=True)[:3])
                elif options.seeds:
                    trained.compare_seeds(batch, options.seeds)
                elif options.precision:
                    trained.compare_precision(batch, options.precision)
                else:
                    passed &= trained.check_training(batch, seed)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
