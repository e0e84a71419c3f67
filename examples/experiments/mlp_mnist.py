#!/usr/bin/env python3
"""mlp-mnist: 784-100-100-10 with sigmoids on MNIST, weights N(0, 1), with and without batch norm, 40,000 steps of plain SGD.

Plots the test accuracy every 50 steps, and the mean of what enters the second layer's sigmoids (over 1000 test images) for its
first five units. As published, those images are normalized as one batch; the accuracy is shown so too, beside that with population
statistics, whose moving average (decay 0.999) needs thousands of steps to get near. To look inside, a run is stopped now and then
and resumed, which changes no bit of it.
"""
import numpy as np

import common

NETWORKS = {"mlp_mnist": "with batch norm", "mlp_mnist_plain": "without batch norm"}
PYTORCH = {"mlp_mnist": 0.971, "mlp_mnist_plain": 0.952}  # the same settings, one seed
STEPS, LOOKS = 40000, 100


def train(options, network, data, test, steps, looks):
    """Trains a network. Returns its last result; and for each look the step, the accuracy over 1000 test images as one batch, and
    the mean pre-activations of five units."""
    name, model = f"{network}-seed{options.seed}", common.HERE / f"{network}.bn"
    images, labels = (array[:1000] for array in common.read_mnist(options.data, "test"))
    images = images.reshape(-1, 784) / 255
    kept = options.out / name / "looks.npy"
    rows = np.load(kept).tolist() if options.resume and kept.exists() else []
    at = sorted({max(50, round(steps * (number / looks) ** 2 / 50) * 50) for number in range(1, looks + 1)})  # closer at the beginning
    result = None
    for number, step in enumerate(at):
        if number < len(rows) and step < steps:
            continue
        result = common.train(options, model, name, data, test, go_on=number > 0, steps=step, seed=options.seed, test_every=50)
        if number >= len(rows):
            outputs = common.predict(options, model, options.out / name / "weights.safetensors", images, "--mode", "train", labels=labels)
            rows.append([step, np.mean(outputs["scores"].argmax(axis=1) == labels), *outputs["pre_activation"][:, :5].mean(axis=0)])
            np.save(kept, rows)
    rows = np.array(rows)
    return result, rows[:, 0], rows[:, 1], rows[:, 2:]


def main():
    options = common.arguments(__doc__, seed={"type": int, "default": 1, "help": "of weights and order of examples (default: 1)"})
    data, test = common.mnist(options)
    steps, looks = (3000, 5) if options.short else (STEPS, LOOKS)
    accuracies = common.Panel("Test accuracy", "step", "accuracy", log_x=True)
    panels, final, change, as_batch = [accuracies], {}, {}, {}
    for network, name in NETWORKS.items():
        result, at, as_batch[network], means = train(options, network, data, test, steps, looks)
        final[network] = result["test"]["accuracy"]
        accuracies.line(name, *common.tests(options.out / f"{network}-seed{options.seed}"))
        panel = common.Panel(f"Into layer 2, {name}", "step", "mean pre-activation")
        for unit in range(5):
            panel.line(f"unit {unit + 1}", at, means[:, unit])
        panels.append(panel)
        change[network] = np.abs(np.diff(means, axis=0)).mean()
    accuracies.line("with batch norm, 1000 images as one batch", at, as_batch["mlp_mnist"], dashed=True)
    common.plot(options.plots / "mlp_mnist.svg", panels, width=360)
    notes = [f"a mean pre-activation changes from one look to the next by {change['mlp_mnist']:.3f} with batch norm, {change['mlp_mnist_plain']:.3f} without"]
    if not options.short:
        first = next(i for i, step in enumerate(at) if step >= 1000)
        notes += [f"after {at[first]:.0f} steps, 1000 images as one batch: {as_batch['mlp_mnist'][first]:.3f} with batch norm, {as_batch['mlp_mnist_plain'][first]:.3f} without",
                  f"PyTorch with these settings: {PYTORCH['mlp_mnist']:.3f} with batch norm, {PYTORCH['mlp_mnist_plain']:.3f} without"]
    common.conclude(f"mlp-mnist, {steps} steps, seed {options.seed}", "faster and higher with batch norm, about 0.97 against well below",
                    f"{final['mlp_mnist']:.4f} with batch norm, {final['mlp_mnist_plain']:.4f} without", *notes)


if __name__ == "__main__":
    main()
