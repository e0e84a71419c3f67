"""Weights: arrays by name, and what a file says of its model beside them."""
from __future__ import annotations

import os
from typing import Any, Mapping, Optional, Union

import numpy

from . import _native

PathLike = Union[str, "os.PathLike[str]"]


class Weights(dict[str, numpy.ndarray]):
    """A dictionary from the names of tensors to float32 arrays, in the order of the network.

    The arrays are copies: change them, or put others in their place, and compile again. ``metadata`` is what a weights file says of its
    model beside them (network, classes, how it was trained), a dictionary of texts that :func:`save_weights` keeps.
    """

    def __init__(self, *entries: Any, metadata: Optional[Mapping[str, str]] = None, **named: Any):
        super().__init__(*entries, **named)
        if metadata is None and entries:
            metadata = getattr(entries[0], "metadata", None)
        self.metadata: dict[str, str] = dict(metadata or {})

    def __repr__(self) -> str:
        lines = [f"  {name}: float32{list(array.shape)}" for name, array in self.items()]
        return "\n".join([f"<bnc.Weights, {len(self)} tensors>", *lines])


WeightsLike = Union[Mapping[str, Any], PathLike]


def from_native(found: tuple[Any, Any]) -> Weights:
    entries, metadata = found
    return Weights(entries, metadata=dict(metadata))


def to_native(weights: Optional[WeightsLike]) -> Any:
    """What the native module takes: a mapping as it is, a path as text."""
    return os.fspath(weights) if isinstance(weights, (str, os.PathLike)) else weights


def load_weights(path: PathLike) -> Weights:
    """Reads a safetensors file."""
    return from_native(_native.load_weights(os.fspath(path)))


def save_weights(path: PathLike, weights: WeightsLike) -> None:
    """Writes weights as a safetensors file, as a whole or not at all. They keep their order, and their ``metadata`` if they have any."""
    _native.save_weights(os.fspath(path), to_native(weights))
