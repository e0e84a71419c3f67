#!/usr/bin/env python3
"""State dicts of PyTorch, brought into networks by `bnc import`: outputs of the frozen networks against float64 PyTorch.

usage: pytorch_import.py BNC [--models FILE] [NAME ...]      Exit code 77 where PyTorch is not installed.
The example networks from modules whose tensors have other names; a ResNet-18 as torchvision writes it, saved in several ways; and small
networks of the layers whose weights lie otherwise in PyTorch. `--models FILE` takes a Python file with `build(name)` in place of the
modules of tests/pytorch_networks.py.
"""
import argparse
import importlib.util
import json
import pathlib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from comparison import Comparison, torch
from harness import ROOT, call, read_safetensors, succeed, write_safetensors
from torch import nn

from pytorch_networks import EXAMPLES, to_ours

TOLERANCE = 1e-5
# The size of images that a network is run on, where that of its file takes long: their weights are the same.
SMALLER = {"resnet50": 72, "mobilenet_v2": 104}
NAMES_OF_OTHERS = {"mnist_mlp": "mlp", "lenet": "lenet_bn"}


def randomized(module):
    """Statistics, scales, shifts and biases away from their first values; none of them nearly 0, so that f32 is enough."""
    torch.manual_seed(3)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.5, 1.5)
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(0, 0.3)
                part.num_batches_tracked.fill_(7)
            elif isinstance(part, (nn.LayerNorm, nn.PReLU)):
                for parameter in part.parameters():
                    parameter.normal_(0.5, 0.3)
    return module.eval()


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride, downsample_first=False):
        super().__init__()
        downsample = None
        if stride != 1 or i != o:
            downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        if downsample_first:
            self.downsample = downsample
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.relu = nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.downsample = downsample

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (self.downsample(x) if self.downsample else x))


class TorchvisionResNet18(nn.Module):
    """torchvision's names and order, with the first layer of CIFAR."""

    def __init__(self, downsample_first=False):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        i = 64
        for number, (o, stride) in enumerate([(64, 1), (128, 2), (256, 2), (512, 2)], 1):
            blocks = [BasicBlock(i, o, stride, downsample_first), BasicBlock(o, o, 1, downsample_first)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
            i = o
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


class ChannelsFirstLine(nn.Module):
    """[N, L, C] -> [N, C, L]: a line as bnc's input has it, for conv1d."""

    def forward(self, x):
        return x.transpose(1, 2)


# A network, the shape of its input in PyTorch, and the module.
LAYERS = {
    "flatten": ("""
network net(x: f32[N, 4, 3, 5]) {
  h = relu(conv2d(x, 6, kernel=3, padding=1))
  h = batch_norm(flatten(h))
  h = relu(dense(h, 72))
  return dense(h, 72)
}""", (5, 4, 3), lambda: nn.Sequential(nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(72), nn.Linear(72, 72), nn.ReLU(),
                                       nn.Linear(72, 72))),
    "channels_first": ("""
network net(x: f32[N, 5, 4, 3] layout=nchw) {
  h = relu(conv2d(x, 6, kernel=3, padding=1, groups=1))
  return dense(reshape(max_pool(h, 2), [N, 12]), 3)
}""", (5, 4, 3), lambda: nn.Sequential(nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3))),
    "line": ("""
network net(x: f32[N, 8, 5]) {
  h = relu(batch_norm(conv1d(x, 6, kernel=3, padding=1)))
  return dense(flatten(h), 4)
}""", (8, 5), lambda: nn.Sequential(ChannelsFirstLine(), nn.Conv1d(5, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))),
    "decoder": ("""
network net(x: f32[N, 7]) {
  h = relu(batch_norm(dense(x, 48)))
  h = reshape(h, [N, 2, 3, 8])
  h = prelu(conv2d_transpose(h, 8, kernel=2, stride=2))
  return reshape(conv2d_transpose(h, 4, kernel=3, stride=1, padding=1, groups=2), [N, 96])
}""", (7,), lambda: nn.Sequential(nn.Linear(7, 48), nn.BatchNorm1d(48), nn.ReLU(), Reshape(8, 2, 3), nn.ConvTranspose2d(8, 8, 2, 2),
                                  nn.PReLU(8), nn.ConvTranspose2d(8, 4, 3, 1, 1, groups=2))),
    "depthwise": ("""
network net(x: f32[N, 6, 6, 8]) {
  h = relu(batch_norm(conv2d(x, 16, kernel=3, groups=8, padding=1)))
  h = layer_norm(conv2d(h, 4, kernel=3, groups=4, padding=1), axes=[1, 2, 3])
  return dense(global_average_pool(h), 3)
}""", (8, 6, 6), lambda: nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, groups=8), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 4, 3, padding=1, groups=4),
                                       nn.LayerNorm((4, 6, 6)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))),
}


class Case:
    def __init__(self, bnc, folder):
        self.bnc, self.folder = bnc, folder

    def images(self, shape, count=3):
        return np.random.default_rng(5).random((count, *shape)).astype(np.float32)

    def imported(self, model, source, *words):
        result = succeed(self.bnc, "import", source, "--model", model, "-o", self.folder / "w.safetensors", "--json", *words)
        return json.loads(result.stdout)

    def compare(self, name, model, module, images):
        """The network's first output with the weights imported last, against the module's."""
        start, comparison = time.time(), Comparison(TOLERANCE)
        x = to_ours(images) if "layout=nchw" not in model.read_text() else images
        np.savez(self.folder / "in.npz", x=x)
        succeed(self.bnc, "run", model, "--weights", self.folder / "w.safetensors", "--input", self.folder / "in.npz", "--output", self.folder / "out.npz")
        ours = dict(np.load(self.folder / "out.npz"))
        with torch.no_grad():
            expected = module.double()(torch.from_numpy(images).double()).numpy()
        if expected.ndim == 4:
            expected = to_ours(expected).reshape(len(expected), -1)
        comparison.add("output", next(iter(ours.values())), expected)
        module.float()
        return comparison.report(name, "imported", time.time() - start)

    def example(self, name, models):
        model, shape = ROOT / "examples" / f"{name}.bn", EXAMPLES[name].shape
        size = SMALLER.get(name)
        if size:
            text = model.read_text().replace(f"f32[N, {shape[1]}, {shape[1]}, 3]", f"f32[N, {size}, {size}, 3]")
            model, shape = self.folder / f"{name}.bn", (3, size, size)
            model.write_text(text)
        module = models(NAMES_OF_OTHERS.get(name, name))[0] if models else EXAMPLES[name].build()
        module = randomized(module)
        torch.save(module.state_dict(), self.folder / "w.pt")
        self.imported(ROOT / "examples" / f"{name}.bn", self.folder / "w.pt")
        return self.compare(name, model, module, self.images(shape))

    def layers(self, name):
        text, shape, build = LAYERS[name]
        model = self.folder / f"{name}.bn"
        model.write_text(text.lstrip())
        module = randomized(build())
        torch.save(module.state_dict(), self.folder / "w.pt")
        self.imported(model, self.folder / "w.pt")
        return self.compare(name, model, module, self.images(shape))

    def torchvision(self):
        """One ResNet-18 in all the ways that it may be saved: each gives the same weights."""
        model, module = ROOT / "examples/resnet18_cifar.bn", randomized(TorchvisionResNet18())
        path = self.folder / "w.pt"
        state = module.state_dict()
        torch.save(state, path)
        report = self.imported(model, path)
        passed = self.compare("torchvision", model, module, self.images((3, 32, 32)))
        assert len(report["ignored"]) == 20 and sum(report["matched"].values()) == report["tensors"] == 102, report
        expected = read_safetensors(self.folder / "w.safetensors")

        def check(how, source, tolerance=0.0):
            report = self.imported(model, source)
            found = read_safetensors(self.folder / "w.safetensors")
            for name, array in expected.items():
                assert np.allclose(found[name], array, rtol=tolerance, atol=tolerance), f"{how}: {name} differs"
            print(f"ok    torchvision      {how}")
            return report

        torch.save({"epoch": 3, "best": 0.5, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
                    "optimizer": torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9).state_dict()}, path)
        assert check("in a checkpoint, behind `module.`", path)["part"] == "state_dict"
        torch.save({name: tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor for name, tensor in state.items()}, path)
        check("channels last in memory", path)
        torch.save(dict(module.named_parameters()) | dict(module.named_buffers()), path)
        check("parameters as such", path)
        torch.save(state, path, pickle_protocol=4)
        check("pickle protocol 4", path)
        torch.save({name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}, path)
        check("f16", path, 1e-3)
        torch.save({name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in state.items()}, path)
        check("bf16", path, 1e-2)
        torch.save({name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in state.items()}, path)
        check("f64", path)
        floats = {name: tensor.numpy() for name, tensor in sorted(state.items()) if tensor.is_floating_point()}
        write_safetensors(self.folder / "sorted.safetensors", floats)
        check("safetensors, sorted by name", self.folder / "sorted.safetensors")
        write_safetensors(self.folder / "in_order.safetensors", {name: floats[name] for name in state if name in floats})
        check("safetensors, in order", self.folder / "in_order.safetensors")
        other = TorchvisionResNet18(downsample_first=True)
        other.load_state_dict(state)
        assert list(other.state_dict()) != list(state)
        torch.save(other.state_dict(), path)
        check("with `downsample` before the convolutions", path)
        renamed = {re.sub("downsample", "other_path", name): tensor for name, tensor in other.state_dict().items()}
        torch.save(renamed, path)
        check("with `other_path` before the convolutions", path)
        return passed

    def refused(self):
        """What is no state dict of PyTorch's archives ends in one error with advice."""
        model, path, module = ROOT / "examples/mnist_mlp.bn", self.folder / "w.pt", nn.Sequential(nn.Linear(2, 2))
        torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False)
        torch.jit.script(module).save(str(self.folder / "script.pt"))
        torch.save(module, self.folder / "module.pt")
        cases = [(path, "before 1.6"), (self.folder / "script.pt", "TorchScript"), (self.folder / "module.pt", "torch.nn.modules.container.Sequential")]
        for source, text in cases:
            result = call(self.bnc, "import", source, "--model", model, "-o", self.folder / "o.safetensors")
            assert result.returncode == 1 and text in result.stderr and "torch.save(" in result.stderr, result
        print("ok    refused          the format before 1.6, TorchScript, a whole module")
        return True


def models_of(path):
    spec = importlib.util.spec_from_file_location("other_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bnc")
    parser.add_argument("--models", metavar="FILE", help="a Python file whose build(name) gives a module first")
    examples = ["mnist_mlp", "lenet", "all_cnn", "resnet18_cifar", "densenet_cifar", "mobilenet_v2", "resnet50"]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*examples, *LAYERS, "torchvision", "refused"]))
    options = parser.parse_intermixed_args()
    models = models_of(options.models) if options.models else None
    passed = True
    for name in options.names or [*examples, *LAYERS, "torchvision", "refused"]:
        with tempfile.TemporaryDirectory(prefix="bnc_import.") as folder:
            case = Case(options.bnc, pathlib.Path(folder))
            if name in examples:
                passed &= case.example(name, models)
            elif name in LAYERS:
                passed &= case.layers(name)
            else:
                passed &= getattr(case, name)()
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
