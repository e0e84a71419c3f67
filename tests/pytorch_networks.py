"""The example networks in PyTorch, channels first, and which of their tensors is which of ours. For parity tests and benchmarks.

Modules are listed in the order in which their first tensors stand in the examples' weights files.
"""
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


class ImageLinear(nn.Linear):
    """A dense layer behind flatten: its features are channels, rows, columns here, and rows, columns, channels in bnc."""

    def __init__(self, channels, height, width, units):
        super().__init__(channels * height * width, units)
        self.image = (channels, height, width)


class Residual(nn.Module):
    def __init__(self, branch, shortcut, after):
        super().__init__()
        self.branch, self.shortcut, self.after = branch, shortcut, after

    def forward(self, x):
        return self.after(self.branch(x) + self.shortcut(x))


class Dense(nn.Module):
    """Appends what `branch` makes of the features to them."""

    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return torch.cat([x, self.branch(x)], 1)


def layer(i, o, kernel, stride=1, groups=1, activation=nn.ReLU, normalize=True):
    """Convolution, padded by half the kernel, batch norm, activation."""
    parts = [nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=not normalize)]
    return parts + [nn.BatchNorm2d(o)] * normalize + ([activation()] if activation else [])


def head(features, classes):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


def mlp(normalize=True):
    parts = []
    for i, o in [(784, 100), (100, 100)]:
        parts += [nn.Linear(i, o, bias=not normalize)] + [nn.BatchNorm1d(o, eps=1e-3, momentum=1e-3)] * normalize + [nn.Sigmoid()]
    return nn.Sequential(*parts, nn.Linear(100, 10))


def lenet(normalize=True):
    parts = []
    for i, o in [(3, 6), (6, 16)]:
        parts += [nn.Conv2d(i, o, 5), nn.ReLU(), nn.MaxPool2d(2)] + [nn.BatchNorm2d(o)] * normalize
    return nn.Sequential(*parts, nn.Flatten(), ImageLinear(16, 5, 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def all_cnn(normalize=True):
    parts, i = [], 3
    for o, kernel, stride in [(96, 3, 1), (96, 3, 1), (96, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2), (192, 3, 1), (192, 1, 1)]:
        parts += layer(i, o, kernel, stride, normalize=normalize)
        i = o
    return nn.Sequential(*parts, nn.Conv2d(192, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def residual(i, o, stride, *branch):
    shortcut = nn.Identity() if stride == 1 and i == o else nn.Sequential(*layer(i, o, 1, stride, activation=None))
    return Residual(nn.Sequential(*branch), shortcut, nn.ReLU())


def resnet18_cifar():
    parts, i = layer(3, 64, 3), 64
    for o, first in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        for stride in [first, 1]:
            parts.append(residual(i, o, stride, *layer(i, o, 3, stride), *layer(o, o, 3, activation=None)))
            i = o
    return nn.Sequential(*parts, *head(512, 10))


def resnet50():
    parts, i = layer(3, 64, 7, 2) + [nn.MaxPool2d(3, 2, 1)], 64
    for blocks, width, first in [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)]:
        for stride in [first] + [1] * (blocks - 1):
            o = 4 * width
            parts.append(residual(i, o, stride, *layer(i, width, 1), *layer(width, width, 3, stride), *layer(width, o, 1, activation=None)))
            i = o
    return nn.Sequential(*parts, *head(2048, 1000))


def inverted(i, o, stride, expansion):
    wide = i * expansion
    expand = layer(i, wide, 1, activation=nn.ReLU6) if expansion != 1 else []
    branch = nn.Sequential(*expand, *layer(wide, wide, 3, stride, wide, nn.ReLU6), *layer(wide, o, 1, activation=None))
    return Residual(branch, nn.Identity(), nn.Identity()) if stride == 1 and i == o else branch


def mobilenet_v2():
    parts, i = layer(3, 32, 3, 2, activation=nn.ReLU6), 32
    for expansion, o, blocks, first in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for stride in [first] + [1] * (blocks - 1):
            parts.append(inverted(i, o, stride, expansion))
            i = o
    return nn.Sequential(*parts, *layer(320, 1280, 1, activation=nn.ReLU6), *head(1280, 1000))


def activated(i, o, kernel):
    return [nn.BatchNorm2d(i), nn.ReLU(), nn.Conv2d(i, o, kernel, padding=kernel // 2, bias=False)]


def densenet_cifar(growth=12):
    channels = 2 * growth
    parts = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
    for stage in range(3):
        if stage:
            parts += activated(channels, channels // 2, 1) + [nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(6):
            parts.append(Dense(nn.Sequential(*activated(channels, 4 * growth, 1), *activated(4 * growth, growth, 3))))
            channels += growth
    return nn.Sequential(*parts, nn.BatchNorm2d(channels), nn.ReLU(), *head(channels, 10))


@dataclass
class Example:
    build: object            # makes the module
    shape: tuple             # of one example, as PyTorch takes it
    classes: int = 10


CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)
EXAMPLES = {
    "mnist_mlp": Example(mlp, (784,)),
    "mnist_mlp_plain": Example(lambda: mlp(normalize=False), (784,)),
    "lenet": Example(lenet, CIFAR),
    "lenet_plain": Example(lambda: lenet(normalize=False), CIFAR),
    "all_cnn": Example(all_cnn, CIFAR),
    "all_cnn_plain": Example(lambda: all_cnn(normalize=False), CIFAR),
    "resnet18_cifar": Example(resnet18_cifar, CIFAR),
    "resnet50": Example(resnet50, IMAGENET, 1000),
    "mobilenet_v2": Example(mobilenet_v2, IMAGENET, 1000),
    "densenet_cifar": Example(densenet_cifar, CIFAR),
}


@dataclass
class Pair:
    """A tensor of a module, and its name and layout in bnc."""
    name: str
    tensor: torch.Tensor
    image: tuple = ()        # of an ImageLinear

    def ours(self, tensor):
        """`tensor`, shaped like the module's, in bnc's layout."""
        array = tensor.detach().numpy()
        if array.ndim == 4:                                     # [out, in, kh, kw] -> [kh, kw, in, out]
            return array.transpose(2, 3, 1, 0)
        if self.image:                                          # [out, C*H*W] -> [H*W*C, out]
            return array.reshape(-1, *self.image).transpose(2, 3, 1, 0).reshape(math.prod(self.image), -1)
        return array.T

    def load(self, array):
        """Sets the module's tensor from one in bnc's layout."""
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        elif self.image:
            channels, height, width = self.image
            array = array.reshape(height, width, channels, -1).transpose(3, 2, 0, 1).reshape(-1, math.prod(self.image))
        with torch.no_grad():
            self.tensor.copy_(torch.from_numpy(np.ascontiguousarray(array if array.ndim == 4 or self.image else array.T)))


def paired(module, weights):
    """A Pair for each tensor of `weights` (name -> array, in the order of a file); ValueError where the two differ."""
    tensors = []
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            tensors += [(t, getattr(part, "image", ()) if t.ndim == 2 else ()) for t in (part.weight, part.bias) if t is not None]
        elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            tensors += [(t, ()) for t in (part.weight, part.bias, part.running_mean, part.running_var)]
    pairs = [Pair(name, tensor, image) for name, (tensor, image) in zip(weights, tensors)]
    for pair in pairs:
        theirs = pair.ours(pair.tensor).shape
        if theirs != weights[pair.name].shape:
            raise ValueError(f"`{pair.name}` is {list(weights[pair.name].shape)}, but what stands at its place in PyTorch {list(theirs)}")
    if len(tensors) != len(weights):
        raise ValueError(f"the file has {len(weights)} tensors, the PyTorch module {len(tensors)}")
    return pairs


def to_ours(images):
    """A batch of examples in bnc's layout: channels last."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if images.ndim == 4 else images


def randomized(weights, seed=11):
    """Statistics, scales, shifts and biases away from their neutral first values: scales of both signs, some of them 0."""
    random = np.random.default_rng(seed)
    changed = {}
    for name, value in weights.items():
        if name.endswith(".gamma"):
            value = random.uniform(0.5, 1.5, value.shape) * random.choice([-1, 1], value.shape)
            value[random.random(value.shape) < 0.05] = 0
        elif name.endswith(".variance"):
            value = random.uniform(0.5, 1.5, value.shape)
        elif name.endswith((".beta", ".mean", ".bias")):
            value = random.normal(0, 0.3, value.shape)
        changed[name] = np.asarray(value, np.float32)
    return changed
