#!/usr/bin/env python3
"""lenet-mnist: LeNet-5 on MNIST padded to 32x32, with batch norm behind each pooling and without; SGD 0.01 with momentum 0.9,
batches of 64, 10 epochs. Ends with a table of single predictions, mistakes first.
"""
import numpy as np

import common

NETWORKS = {"lenet_mnist": "with batch norm", "lenet_mnist_plain": "without batch norm"}
PYTORCH = {"lenet_mnist": [0.9835, 0.9882, 0.9892, 0.9895], "lenet_mnist_plain": [0.9699, 0.9776, 0.9867, 0.9876]}  # after epochs 1 to 4


def print_predictions(options, folder, count=1000, rows=12):
    """The network's surest mistakes among the first test images, then some it got right."""
    images, labels = (array[:count] for array in common.read_mnist(options.data, "test"))
    scores = common.predict(options, common.HERE / "lenet_mnist.bn", folder / "weights.safetensors", images[..., None] / 255)["scores"]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    predicted, sure = shares.argmax(axis=1), shares.max(axis=1)
    order = sorted(range(count), key=lambda i: (predicted[i] == labels[i], -sure[i]))
    print(f"{'image':>6}{'label':>7}{'predicted':>11}{'sure':>7}   mistakes first, of {count} images")
    for i in order[:rows]:
        print(f"{i:6}{labels[i]:7}{predicted[i]:11}{sure[i]:7.3f}{'' if predicted[i] == labels[i] else '   mistake'}")


def main():
    options = common.arguments(__doc__, seeds={"type": int, "nargs": "+", "default": [0, 1, 2], "metavar": "SEED", "help": "of weights and order of examples (default: 0 1 2)"})
    data, test = common.mnist(options)
    seeds, length, epoch = (options.seeds[:1], 2, 6000 // 64) if options.short else (options.seeds, 10, 60000 // 64)
    panels, figures = [common.Panel(f"Test {what}, mean of {len(seeds)} seeds", "epoch", what) for what in ("accuracy", "loss")], {}
    for network, name in NETWORKS.items():
        runs = []
        for seed in seeds:
            run = f"{network}-seed{seed}"
            common.train(options, common.HERE / f"{network}.bn", run, data, test, epochs=length, seed=seed, test_every=epoch)
            columns = common.history(options.out / run)
            runs.append([[columns[f"test_{panel.y_label}"][columns["step"] == epoch * e][0] for e in range(1, length + 1)] for panel in panels])
        figures[network] = np.mean(runs, axis=0)
        for panel, values in zip(panels, figures[network]):
            panel.line(name, range(1, length + 1), values, markers=True)
    common.plot(options.plots / "lenet_mnist.svg", panels)
    print_predictions(options, options.out / f"lenet_mnist-seed{seeds[0]}")

    def listed(values):
        return ", ".join(f"{value:.4f}" for value in values)

    notes = [f"test accuracy after each epoch {name}: {listed(figures[network][0])}" for network, name in NETWORKS.items()]
    if not options.short:
        notes += [f"PyTorch after epochs 1 to 4 {name}: {listed(PYTORCH[network])}" for network, name in NETWORKS.items()]
    common.conclude(f"lenet-mnist, {length} epochs, mean of {len(seeds)} seed{'s' if len(seeds) > 1 else ''}", "lower loss and higher accuracy throughout with batch norm",
                    f"{figures['lenet_mnist'][0][-1]:.4f} with batch norm, {figures['lenet_mnist_plain'][0][-1]:.4f} without", *notes)


if __name__ == "__main__":
    main()
