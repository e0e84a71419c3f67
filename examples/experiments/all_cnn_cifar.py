#!/usr/bin/env python3
"""all-cnn-cifar: All-CNN-C on CIFAR-10 in three cases: (a) plain, Adam; (b) batch norm, Adam; (c) batch norm, AMSGrad.

An epoch takes minutes to an hour. --resume goes on where a run was stopped or killed, as often as needed; --plot-only trains nothing
and shows what stands in the folders a, b and c below --out. --data is a folder with CIFAR-10's binary batches.
"""
import numpy as np

import common

CASES = {"a": ("all_cnn_plain", "(a) plain, Adam"), "b": ("all_cnn_batch_norm", "(b) batch norm, Adam"), "c": ("all_cnn_amsgrad", "(c) batch norm, AMSGrad")}
PUBLISHED = "(a) 0.88 by epoch 21, but overfits; (b) higher test accuracy with lower training accuracy; (c) below 0.88 in as many epochs, generalizes well"


def by_epoch(folder):
    """{column: a number an epoch}: the mean of the rows of training, the last test."""
    columns = common.history(folder)
    epochs = np.unique(columns["epoch"])

    def last(values):
        values = values[~np.isnan(values)]
        return values[-1] if len(values) else np.nan

    figures = {name: np.array([columns[name][columns["epoch"] == e].mean() for e in epochs]) for name in ("loss", "accuracy")}
    figures |= {name: np.array([last(columns[name][columns["epoch"] == e]) for e in epochs]) for name in ("test_loss", "test_accuracy")}
    return {"epoch": epochs, **figures}


def main():
    cases = {"nargs": "+", "choices": list(CASES), "default": list(CASES), "metavar": "CASE", "help": "which of a, b, c (default: all)"}
    epochs = {"type": int, "default": 10, "help": "how many (default: 10)"}
    options = common.arguments(__doc__, data="", **{"cases": cases, "epochs": epochs, "plot-only": "train nothing"})
    for case in [] if options.plot_only else options.cases:
        length = {"steps": 12, "batch": 16, "test_every": 6} if options.short else {"epochs": options.epochs}
        common.train(options, common.HERE / f"{CASES[case][0]}.bn", case, options.data, options.data, **length)

    accuracy, cost = common.Panel("Accuracy", "epoch", "accuracy"), common.Panel("Cost", "epoch", "cross-entropy")
    found = []
    for number, (case, (_, name)) in enumerate(CASES.items()):
        if not (options.out / case / "history.csv").exists():
            continue
        figures = by_epoch(options.out / case)
        for panel, column in ((accuracy, "accuracy"), (cost, "loss")):
            panel.line(f"{name}, test", figures["epoch"], figures[f"test_{column}"], color=number, markers=True)
            panel.line(f"{name}, training", figures["epoch"], figures[column], color=number, dashed=True)
        tested = np.flatnonzero(~np.isnan(figures["test_accuracy"]))
        if len(tested):
            last, best = tested[-1], tested[figures["test_accuracy"][tested].argmax()]
            found.append(f"({case}) {figures['test_accuracy'][last]:.4f} after epoch {figures['epoch'][last]:.0f} (training {figures['accuracy'][last]:.4f}), "
                         f"best {figures['test_accuracy'][best]:.4f} after epoch {figures['epoch'][best]:.0f}")
    if found:
        common.plot(options.plots / "all_cnn_cifar.svg", [accuracy, cost])
    common.conclude("all-cnn-cifar", PUBLISHED, "; ".join(found) or "nothing was tested yet")


if __name__ == "__main__":
    main()
