"""bnc compiles neural networks built around batch normalization to machine code.

Three lines to a prediction::

    import bnc
    program = bnc.load("model.bn").compile(weights="weights.safetensors")
    y = program(x)                                   # a numpy array in, a numpy array out

A network is text in bnc's language (``bnc.Network(text)``, ``bnc.load(path)``), or comes from elsewhere (``bnc.from_onnx``,
``bnc.from_torch``). It is compiled with weights to a ``Program``, which is called on arrays; trained by ``bnc.train`` on a data
set, or step by step by ``network.trainer()``; explained and verified (``network.explain``, ``network.verify``); and written as
an object file with a C header (``network.to_object``). Weights are dictionaries from names to float32 arrays. What goes wrong
is a ``bnc.Error``, which knows file, line and advice.

docs/python.md goes through all of it, docs/language.md is about networks.
"""
from __future__ import annotations

from . import _native
from ._errors import DivergenceError, Error, InternalError
from ._interchange import from_onnx, from_torch
from ._network import Network, Program, Tensor, Trainer, load
from ._reports import Entry, Explanation, History, LayerCheck, Verification
from ._training import Progress, TrainResult, train
from ._weights import Weights, load_weights, save_weights

__version__: str = _native.version().split()[1]
__all__ = ["DivergenceError", "Entry", "Error", "Explanation", "History", "InternalError", "LayerCheck", "Network", "Program", "Progress",
           "Tensor", "TrainResult", "Trainer", "Verification", "Weights",
           "from_onnx", "from_torch", "load", "load_weights", "save_weights", "train", "version"]


def version() -> str:
    """The versions of bnc and of the LLVM inside: ``"bnc 0.1.0 (LLVM 22.1.8)"``."""
    return _native.version()


# Where users find them, for help() and pickles.
for _name in __all__:
    _found = globals()[_name]
    if getattr(_found, "__module__", "").startswith("bnc."):
        _found.__module__ = "bnc"
del _name, _found
