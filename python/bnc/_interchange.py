"""Networks from other programs."""
from __future__ import annotations

import inspect
import io
import os
import warnings
from typing import Any, Mapping, Optional, Sequence, Union

from . import _native
from ._network import Network
from ._weights import PathLike, Weights, from_native


def from_onnx(model: Union[PathLike, bytes], *, shapes: Optional[Mapping[str, Sequence[int]]] = None, mean: Sequence[float] = (),
              deviation: Sequence[float] = (), keep_batch: bool = False) -> tuple[Network, Weights]:
    """The network and the weights of an ONNX file, given its path or its bytes.

    ``network.source`` is its text in bnc's language; inputs and outputs keep the layout that the model has. What bnc
    has no op for is an :class:`Error` that names the node. External data are read with a path only, from the file's folder.
    What was assumed is warned of.

    shapes       of inputs whose shape the file leaves open, by name; -1 is the batch
    mean, deviation   what is subtracted from images and what they are divided by then, a number for each channel, to make that
                 preparation a part of the network
    keep_batch   keeps a batch size that the file fixes; otherwise the network takes any where no op depends on it
    """
    given: Union[str, bytes] = bytes(model) if isinstance(model, (bytes, bytearray, memoryview)) else os.fspath(model)
    source, weights, notes = _native.import_onnx(given, "<bytes>", {name: list(shape) for name, shape in (shapes or {}).items()},
                                                 list(mean), list(deviation), keep_batch)
    for note in notes:
        warnings.warn(note.strip(), stacklevel=2)
    return Network(source, f"{given} as .bn" if isinstance(given, str) else "<onnx>"), from_native(weights)


def from_torch(module: Any, example: Any) -> tuple[Network, Weights]:
    """The network and the weights of a PyTorch module as it is in evaluation mode, by way of ``torch.onnx``.

    ``example`` is what the module is called with: a tensor, or a tuple of tensors. Their first dimension is the batch, of any size.
    Batch norms stay batch norms, so that ``network.explain`` tells what becomes of them.
    """
    import torch  # type: ignore[import-not-found, unused-ignore]

    examples = tuple(example) if isinstance(example, (tuple, list)) else (example,)
    names = list(inspect.signature(module.forward).parameters)[:len(examples)]
    if len(names) < len(examples):   # *inputs
        names = [f"x{k}" for k in range(len(examples))]
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            results = module(*examples)
            count = len(results) if isinstance(results, (tuple, list)) else 1
            outputs = [f"y{k}" for k in range(count)] if count > 1 else ["y"]
            options: dict[str, Any] = {
                "input_names": names, "output_names": outputs, "dynamic_axes": {name: {0: "N"} for name in [*names, *outputs]},
                # As it is, in evaluation mode: otherwise the exporter folds batch norms before anybody has seen them.
                "training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
            if "dynamo" in inspect.signature(torch.onnx.export).parameters:
                options["dynamo"] = False   # which needs no further package
            buffer = io.BytesIO()
            torch.onnx.export(module, examples, buffer, **options)
    finally:
        module.train(was_training)
    return from_onnx(buffer.getvalue())
