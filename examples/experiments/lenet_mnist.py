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
    options = common.arguments(__doc__, seed={"type": int, "default": 0, "help": "of weights and order of examples (default: 0)"})
    data, test = common.mnist(options)
    accuracies, losses, accuracy = common.Panel("Test accuracy", "epoch", "accuracy"), common.Panel("Test loss", "epoch", "loss"), {}
    for network, name in NETWORKS.items():
        run, epoch = f"{network}-seed{options.seed}", (6000 if options.short else 60000) // 64
        common.train(options, common.HERE / f"{network}.bn", run, data, test, epochs=2 if options.short else 10, seed=options.seed, test_every=epoch)
        columns = common.history(options.out / run)
        tested = ~np.isnan(columns["test_loss"])
        epochs = columns["step"][tested] / epoch
        accuracies.line(name, epochs, columns["test_accuracy"][tested])
        losses.line(name, epochs, columns["test_loss"][tested])
        accuracy[network] = [columns["test_accuracy"][columns["step"] == epoch * e][0] for e in range(1, int(epochs[-1]) + 1)]
    common.plot(options.plots / "lenet_mnist.svg", [accuracies, losses])
    print_predictions(options, options.out / f"lenet_mnist-seed{options.seed}")

    def listed(values):
        return ", ".join(f"{value:.4f}" for value in values)

    notes = [f"test accuracy after each epoch {name}: {listed(accuracy[network])}" for network, name in NETWORKS.items()]
    if not options.short:
        notes += [f"PyTorch after epochs 1 to 4 {name}: {listed(PYTORCH[network])}" for network, name in NETWORKS.items()]
    common.conclude(f"lenet-mnist, {len(accuracy['lenet_mnist'])} epochs, seed {options.seed}", "lower loss and higher accuracy throughout with batch norm",
                    f"{accuracy['lenet_mnist'][-1]:.4f} with batch norm, {accuracy['lenet_mnist_plain'][-1]:.4f} without", *notes)


if __name__ == "__main__":
    main()
