#!/usr/bin/env python3
"""Losses that are expressions, over several outputs and inputs: one training step against float64 PyTorch, loss and all gradients.

usage: pytorch_objectives.py BNC      Exit code 77 where PyTorch is not installed.
"""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from comparison import Comparison, functional, torch
from harness import read_safetensors, succeed

TOLERANCE = 1e-5
random = np.random.default_rng(7)
passed = True


def normalized(x, w, name):
    return functional.batch_norm(x, None, None, w[f"{name}.gamma"], w[f"{name}.beta"], training=True)


def check(name, network, inputs, objective):
    """`objective` gives the loss from the inputs and the weights by name."""
    global passed
    start = time.time()
    with tempfile.TemporaryDirectory() as folder:
        model, weights, arrays, out = (pathlib.Path(folder) / file for file in ("m.bn", "w.safetensors", "in.npz", "out.npz"))
        model.write_text(network + "\n")
        succeed(BNC, "init", model, "--seed", 5, "-o", weights)
        np.savez(arrays, **inputs)
        succeed(BNC, "run", model, "--mode", "train", "--weights", weights, "--input", arrays, "--output", out)
        ours = dict(np.load(out))
        w = {key: torch.from_numpy(value.copy()).double() for key, value in read_safetensors(weights).items()}
    learned = [key for key in w if f"grad/{key}" in ours]
    for key in learned:
        w[key].requires_grad_()
    tensors = {key: torch.from_numpy(value) if value.dtype == np.int32 else torch.from_numpy(value).double() for key, value in inputs.items()}
    loss = objective({key: value.long() if value.dtype == torch.int32 else value for key, value in tensors.items()}, w)
    loss.backward()
    comparison = Comparison(TOLERANCE)
    comparison.add("loss", ours["loss"], loss.detach().numpy())
    for key in learned:
        comparison.add(f"grad/{key}", ours[f"grad/{key}"], w[key].grad.numpy())
    passed &= comparison.report(name, "training", time.time() - start) and len(learned) > 0


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def labels(count, *shape):
    return random.integers(0, count, shape).astype(np.int32)


BNC = sys.argv[1]


def two_heads(t, w):
    h = functional.relu(normalized(t["x"] @ w["dense_1.weight"], w, "batch_norm_1"))
    policy, value = h @ w["dense_2.weight"] + w["dense_2.bias"], h @ w["dense_3.weight"] + w["dense_3.bias"]
    penalty = w["dense_1.weight"].square().sum()
    return functional.cross_entropy(policy, t["kind"]) + 0.5 * functional.mse_loss(value, t["price"]) + 0.01 * penalty


check("two heads, penalty", """network net(x: f32[N, 6]) {
  h = relu(batch_norm(dense(x, 7, bias=false)))
  return policy = dense(h, 3), value = dense(h, 1)
}
train net {
  loss = softmax_cross_entropy(policy, kind) + 0.5 * mean_squared_error(value, price) + 0.01 * reduce_sum(dense_1.weight * dense_1.weight)
  optimizer = sgd(rate=0.1)
}""", {"x": floats(9, 6), "kind": labels(3, 9), "price": floats(9, 1)}, two_heads)


def siamese(t, w):
    a, b = (functional.relu(t[name] @ w["first"]) @ w["second"] for name in ("left", "right"))
    score = (a - b).square().sum(1, keepdim=True) @ w["dense_1.weight"] + w["dense_1.bias"]
    return functional.binary_cross_entropy_with_logits(score, t["same"])


check("a siamese pair", """block embed(x, first, second) { return matmul(relu(matmul(x, first)), second) }
network net(left: f32[N, 8], right: f32[N, 8]) {
  parameter first: f32[8, 16] = he
  parameter second: f32[16, 4] = he
  d = embed(left, first, second) - embed(right, first, second)
  return score = dense(reduce_sum(d * d, axes=[1], keep_dims=true), 1)
}
train net {
  loss = binary_cross_entropy_with_logits(same)
  optimizer = sgd(rate=0.1)
}""", {"left": floats(11, 8), "right": floats(11, 8), "same": labels(2, 11, 1).astype(np.float32)}, siamese)


def autoencoder(t, w):
    h = functional.relu(normalized(t["x"] @ w["dense_1.weight"], w, "batch_norm_1"))
    return functional.mse_loss(h @ w["dense_2.weight"] + w["dense_2.bias"], t["x"])


check("an autoencoder", """network net(x: f32[N, 8]) {
  h = relu(batch_norm(dense(x, 4, bias=false)))
  return image = dense(h, 8)
}
train net {
  loss = mean_squared_error
  target = x
  optimizer = sgd(rate=0.1)
}""", {"x": floats(10, 8)}, autoencoder)


def own_loss(t, w):
    y = t["x"] @ w["dense_1.weight"] + w["dense_1.bias"]
    return (y - t["wanted"]).abs().mean()


check("an output that is the loss", """network net(x: f32[N, 5], wanted: f32[N, 2]) {
  difference = dense(x, 2) - wanted
  return error = reduce_mean(maximum(difference, -difference))
}
train net {
  loss = error
  optimizer = sgd(rate=0.1)
}""", {"x": floats(10, 5), "wanted": floats(10, 2)}, own_loss)


def by_hand(t, w):
    y = t["x"] @ w["dense_1.weight"] + w["dense_1.bias"]
    return ((y - t["t"]) ** 2).mean() * 2 - 0.1 * y.mean()


check("a loss of plain ops", """network net(x: f32[N, 5]) { return y = dense(x, 3) }
train net {
  loss = 2 * reduce_mean((y - t) * (y - t)) - 0.1 * reduce_mean(y)
  optimizer = sgd(rate=0.1)
}""", {"x": floats(10, 5), "t": floats(10, 3)}, by_hand)



def conv(x, w, name, padding):
    return functional.conv2d(x, w[f"{name}.weight"].permute(3, 2, 0, 1), w.get(f"{name}.bias"), padding=padding)


def u_net(t, w):
    x = t["x"].permute(0, 3, 1, 2)
    wide = functional.relu(normalized(conv(x, w, "conv_1", 1), w, "batch_norm_1"))
    deep = functional.relu(normalized(conv(functional.max_pool2d(wide, 2), w, "conv_2", 1), w, "batch_norm_2"))
    joined = torch.cat([functional.interpolate(deep, scale_factor=2, mode="nearest"), wide], 1)
    return functional.cross_entropy(conv(joined, w, "conv_3", 0), t["mask"], ignore_index=255, weight=torch.tensor([1.0, 2.0, 0.5]).double())


mask = labels(3, 3, 8, 12)
mask[random.random(mask.shape) < 0.3] = 255
check("a U-Net, ignored pixels", """network net(x: f32[N, 8, 12, 2]) {
  wide = relu(batch_norm(conv2d(x, 4, bias=false)))
  deep = relu(batch_norm(conv2d(max_pool(wide, 2), 6, bias=false)))
  return scores = conv2d(concat(resize(deep, size=[8, 12]), wide), 3, 1)
}
train net {
  loss = softmax_cross_entropy(scores, mask, ignore=255, class_weights=[1, 2, 0.5])
  optimizer = sgd(rate=0.1)
}""", {"x": floats(3, 8, 12, 2), "mask": mask}, u_net)


def weighted(t, w):
    y = t["x"] @ w["dense_1.weight"] + w["dense_1.bias"]
    return (functional.cross_entropy(y, t["kind"], reduction="none") * t["importance"]).sum() / t["importance"].sum()


check("weights of examples", """network net(x: f32[N, 5]) { return y = dense(x, 3) }
train net {
  loss = softmax_cross_entropy(y, kind, weights=importance)
  optimizer = sgd(rate=0.1)
}""", {"x": floats(10, 5), "kind": labels(3, 10), "importance": np.abs(floats(10))}, weighted)

sys.exit(0 if passed else 1)
