"""What is told of a network and of a training run; each prints as text, and as a table in a notebook."""
from __future__ import annotations

import csv
import dataclasses
import html
import math
import os
from typing import Any, Iterable, Mapping, Optional, Sequence, Union

import numpy


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """HTML; the cells are escaped here."""
    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f'<{tag} style="text-align:left">{html.escape(str(cell))}</{tag}>' for cell in cells) + "</tr>"
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"


def _short(value: Optional[float]) -> str:
    return "-" if value is None else "0" if value == 0 else f"{value:.1e}"


@dataclasses.dataclass(frozen=True)
class Entry:
    """What became of one batch norm, dropped bias or contraction."""

    op: str
    path: str  #: which one: "stage_1.batch_norm_1"
    place: str  #: FILE:LINE
    source_line: str
    folded: bool  #: gone from the graph, folded or dropped
    what: str  #: where it went, or exactly why it stayed

    @property
    def subject(self) -> str:
        return self.op if not self.path else f"the bias of {self.path}" if self.op == "bias" else self.path


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What the compiler made of a network, as ``bnc explain`` tells it: ``print(net.explain(weights))``."""

    batch_norms: list[Entry]
    biases: list[Entry]  #: those that were dropped
    contractions: list[Entry]  #: how each product was cut into tiles
    flops_before: float
    flops_after: float
    bytes_before: float
    bytes_after: float
    arena_before: int
    arena_after: int
    predicted_difference: Optional[float]  #: of the outputs, by rounding the folded weights; None without weights
    measured_difference: Optional[float]  #: the same on random inputs; None for large networks

    @classmethod
    def _from_native(cls, found: dict[str, Any]) -> "Explanation":
        lists = {name: [Entry(**entry) for entry in found[name]] for name in ("batch_norms", "biases", "contractions")}
        return cls(**{**found, **lists})

    @property
    def folded(self) -> bool:
        """Whether no batch norm is left."""
        return all(entry.folded for entry in self.batch_norms)

    def _totals(self) -> list[tuple[str, str, str]]:
        return [("floating-point operations", f"{self.flops_before:.0f}", f"{self.flops_after:.0f}"),
                ("bytes moved", f"{self.bytes_before:.0f}", f"{self.bytes_after:.0f}"),
                ("arena bytes", str(self.arena_before), str(self.arena_after))]

    def _difference(self) -> str:
        if self.predicted_difference is None:
            return ""
        measured = "not measured, the network is large" if self.measured_difference is None else f"{self.measured_difference:.2g} measured"
        return f"folding changes the outputs by: {self.predicted_difference:.2g} predicted, {measured}"

    def __str__(self) -> str:
        lines = []
        for entry in [*self.batch_norms, *self.biases]:
            lines.append(f"{entry.place}: {entry.subject} {entry.what}")
            if entry.source_line:
                lines.append(f"    {entry.source_line}")
        lines += [f"{entry.place}: {entry.path}: {entry.what}" for entry in self.contractions]
        lines.append(f"{'':25} {'before':>10}     {'after':>10}")
        lines += [f"{name:25} {before:>10}     {after:>10}" for name, before, after in self._totals()]
        return "\n".join([*lines, self._difference()]).rstrip("\n")

    def _repr_html_(self) -> str:
        rows = [(entry.place, entry.subject, "folded" if entry.folded else "stays", entry.what)
                for entry in [*self.batch_norms, *self.biases]]
        rows += [(entry.place, entry.path, "", entry.what) for entry in self.contractions]
        text = _table(["place", "layer", "", "what became of it"], rows) + _table(["", "before", "after"], self._totals())
        return text + (f"<p>{html.escape(self._difference())}</p>" if self._difference() else "")


@dataclasses.dataclass(frozen=True)
class LayerCheck:
    """The result of one layer: compiled code against the float64 evaluator."""

    layer: str
    op: str
    place: str  #: FILE:LINE
    error: float  #: largest difference over largest magnitude
    folding_predicted: float  #: the part of it that rounding the folded weights lets expect
    folding_measured: Optional[float]
    passed: bool


@dataclasses.dataclass(frozen=True)
class Verification:
    """The compiled network against the float64 evaluator, layer by layer. True where every layer is within the bound."""

    layers: list[LayerCheck]
    worst: float
    worst_layer: str
    passed: bool
    bound: float

    @classmethod
    def _from_native(cls, found: dict[str, Any]) -> "Verification":
        return cls(**{**found, "layers": [LayerCheck(**layer) for layer in found["layers"]]})

    def __bool__(self) -> bool:
        return self.passed

    def _rows(self) -> list[tuple[str, ...]]:
        return [(layer.layer, layer.place, _short(layer.error), _short(layer.folding_predicted), _short(layer.folding_measured),
                 "ok" if layer.passed else "WRONG") for layer in self.layers]

    def _worst(self) -> str:
        return f"largest error {_short(self.worst)} of the largest number of {self.worst_layer}; the bound is {_short(self.bound)}"

    def __str__(self) -> str:
        rows = [("layer", "place", "error", "folding predicted", "measured", ""), *self._rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(6)]
        return "\n".join(["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows] + [self._worst()])

    def _repr_html_(self) -> str:
        head = ["layer", "place", "error", "folding predicted", "measured", ""]
        return _table(head, self._rows()) + f"<p>{html.escape(self._worst())}</p>"


class History:
    """The course of a training: columns of numbers by name, such as ``history["loss"]``, an array with NaN where there is none.

    A notebook shows the loss as a curve.
    """

    def __init__(self, columns: Mapping[str, Any]):
        self.columns: dict[str, numpy.ndarray] = {name: numpy.asarray(values, dtype=float) for name, values in columns.items()}

    @classmethod
    def read(cls, path: Union[str, "os.PathLike[str]"]) -> "History":
        """Reads a run's ``history.csv``."""
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        head, lines = rows[0], rows[1:]
        return cls({name: [float(line[k]) if line[k] else math.nan for line in lines] for k, name in enumerate(head)})

    def __getitem__(self, name: str) -> numpy.ndarray:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __repr__(self) -> str:
        return f"<bnc.History, {len(self)} rows of {', '.join(self.columns)}>"

    def _curve(self, name: str, color: str, width: int = 480, height: int = 160) -> str:
        """Points of an SVG line, scaled to its own range."""
        steps, values = self.columns["step"], self.columns[name]
        kept = numpy.isfinite(values)
        if not kept.any():
            return ""
        steps, values = steps[kept], values[kept]
        x = (steps - steps[0]) / max(steps[-1] - steps[0], 1) * (width - 20) + 10
        y = height - 10 - (values - values.min()) / ((values.max() - values.min()) or 1) * (height - 20)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
        return f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{points}"/>'

    def _repr_html_(self) -> str:
        if len(self) == 0:
            return "<p>no steps yet</p>"
        parts = []
        for name, color in (("loss", "#1f77b4"), ("test_loss", "#d62728"), ("test_accuracy", "#2ca02c")):
            curve = self._curve(name, color) if name in self.columns else ""
            if not curve:
                continue
            values = self.columns[name][numpy.isfinite(self.columns[name])]
            caption = html.escape(f"{name}: {values[-1]:.4g} at the end, {values.min():.4g} to {values.max():.4g}")
            parts.append(f'<figure style="display:inline-block;margin:4px"><figcaption>{caption}</figcaption>'
                         f'<svg width="480" height="160" style="border:1px solid #ccc">{curve}</svg></figure>')
        return "".join(parts)
