"""Networks, compiled programs, trainers."""
from __future__ import annotations

import os
from typing import Any, Iterable, Mapping, NamedTuple, Optional
import warnings as _warnings

import numpy

from . import _native
from ._reports import Explanation, History, Verification
from ._weights import PathLike, Weights, WeightsLike, from_native, to_native


class Tensor(NamedTuple):
    """A tensor of a network's signature, or one of its weights."""

    name: str
    type: str  #: "f32[N, 784]"
    shape: tuple[int, ...]  #: with -k for a dimension of k * N, N being the batch size
    trainable: bool


def _tensors(infos: Iterable[Any]) -> list[Tensor]:
    return [Tensor(*info) for info in infos]


def _warn(texts: Iterable[str], level: int = 3) -> None:
    for text in texts:
        _warnings.warn(text.strip(), stacklevel=level)


class Program(_native.Program):
    """A compiled network: call it on arrays.

    ``program(x)`` takes the network's inputs in order, or by name, and returns an array where the network has one output, and a dictionary
    from names to arrays where it has several. ``program(x, out=y)`` writes into ``y`` instead (a dictionary for several outputs) and
    allocates nothing.

    Arrays of numpy with the right type (float32, or int32 for integers) that are C-contiguous are read where they lie, and so
    is anything with ``__dlpack__``, such as a tensor of PyTorch on the CPU. Other floats and integers are converted, which
    makes a copy. Bytes are refused where the network takes floats: pixels are to be divided by 255. The first dimension is
    the batch: one example alone is ``x[None]``. Compiled with ``batch=N`` a program takes N examples, otherwise any number.

    It runs without the lock of the interpreter. Several threads may call one program, one after the other; for runs at the same
    time give each thread a program of its own.

    Attributes: ``inputs`` and ``outputs`` (lists of :class:`Tensor`), ``batch``, ``threads``, ``flops`` (of a run, of one example where the
    batch is not fixed), ``arena_bytes``, ``compile_ms``.
    """

    def __init__(self, network: "Network", weights: Optional[WeightsLike] = None, batch: Optional[int] = None,
                 threads: int = 0, cpu: str = "native"):
        texts: list[str] = []
        super().__init__(network._native, to_native(weights), batch, threads, cpu, texts)
        self._name = network.name
        _warn(texts, 4)

    @property
    def inputs(self) -> list[Tensor]:
        """What it takes, in order."""
        return _tensors(super().inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """What it gives, in order."""
        return _tensors(super().outputs)

    def __repr__(self) -> str:
        return f"<bnc.Program {self._name}, batch {self.batch or 'any'}, {self.threads} threads>"


class Trainer:
    """Trains step by step on arrays: ``loss = trainer.step(x, labels)``.

    ``weights`` are the weights as they now are (:class:`Weights`, a copy; assign others to change them), ``history`` is the
    loss of each step, ``steps`` how many there were. The optimizer is that of the network's ``train`` section.
    """

    def __init__(self, native: _native.Trainer):
        self._native = native
        self._losses: list[float] = []

    def step(self, *arrays: Any, **named: Any) -> float:
        """One step of the optimizer on one batch; returns the loss before it.

        Takes the network's inputs and then the targets of its loss, in order or by name. All hold ``batch`` examples. Labels are integers.
        """
        loss = self._native.step(*arrays, **named)
        self._losses.append(loss)
        return loss

    def read(self, name: str) -> numpy.ndarray:
        """An output of the last step by name; ``"loss"``; with ``gradients=True`` also ``"grad/TENSOR"``; ``"state/TENSOR"``."""
        return self._native.read(name)

    @property
    def weights(self) -> Weights:
        """Parameters and running statistics as they now are."""
        return from_native(self._native.weights())

    @weights.setter
    def weights(self, weights: WeightsLike) -> None:
        self._native.set_weights(to_native(weights))

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return len(self._losses)

    @property
    def history(self) -> History:
        """Columns ``step`` and ``loss``."""
        return History({"step": range(1, len(self._losses) + 1), "loss": self._losses})

    @property
    def inputs(self) -> list[Tensor]:
        """What a step takes: the network's inputs, then the targets."""
        return _tensors(self._native.inputs)

    @property
    def readable(self) -> list[str]:
        """What :meth:`read` gives."""
        return self._native.readable

    def __repr__(self) -> str:
        last = f", loss {self._losses[-1]:.4g}" if self._losses else ""
        return f"<bnc.Trainer, {self.steps} steps{last}>"

    def _repr_html_(self) -> str:
        return self.history._repr_html_()


class Network:
    """A network as its ``.bn`` text describes it.

    ``Network(text)`` parses text, :func:`load` a file. ``path`` is what errors call the text.
    """

    def __init__(self, text: str, path: str = "<text>"):
        self._native = _native.Network.from_text(text, path)
        self._source = text

    @classmethod
    def load(cls, path: PathLike) -> "Network":
        """Reads a ``.bn`` file."""
        network = cls.__new__(cls)
        network._native = _native.Network.from_file(os.fspath(path))
        with open(path, encoding="utf-8") as file:
            network._source = file.read()
        return network

    @property
    def name(self) -> str:
        """The name behind ``network``."""
        return self._native.name

    @property
    def source(self) -> str:
        """The text that describes it, which ``load`` reads when it is kept in a ``.bn`` file."""
        return self._source

    @property
    def inputs(self) -> list[Tensor]:
        """What it takes, in order."""
        return _tensors(self._native.inputs())

    @property
    def targets(self) -> list[Tensor]:
        """What a training step takes beside the inputs."""
        return _tensors(self._native.targets())

    @property
    def outputs(self) -> list[Tensor]:
        """What it gives, in order."""
        return _tensors(self._native.outputs())

    @property
    def parameters(self) -> list[Tensor]:
        """Its weights: parameters and running statistics, in order."""
        return _tensors(self._native.parameters())

    @property
    def trainable(self) -> bool:
        """Whether it has a ``train`` section."""
        return self._native.trainable

    def initialize(self, seed: int = 0) -> Weights:
        """Fresh weights; the same for the same seed, and those that ``bnc train --seed`` begins with."""
        return from_native(self._native.initialize(seed))

    def compile(self, weights: Optional[WeightsLike] = None, batch: Optional[int] = None, threads: int = 0,
                cpu: str = "native") -> Program:
        """Machine code for this network with these weights, batch norms folded: a :class:`Program`, which is called on arrays.

        weights   a mapping of names to arrays, or the path of a safetensors file; without them fresh ones, of ``initialize(0)``
        batch     fixes the batch size, which is faster for small ones; without it the program takes any
        threads   at most so many; 0: as many as the process has cores
        cpu       the CPU level: ``"native"``, or a name that ``bnc targets`` lists
        """
        return Program(self, weights, batch, threads, cpu)

    def trainer(self, weights: Optional[WeightsLike] = None, batch: Optional[int] = None, seed: Optional[int] = None,
                threads: int = 0, cpu: str = "native", gradients: bool = False, steps: Optional[int] = None,
                steps_an_epoch: Optional[int] = None) -> Trainer:
        """A :class:`Trainer`, for loops over batches of your own; :func:`train` is the loop that comes with bnc.

        weights   to begin with; without them fresh ones, of ``initialize(seed)``
        batch     the batch size; without it that of the ``train`` section
        seed      of fresh weights and of dropout
        gradients keeps gradients for :meth:`Trainer.read`
        steps, steps_an_epoch   for learning rates with a schedule that counts those
        """
        return Trainer(_native.trainer(self._native, to_native(weights), batch, seed, threads, cpu, gradients, steps, steps_an_epoch))

    def explain(self, weights: Optional[WeightsLike] = None, mode: str = "infer", batch: Optional[int] = None,
                cpu: str = "native") -> Explanation:
        """What became of every batch norm and dropped bias, and why. With weights also what folding changes. ``mode`` is infer or train."""
        if mode not in ("infer", "train"):
            raise ValueError(f"mode is {mode!r}, but may be 'infer' or 'train'")
        return Explanation._from_native(self._native.explain(to_native(weights), mode == "train", batch, cpu))

    def verify(self, weights: WeightsLike, inputs: Optional[Mapping[str, Any]] = None,
               batch: Optional[int] = None, seed: int = 1, bound: float = 1e-4, threads: int = 0,
               cpu: str = "native") -> Verification:
        """Compiled code against the float64 evaluator, layer by layer, on ``inputs`` by name or on random numbers of ``seed``."""
        found, texts = self._native.verify(to_native(weights), dict(inputs or {}), batch, seed, bound, threads, cpu)
        _warn(texts)
        return Verification._from_native(found)

    def to_object(self, path: PathLike, weights: WeightsLike, header: Optional[PathLike] = None,
                  batch: Optional[int] = None, name: Optional[str] = None, cpu: str = "native") -> None:
        """Writes an object file that needs no library, weights embedded, and the C header beside it if ``header`` is its path.

        ``name`` stands in the place of the network's name in ``NAME_infer``.
        """
        code, text, texts = self._native.compile_object(to_native(weights), batch, cpu, name or "")
        _warn(texts)
        _native.write_file(os.fspath(path), code)
        if header is not None:
            _native.write_file(os.fspath(header), text.encode())

    def emit(self, stage: str = "graph", weights: Optional[WeightsLike] = None, batch: Optional[int] = None,
             cpu: str = "native") -> str:
        """The network as text at a stage of the compiler: ast, graph, loops, llvm or asm."""
        return self._native.emit(stage, to_native(weights), batch, cpu)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{tensor.name}: {tensor.type}" for tensor in self.inputs)
        outputs = ", ".join(f"{tensor.name}: {tensor.type}" for tensor in self.outputs)
        return f"<bnc.Network {self.name}({inputs}) -> {outputs}>"


def load(path: PathLike) -> Network:
    """Reads a network from a ``.bn`` file."""
    return Network.load(path)
