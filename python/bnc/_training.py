"""Whole training runs."""
from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
from typing import Any, Callable, Mapping, Optional, Sequence, Union
import warnings as _warnings

import numpy

from . import _native
from ._network import Network
from ._reports import History
from ._weights import PathLike, Weights, WeightsLike, load_weights, save_weights

Figures = dict[str, float]
Data = Union[PathLike, tuple[Any, Any], Mapping[str, Any]]
Progress = _native.Progress


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a training run came to. A notebook shows its curves."""

    weights: Weights  #: behind the last step
    best_weights: Optional[Weights]  #: of the best test
    history: History
    steps: int
    stopped: bool  #: by the callback
    out_of_patience: bool
    train: Figures  #: ``loss``, ``accuracy``, ``count``, metrics
    validation: Optional[Figures]
    test: Optional[Figures]  #: None without test data, and of a run that was stopped
    best: Optional[dict[str, Any]]  #: ``step``, ``epoch`` and ``test`` of the best test
    out: Optional[pathlib.Path]  #: the run's folder, with report.html and a checkpoint

    def __repr__(self) -> str:
        parts = [f"{self.steps} steps"]
        for name in ("train", "validation", "test"):
            figures = getattr(self, name)
            if figures:
                parts.append(f"{name} loss {figures['loss']:.4g} accuracy {figures['accuracy']:.4g}")
        return f"<bnc.TrainResult, {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        return f"<p>{repr(self)[5:-1]}</p>" + self.history._repr_html_()


def _specification(data: Data, folder: pathlib.Path, name: str) -> str:
    """Arrays become an archive in a folder that is gone when the run ends."""
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    arrays = data if isinstance(data, Mapping) else dict(zip(("x", "y"), data))
    path = folder / f"{name}.npz"
    stored: dict[str, Any] = {key: _storable(numpy.asarray(array)) for key, array in arrays.items()}
    numpy.savez(path, **stored)
    return str(path)


def _storable(array: numpy.ndarray) -> numpy.ndarray:
    return numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def train(network: Network, data: Data, *, test: Optional[Data] = None, validate: Optional[float] = None,
          epochs: Optional[int] = None, steps: Optional[int] = None, batch: Optional[int] = None,
          seed: Optional[int] = None, patience: Optional[int] = None, test_every: Optional[int] = None,
          weights: Optional[WeightsLike] = None, out: Optional[PathLike] = None, overwrite: bool = False,
          resume: Optional[PathLike] = None, tensorboard: bool = False, threads: int = 0, cpu: str = "native",
          label: Optional[str] = None, targets: Sequence[str] = (), ignore: Sequence[str] = (),
          missing: str = "refuse", resize: Optional[tuple[int, int]] = None,
          callback: Optional[Callable[[Progress], Any]] = None, callback_seconds: float = 0.1) -> TrainResult:
    """Trains a network as its ``train`` section says, like ``bnc train``, in the same bits.

    data       a data specification of the command line (``"fashion-mnist"``, a folder, a ``.csv``, an ``.npz``), or arrays:
               ``(x, y)``, or a mapping of arrays by name for several inputs and targets. Bytes are pixels, divided by 255.
    test       the same, of examples to test with; ``validate=0.1`` holds a tenth of the training examples out instead
    epochs, steps, batch, seed, patience, test_every   in place of what the ``train`` section says
    weights    to begin with, a mapping or a path; without them fresh ones
    out        the folder to keep the run in (weights, history, report.html, checkpoint); without it nothing is left behind
    resume     the folder of an earlier run to go on with
    label, targets, ignore, missing, resize   how tables and images are read, as on the command line
    callback   is called with a :class:`Progress` behind every test, and in between every ``callback_seconds``. Where it
               returns False the run ends in good order; what it raises ends the run and is raised here.

    Raises :class:`DivergenceError` where the loss or a weight is no longer finite. Ctrl-C raises KeyboardInterrupt; a run with ``out`` can
    then be resumed.
    """
    with tempfile.TemporaryDirectory(prefix="bnc_train.") as name:
        folder = pathlib.Path(name)
        options: dict[str, Any] = {
            "data": _specification(data, folder, "train"), "validate": validate, "epochs": epochs, "steps": steps, "batch": batch,
            "seed": seed, "patience": patience, "test_every": test_every, "overwrite": overwrite, "tensorboard": tensorboard,
            "threads": threads, "cpu": cpu, "label": label, "targets": list(targets), "ignore": list(ignore), "missing": missing,
            "resize": resize, "test": None if test is None else _specification(test, folder, "test"),
            "resume": None if resume is None else os.fspath(resume)}
        kept = out if out is not None else resume
        options["out"] = os.fspath(kept) if kept is not None else str(folder / "run")
        if isinstance(weights, (str, os.PathLike)):
            options["weights"] = os.fspath(weights)
        elif weights is not None:
            options["weights"] = str(folder / "begin.safetensors")
            save_weights(options["weights"], weights)
        given = {key: value for key, value in options.items() if value is not None}
        found, texts = _native.train(network._native, given, callback, callback_seconds)
        for text in texts:
            _warnings.warn(text.strip(), stacklevel=2)
        best_path = found["best_weights_path"]
        figures = {key: found[key] for key in ("steps", "stopped", "out_of_patience", "train", "validation", "test", "best")}
        return TrainResult(weights=load_weights(found["weights_path"]), best_weights=load_weights(best_path) if best_path else None,
                           history=History.read(pathlib.Path(options["out"]) / "history.csv"),
                           out=None if kept is None else pathlib.Path(kept), **figures)
