"""What the experiments share: running bnc, reading what it leaves behind, plots as SVG, and the closing lines."""
import argparse
import csv
import gzip
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
from html import escape

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")  # Debian package dataset-fashion-mnist
COLORS = ["#1f6fb4", "#d1622b", "#3a8f4d", "#8a56a8", "#c23b4e", "#6b6b6b", "#008a8a", "#a88400"]


def arguments(text, data=str(FASHION_MNIST), **more):
    """The options of an experiment; `more` adds flags: name = help, or a dictionary of what add_argument() takes."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if data is not None:
        parser.add_argument("--data", type=pathlib.Path, default=data, metavar="DIR", help=f"folder of the data set (default: {data or 'must be given'})", required=data == "")
    parser.add_argument("--short", action="store_true", help="a small part of the data and few steps: under two minutes, for a look and for tests")
    parser.add_argument("--resume", action="store_true", help="go on with the runs in the folder of --out")
    parser.add_argument("--bnc", type=pathlib.Path, default=ROOT / "build/bnc", metavar="PATH", help="the command (default: build/bnc)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("experiments"), metavar="DIR", help="where runs are kept, a folder each (default: experiments)")
    parser.add_argument("--plots", type=pathlib.Path, metavar="DIR", help="where plots go (default: the folder of --out)")
    parser.add_argument("--threads", type=int, metavar="T", help="use at most T threads")
    for name, options in more.items():
        parser.add_argument(f"--{name}", **(options if isinstance(options, dict) else {"action": "store_true", "help": options}))
    options = parser.parse_args()
    options.plots = options.plots or options.out
    options.out.mkdir(parents=True, exist_ok=True)
    options.plots.mkdir(parents=True, exist_ok=True)
    return options


def call(options, *words, may_diverge=False):
    """Runs bnc with --json; its last object. Where bnc fails the experiment ends with its message, but for a training that may diverge."""
    command = [str(options.bnc), *map(str, words), "--json"]
    if options.threads:
        command += ["--threads", str(options.threads)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=None if sys.stderr.isatty() else subprocess.PIPE, text=True)
    lines = result.stdout.splitlines()
    found = json.loads(lines[-1]) if lines else None
    if result.returncode != 0 and not (may_diverge and found and found.get("diverged")):
        sys.exit(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr or ''}")
    return found


def train(options, model, name, data, test, go_on=False, may_diverge=False, **more):
    """Trains `model` in the folder `name` below --out; with --resume, or with `go_on`, it goes on with what is there. The other options
    are those of bnc: test_every=50. Of a run that diverged the result has `diverged`, and the history what came before."""
    folder = options.out / name
    words = ["train", model, "--data", data, "--test", test]
    for option, value in more.items():
        words += [f"--{option.replace('_', '-')}", value]
    resume = (options.resume or go_on) and (folder / "checkpoint").exists()
    result = call(options, *words, *(["--resume", folder] if resume else ["--out", folder, "--overwrite"]), may_diverge=may_diverge)
    if result.get("stopped"):
        sys.exit(f"stopped; --resume goes on with what is in {folder}")
    return result


def history(folder):
    """{column: array} of a run's history.csv; empty fields are NaN."""
    with open(pathlib.Path(folder) / "history.csv") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def tests(folder):
    """Steps and accuracies of a run's tests."""
    columns = history(folder)
    tested = ~np.isnan(columns["test_accuracy"])
    return columns["step"][tested], columns["test_accuracy"][tested]


def predict(options, model, weights, images, *words, **more):
    """The outputs of `model`, by name, for images in [0, 1]; words and arrays beside the images are given to `bnc run`."""
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        given, found = pathlib.Path(folder, "input.npz"), pathlib.Path(folder, "output.npz")
        np.savez(given, x=images.astype(np.float32), **more)
        call(options, "run", model, "--weights", weights, "--input", given, "--output", found, *words)
        with np.load(found) as arrays:
            return dict(arrays)


def read_idx(path):
    """An array of an IDX file of bytes, gzipped or not."""
    path = next((p for p in (path, path.with_name(path.name + ".gz")) if p.exists()), None) or sys.exit(f"there is no {path}, with or without .gz")
    raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    dimensions = struct.unpack_from(f">{raw[3]}I", raw, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dimensions)


def read_mnist(folder, split):
    """Images (N x 28 x 28 bytes) and labels; `split` is `train` or `test`."""
    prefix = {"train": "train", "test": "t10k"}[split]
    return read_idx(folder / f"{prefix}-images-idx3-ubyte"), read_idx(folder / f"{prefix}-labels-idx1-ubyte").astype(np.int32)


def part(options, split, count):
    """A file with the first `count` examples of MNIST."""
    images, labels = read_mnist(options.data, split)
    path = options.out / f"{split}-{count}.npz"
    np.savez(path, x=images[:count, :, :, None], y=labels[:count])
    return path


def mnist(options, train_count=6000, test_count=1000):
    """What bnc is to train on and to test on: all of --data, or with --short a small part."""
    if not options.short:
        return options.data, options.data
    return part(options, "train", train_count), part(options, "test", test_count)


def conclude(name, published, ours, *notes):
    """The end of an experiment: what was published and what came out here, a line each."""
    print(f"{name}\n  published: {published}\n  ours:      {ours}")
    for note in notes:
        print(f"  {note}")


class Panel:
    """One set of axes: lines, steps of a histogram, or both."""

    def __init__(self, title, x_label, y_label, log_x=False, y_range=None):
        self.title, self.x_label, self.y_label, self.log_x, self.y_range = title, x_label, y_label, log_x, y_range
        self.series = []  # (name, x, y, color, how it is dashed, whether points are marked)

    def line(self, name, x, y, color=None, dashed=False, markers=False):
        x, y = np.asarray(x, float), np.asarray(y, float)
        keep = np.isfinite(y)
        number = len(self.series) if color is None else color
        self.series.append((name, x[keep], y[keep], COLORS[number % len(COLORS)], ' stroke-dasharray="5 4"' if dashed else "", markers))

    def histogram(self, name, values, bins=40):
        counts, edges = np.histogram(values, bins)
        share = counts / counts.sum()
        self.line(name, np.repeat(edges, 2)[1:-1], np.repeat(share, 2))


def ticks(low, high, log):
    if log:
        powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        return [m * 10.0**p for p in powers for m in (1, 3) if low * 0.999 <= m * 10.0**p <= high * 1.001]
    raw = (high - low) / 5
    step = next(m * 10.0**np.floor(np.log10(raw)) for m in (1, 2, 5, 10) if m * 10.0**np.floor(np.log10(raw)) >= raw * 0.999)
    return list(np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step)


def draw(panel, left, top, width, height):
    """The SVG elements of a panel."""
    series = [s for s in panel.series if len(s[1])]
    xs, ys = np.concatenate([s[1] for s in series]), np.concatenate([s[2] for s in series])
    x_low, x_high = xs.min(), xs.max()
    y_low, y_high = panel.y_range or (ys.min(), ys.max())
    if x_low == x_high:
        x_low, x_high = x_low - 0.5, x_high + 0.5
    margin = 0.04 * (y_high - y_low) or 0.5
    if not panel.y_range:
        y_low, y_high = y_low - margin, y_high + margin

    def place_x(x):
        a, b, c = (np.log10(v) for v in (x, x_low, x_high)) if panel.log_x else (x, x_low, x_high)
        return left + width * (a - b) / (c - b)

    def place_y(y):
        return top + height * (y_high - np.clip(y, y_low, y_high)) / (y_high - y_low)

    parts = [f'<text x="{left}" y="{top - 10}" class="title">{escape(panel.title)}</text>']
    for value in ticks(y_low, y_high, False):
        y = place_y(value)
        parts.append(f'<path d="M{left} {y:.1f}h{width}" class="grid"/><text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>')
    for value in ticks(x_low, x_high, panel.log_x):
        x = place_x(value)
        parts.append(f'<path d="M{x:.1f} {top}v{height}" class="grid"/><text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">{value:.6g}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 34}" text-anchor="middle">{escape(panel.x_label)}</text>')
    middle = top + height / 2
    parts.append(f'<text x="{left - 46}" y="{middle}" text-anchor="middle" transform="rotate(-90 {left - 46} {middle})">{escape(panel.y_label)}</text>')
    for name, x, y, color, dashes, markers in series:
        points = [f"{a:.1f} {b:.1f}" for a, b in zip(place_x(x), place_y(y))]
        parts.append(f'<path d="M{"L".join(points)}" fill="none" stroke="{color}" stroke-width="1.5"{dashes}/>')
        if markers:
            parts += [f'<circle cx="{p.split()[0]}" cy="{p.split()[1]}" r="3" fill="{color}"/>' for p in points]
    for row, (name, _, _, color, dashes, _) in enumerate(s for s in series if s[0]):
        y = top + height + 52 + 16 * row
        parts.append(f'<path d="M{left} {y - 4}h22" stroke="{color}" stroke-width="2"{dashes}/>'
                     f'<text x="{left + 28}" y="{y}">{escape(name)}</text>')
    return parts


def plot(path, panels, width=420, height=260):
    """Writes the panels side by side as an SVG file."""
    left, top, gap = 64, 36, 84
    rows = max(sum(1 for s in panel.series if s[0] and len(s[1])) for panel in panels)
    total_width, total_height = left + len(panels) * (width + gap) - gap + 20, top + height + 50 + 16 * rows + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width} {total_height}" width="{total_width}" font-family="sans-serif" font-size="12">',
             "<style>.grid{stroke:#ddd;stroke-width:1}.title{font-size:14px;font-weight:bold}</style>", '<rect width="100%" height="100%" fill="#fff"/>']
    for number, panel in enumerate(panels):
        parts += draw(panel, left + number * (width + gap), top, width, height)
    path.write_text("\n".join(parts + ["</svg>\n"]))
    print(f"plot: {path}")
