#!/usr/bin/env python3
"""preprocess: three treatments of grey images, and batch norm as what standardizes a mini-batch.

1000 grey images of 32x32 pixels, random normal plus noise, with mean about 26 and variance about 306: min-max normalization of the
whole set, standardization of the whole set, and batch norm (gamma 1, beta 0) of its first 10 images. Each is computed by hand, with
numpy in float64, and by bnc.
"""
import sys

import numpy as np

import common

LARGEST_DIFFERENCE = 1e-6


def images(count):
    random = np.random.default_rng(1)
    shape = (count, 32, 32, 1)
    return (random.normal(25, 17, shape) + random.normal(1, 4, shape)).astype(np.float32)


def standardized(x, epsilon=1e-5):
    x = x.astype(np.float64)
    return (x - x.mean()) / np.sqrt(x.var() + epsilon)


def min_max_normalized(x):
    x = x.astype(np.float64)
    return (x - x.min()) / (x.max() - x.min())


def main():
    options = common.arguments(__doc__, data=None)
    x = images(100 if options.short else 1000)
    model, weights = common.HERE / "preprocess.bn", options.out / "preprocess.safetensors"
    common.call(options, "init", model, "-o", weights)
    whole, batch = (common.predict(options, model, weights, part, "--mode", "train", labels=part) for part in (x, x[:10]))
    rows = [("min-max normalization of the set", whole["min_max"], min_max_normalized(x)), ("standardization of the set", whole["standardized"], standardized(x)),
            ("standardization of 10 images", batch["standardized"], standardized(x[:10])), ("batch norm of 10 images", batch["batch_normalized"], standardized(x[:10]))]
    print(f"{'':34}{'mean':>10}{'variance':>10}{'lowest':>9}{'highest':>9}  largest difference to numpy")
    print(f"{'images':34}{x.mean():10.4f}{x.var():10.4f}{x.min():9.3f}{x.max():9.3f}")
    differences = []
    for name, ours, by_hand in rows:
        differences.append(np.abs(ours - by_hand).max())
        print(f"{name:34}{ours.mean():10.4f}{ours.var():10.4f}{ours.min():9.3f}{ours.max():9.3f}  {differences[-1]:.1e}")
    between = np.abs(batch["standardized"].astype(np.float64) - batch["batch_normalized"]).max()

    panels = []
    for name, values in (("images", x), *((name, ours) for name, ours, _ in rows if name != "standardization of 10 images")):
        panels.append(common.Panel(name, "value", "share of pixels"))
        panels[-1].histogram("", values)
    common.plot(options.plots / "preprocess.svg", panels, width=260, height=200)
    common.conclude("preprocess", "batch norm with gamma 1, beta 0 equals standardization of the mini-batch, by hand and by the framework's op",
                    f"so it does: largest difference {differences[3]:.1e} to numpy, {between:.1e} to the op `standardize` (at most {LARGEST_DIFFERENCE:.0e} is asked for)")
    if max(*differences, between) > LARGEST_DIFFERENCE:
        sys.exit("FAILED: they do not agree")


if __name__ == "__main__":
    main()
