#!/usr/bin/env python3
"""steps-to-accuracy: the paper's central claim. How many steps does the network with batch norm take to the plain one's final accuracy?

The network is the paper's for MNIST: three hidden layers of 100 sigmoids; weights N(0, 0.1), plain SGD, batches of 60, loss averaged
over the batch. With and without batch norm it is trained for 10,000 steps at each of several learning rates, and tested every 50.
The accuracy to reach is what the plain network ends with: at the same rate, and at the best of its rates. Population statistics keep
0.99 of their old value a step: with 0.999 a test would see those of a thousand steps ago.
"""
import numpy as np

import common

RATES = [0.03, 0.1, 0.3, 1, 3, 10]
NETWORKS = {"mnist_mlp": "with batch norm", "mnist_mlp_plain": "without batch norm"}
STEPS = 10000


def variant(options, network, rate):
    """The network of that name under examples/, with a third hidden layer, this learning rate and the mean of the losses."""
    text = (common.ROOT / f"examples/{network}.bn").read_text()
    path = options.out / f"{network}-{rate}.bn"
    path.write_text(text.replace("rate=0.01", f"rate={rate}").replace(", reduction=sum", "").replace("decay=0.999", "decay=0.99").replace("repeat 2", "repeat 3"))
    return path


def steps_to(curve, accuracy):
    """The first test that reaches it; NaN where none does."""
    return next((at for at, found in zip(*curve) if found >= accuracy), np.nan)


def main():
    options = common.arguments(__doc__)
    data, test = common.mnist(options)
    steps, rates = (2000, [0.1, 1]) if options.short else (STEPS, RATES)
    curves, final = {}, {}
    for network in NETWORKS:
        for rate in rates:
            name = f"rate-{network}-{rate}"
            result = common.train(options, variant(options, network, rate), name, data, test, steps=steps, seed=1, test_every=50, may_diverge=True)
            curves[network, rate] = common.tests(options.out / name)
            final[network, rate] = 0 if "diverged" in result else curves[network, rate][1][-1]
    learning = [rate for rate in rates if final["mnist_mlp_plain", rate] > 0.5] or rates  # at the others the plain network diverges
    best = max(learning, key=lambda rate: final["mnist_mlp_plain", rate])
    goal = final["mnist_mlp_plain", best]
    same = {(network, rate): steps_to(curves[network, rate], final["mnist_mlp_plain", rate]) for network in NETWORKS for rate in learning}
    highest = {key: steps_to(curve, goal) for key, curve in curves.items()}

    panels = [common.Panel("Steps to the plain network's end, same rate", "learning rate", "steps", log_x=True),
              common.Panel(f"Steps to its best end, {goal:.4f}", "learning rate", "steps", log_x=True), common.Panel("Test accuracy, all rates", "step", "accuracy", y_range=(0.85, 1))]
    for number, (network, name) in enumerate(NETWORKS.items()):
        panels[0].line(name, learning, [same[network, rate] for rate in learning], color=number, markers=True)
        panels[1].line(name, rates, [highest[network, rate] for rate in rates], color=number, markers=True)
        for rate in rates:
            panels[2].line(name if rate == rates[0] else "", *curves[network, rate], color=number)
    common.plot(options.plots / "steps_to_accuracy.svg", panels, width=340)
    print(f"{'rate':>7}{'plain ends at':>15}{'first there':>13}{'with batch norm':>17}{'fewer':>8}{'  it ends at':>13}{f'to {goal:.4f}':>12}{'plain':>8}")
    for rate in rates:
        plain, normalized = (same.get((network, rate), np.nan) for network in ("mnist_mlp_plain", "mnist_mlp"))
        print(f"{rate:7g}{final['mnist_mlp_plain', rate]:15.4f}{plain:13.0f}{normalized:17.0f}{plain / normalized:7.1f}x{final['mnist_mlp', rate]:13.4f}"
              f"{highest['mnist_mlp', rate]:12.0f}{highest['mnist_mlp_plain', rate]:8.0f}")
    ours = "at the same rate " + ", ".join(f"{same['mnist_mlp_plain', rate] / same['mnist_mlp', rate]:.1f} (rate {rate:g})" for rate in learning) + " times fewer steps; "
    reached = [rate for rate in rates if np.isfinite(highest["mnist_mlp", rate])]
    if reached:
        fastest = min(reached, key=lambda rate: highest["mnist_mlp", rate])
        ratio = highest["mnist_mlp_plain", best] / highest["mnist_mlp", fastest]
        ours += f"against the plain network at its best rate ({best:g}, {goal:.4f}) {ratio:.1f} times fewer (rate {fastest:g}, after {highest['mnist_mlp', fastest]:.0f})"
    else:
        ours += f"what the plain network reaches at its best rate ({best:g}, {goal:.4f}) it does not reach"
    common.conclude("steps-to-accuracy", "higher learning rates, and up to 14 times fewer steps (Inception on ImageNet)", ours)


if __name__ == "__main__":
    main()
