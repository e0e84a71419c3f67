#!/usr/bin/env python3
"""Convolutional networks: kernels against the machine's peak and bandwidth, steps against PyTorch, inference against ONNX Runtime.

usage: convnets.py [--bnc build/bnc] [--seconds S] [--threads T] [--json] [--only SECTION ...]
Everything is measured in one run, with T threads throughout: in several rounds over all of a section, and by turns with what it is
compared with, so that what else the machine does meets both; the round with the middle ratio counts. The peers are described in peers.py.
"""
import pathlib
import subprocess
import sys
import tempfile

from peers import ROOT, OnnxRuntime, Table, arguments, bnc_bench, peer, torch_step_ms

# Channels in and out, kernel, stride, rows (and columns) of the image, batch.
CONVOLUTIONS = [(96, 96, 3, 1, 32, 64), (192, 192, 3, 1, 16, 64), (96, 96, 3, 2, 32, 64), (192, 192, 1, 1, 8, 64), (64, 256, 1, 1, 56, 32)]
DEPTHWISE = (144, 3, 56, 32)  # channels, kernel, rows, batch
TRAINING = [("lenet", 64), ("all_cnn", 64), ("resnet18_cifar", 32), ("densenet_cifar", 32)]
FROZEN = ["all_cnn", "resnet50", "mobilenet_v2", "densenet_cifar"]
# Network, seconds for inference, seconds for training.
COMPILING = [("lenet", 0.3, None), ("resnet18_cifar", 1, None), ("resnet50", 2, 4)]
COMPILER_BYTES = 300 * 2**20  # beside the weights
ROUNDS = 9
ROUNDS_OF_PERCENTS = 25  # where the question is of single percents, and a process differs from the next by one


def describe(i, o, kernel, stride, rows, batch):
    return f"{i}->{o} {kernel}x{kernel}{f' /{stride}' if stride > 1 else ''} at {rows}x{rows}, batch {batch}"


def flops(i, o, kernel, stride, rows, batch):
    return 2 * batch * rows_out(stride, rows) ** 2 * kernel * kernel * i * o


def rows_out(stride, rows):
    return (rows - 1) // stride + 1


def kernel_networks(i, o, kernel, stride, rows, batch):
    """What is measured of a convolution, and the network that is this alone."""
    pad, out = kernel // 2, rows_out(stride, rows)
    x, dy, weight = f"x: f32[N, {rows}, {rows}, {i}]", f"dy: f32[N, {out}, {out}, {o}]", f"parameter weight: f32[{kernel}, {kernel}, {i}, {o}] = he"
    window = f"stride=[{stride}, {stride}], padding=[{pad}, {pad}, {pad}, {pad}]"
    return [
        ("forward", f"network forward({x}) {{\n  {weight}\n  return convolution(x, weight, {window})\n}}\n"),
        ("input gradient", f"network input_gradient({dy}) {{\n  {weight}\n  return convolution_input_gradient(dy, weight, size=[{rows}, {rows}], {window})\n}}\n"),
        ("weight gradient", f"network weight_gradient({x}, {dy}) {{\n  return convolution_weight_gradient(x, dy, kernel=[{kernel}, {kernel}], {window})\n}}\n"),
    ]


def batch_norm_networks(i, o, kernel, stride, rows, batch):
    """A convolution alone; and one with the previous layer's batch norm and ReLU, as a training step has them, in the prologue and the
    moments of the result in the epilogue."""
    layer = f"conv2d({{}}, {o}, {kernel}, stride={stride}, padding={kernel // 2}, bias=false)"
    head = f"(x: f32[N, {rows}, {rows}, {i}]) {{\n"
    # As in training: the statistics are those of the data, which are uniform in [0, 1), and the scale and shift near 1 and 0. The
    # ReLU keeps them from being folded into the weight.
    ranges = {"mean": (0.48, 0.52), "variance": (0.08, 0.087), "gamma": (0.9, 1.1), "beta": (-0.1, 0.1)}
    parameters = "".join(f"  parameter {name}: f32[{i}] = uniform(low={low}, high={high})\n" for name, (low, high) in ranges.items())
    return (f"network bare{head}  return {layer.format('x')}\n}}\n",
            f"network normalized{head}{parameters}  h = relu(scale_shift(x - mean, gamma * rsqrt(variance + 1e-05), beta))\n"
            f"  y = {layer.format('h')}\n  mean_of_y, variance_of_y = moments(y)\n  return y, mean_of_y, variance_of_y\n}}\n")


class Bench:
    def __init__(self, options):
        self.options, self.table = options, Table(options)
        self.folder = tempfile.TemporaryDirectory(prefix="bnc_convnets.")
        self.files = 0

    def by_turns(self, rows, ratio=lambda ours, theirs: ours["median_ms"] / (theirs or 1), count=ROUNDS):
        """Of each row, a list of measures, the results of the round with the middle ratio (to a peer that is missing: the middle time). A
        round goes over all rows before the next one begins: what slows the machine for some seconds costs a row one of its rounds. A
        measure gets the seconds of a round."""
        rounds = [[[measure(self.options.seconds / ROUNDS) for measure in row] for row in rows] for _ in range(count)]
        return [sorted(of_row, key=lambda results: ratio(*results))[count // 2] for of_row in zip(*rounds)]

    def file(self, text):
        """The path of a network's text."""
        self.files += 1
        path = pathlib.Path(self.folder.name) / f"{self.files}.bn"
        path.write_text(text)
        return path

    def network(self, text, batch, *words):
        """Measures the network of that text."""
        path = self.file(text)
        return lambda seconds: bnc_bench(self.options, path, "--mode", "infer", "--batch", batch, *words, seconds=seconds)

    def example(self, name, mode, batch):
        return lambda seconds: bnc_bench(self.options, ROOT / "examples" / f"{name}.bn", "--mode", mode, "--batch", batch, seconds=seconds)

    def kernels(self):
        # Operations as they are usually counted, those with the padding's zeros too: bnc leaves some of these out, and may exceed the peak.
        self.table.section("convolution kernels, GFLOP/s against the measured peak")
        rows = [(layer, *network) for layer in CONVOLUTIONS for network in kernel_networks(*layer)]
        results = self.by_turns([[self.network(text, layer[-1])] for layer, _, text in rows], lambda result: result["median_ms"] * result["peak_gflops"])
        for (layer, what, _), (result,) in zip(rows, results):
            goal = 0.85 if what == "forward" else 0.75 if layer[3] == 1 else 0.7
            self.table.row(f"{describe(*layer)}, {what}", flops(*layer) / result["median_ms"] * 1e-6, result["peak_gflops"], "GFLOP/s", at_least=goal)

    def depthwise(self):
        self.table.section("depthwise convolution, GB/s read and written against streaming")
        channels, kernel, rows, batch = DEPTHWISE
        network = self.network(f"network depthwise(x: f32[N, {rows}, {rows}, {channels}]) {{\n"
                               f"  return conv2d(x, {channels}, {kernel}, padding={kernel // 2}, groups={channels}, bias=false)\n}}\n", batch)
        (result,), = self.by_turns([[network]], lambda result: result["median_ms"] * result["stream_gbytes"])
        moved = 2 * 4 * batch * rows * rows * channels / result["median_ms"] * 1e-6
        self.table.row(f"{kernel}x{kernel} at {rows}x{rows}x{channels}, batch {batch}", moved, result["stream_gbytes"], "GB/s", at_least=0.7)

    def free_batch_norm(self):
        self.table.section("batch norm around a convolution, against the bare convolution")
        rows = []
        for layer in CONVOLUTIONS:
            bare, normalized = batch_norm_networks(*layer)
            # In turns, run after run, in each of the processes.
            rows.append([self.network(normalized, layer[-1], "--against", self.file(bare))])
        for layer, (result,) in zip(CONVOLUTIONS, self.by_turns(rows, lambda result: result["ratio"], ROUNDS_OF_PERCENTS)):
            self.table.row(describe(*layer), result["ratio"] * result["against_ms"], result["against_ms"], "ms", at_most=1.03)

    def training(self):
        self.table.section("a training step, against PyTorch")

        def pytorch(name, batch):
            return lambda seconds: peer("PyTorch", lambda: torch_step_ms(name, batch, self.options.threads, seconds))

        results = self.by_turns([[self.example(name, "train", batch), pytorch(name, batch)] for name, batch in TRAINING])
        for (name, batch), (ours, theirs) in zip(TRAINING, results):
            self.table.row(f"{name}, batch {batch}", ours["median_ms"], theirs, "ms", at_most=1)

    def frozen(self):
        self.table.section("frozen, batch 1, against ONNX Runtime")
        runtime = peer("ONNX Runtime", OnnxRuntime)

        def onnx_runtime(name):
            return lambda seconds: runtime and peer("ONNX Runtime", lambda: runtime.infer_ms(name, self.options.threads, seconds))

        results = self.by_turns([[self.example(name, "infer", 1), onnx_runtime(name)] for name in FROZEN])
        for name, (ours, theirs) in zip(FROZEN, results):
            self.table.row(name, ours["median_ms"], theirs, "ms", at_most=1)

    def compiling(self):
        self.table.section("compiling from text to ready code, cold")
        for name, infer, train in COMPILING:
            model = ROOT / "examples" / f"{name}.bn"
            for mode, goal in (("infer", infer), ("train", train)):
                result = bnc_bench(self.options, model, "--mode", mode, "--batch", 1 if mode == "infer" else 8, seconds=0.001)
                self.table.row(f"{name}, {mode}", result["compile_ms"] / 1e3, goal, "s", at_most=1 if goal else None)
        self.table.section("peak memory of the compiler beside the weights, to an object file")
        for name, *_ in COMPILING:
            self.table.row(name, self.compiler_bytes(ROOT / "examples" / f"{name}.bn") / 2**20, COMPILER_BYTES / 2**20, "MiB", at_most=1)

    def compiler_bytes(self, model):
        weights = pathlib.Path(self.folder.name) / "w.safetensors"
        quiet = {"check": True, "stderr": subprocess.DEVNULL}
        subprocess.run([self.options.bnc, "init", model, "--seed", "1", "-o", weights], stdout=subprocess.DEVNULL, **quiet)
        command = [self.options.bnc, "compile", model, "--weights", weights, "-o", weights.with_suffix(".o")]
        # A process counts as its peak also that of the one it was forked from: a small one in between, instead of this one with its peers.
        measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); " \
                  "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        peak = subprocess.run([sys.executable, "-c", measure, *map(str, command)], stdout=subprocess.PIPE, text=True, **quiet).stdout
        return int(peak) * 1024 - weights.stat().st_size


SECTIONS = {"kernels": Bench.kernels, "depthwise": Bench.depthwise, "batch-norm": Bench.free_batch_norm, "training": Bench.training,
            "frozen": Bench.frozen, "compiling": Bench.compiling}


def main():
    parser = arguments(__doc__, seconds=2)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS))
    options = parser.parse_args()
    bench = Bench(options)
    for name in options.only:
        SECTIONS[name](bench)


if __name__ == "__main__":
    main()
