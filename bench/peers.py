#!/usr/bin/env python3
"""What the benchmarks share: timing bnc, PyTorch and ONNX Runtime on the example networks, and a table of results.

PyTorch is Debian's python3-torch; ONNX Runtime is npm's onnxruntime-node, installed into a temporary folder (or found in
$ORT_DIR). What is missing is left out, and said so. `scripts/install-dependencies --peers` installs the peers.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

ORT_TIMER = """
const [, , file, threads, seconds, dims] = process.argv;
const ort = require('onnxruntime-node');
(async () => {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: +threads, interOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const shape = dims.split(',').map(Number);
  const x = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
  const feeds = { x: new ort.Tensor('float32', x, shape) };
  for (let i = 0; i < 5; ++i) await session.run(feeds);
  const times = [];
  for (const end = performance.now() + seconds * 1e3; performance.now() < end || times.length < 10;) {
    const begin = performance.now();
    await session.run(feeds);
    times.push(performance.now() - begin);
  }
  console.log(times.sort((a, b) => a - b)[times.length >> 1]);
})();
"""


def arguments(doc, seconds=3):
    """The parser of a benchmark's command line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bnc", default=str(ROOT / "build" / "bnc"))
    parser.add_argument("--seconds", type=float, default=seconds, help="how long to repeat each measurement")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one object a line")
    return parser


def bnc_bench(options, model, *words, threads=None, seconds=None):
    command = [options.bnc, "bench", str(model), "--json", "--seconds", str(seconds or options.seconds), "--threads", str(threads or options.threads), *map(str, words)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def best(measure, threads):
    """The least of the figures with 1 and with all threads."""
    return min(measure(count) for count in sorted({1, threads}))


def peer(name, measure):
    """What a peer takes, or None, with the reason on stderr."""
    try:
        return measure()
    except Exception as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None


# --- PyTorch -----------------------------------------------------------------------------------------------------

def median_ms(step, seconds):
    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        step()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def torch_step(name, batch, threads, seconds):
    """Prints the median time of a training step; runs in a process of its own."""
    import torch
    from pytorch_networks import EXAMPLES
    if not any(library in open("/proc/self/maps").read() for library in ("openblas", "mkl")):
        sys.exit("it runs on the reference BLAS here, which is slow; apt-get install libopenblas0")
    torch.set_num_threads(threads)
    example = EXAMPLES[name]
    # The mean over the batch: summed, random labels would drive the weights into denormals, which are slow.
    network, loss = example.build().train(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    x, y = torch.rand(batch, *example.shape), torch.randint(example.classes, (batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(network(x), y).backward()
        optimizer.step()
    print(median_ms(step, seconds))


def torch_step_ms(name, batch, threads, seconds):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, name, str(batch), str(threads), str(seconds)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError((result.stderr.strip() or f"exit code {result.returncode}").splitlines()[-1])
    return float(result.stdout)


# --- ONNX Runtime ------------------------------------------------------------------------------------------------

class OnnxRuntime:
    """Times frozen example networks, exported by PyTorch, on one example."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bnc_bench.")
        self.path = pathlib.Path(self.folder.name)
        self.home = os.environ.get("ORT_DIR")
        if not self.home:
            if not shutil.which("npm"):
                raise RuntimeError("npm is not installed")
            self.home = self.path
            subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(self.home), "onnxruntime-node"],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (self.path / "timer.js").write_text(ORT_TIMER)

    def export(self, name):
        import torch
        from pytorch_networks import EXAMPLES
        example, onnx = EXAMPLES[name], self.path / f"{name}.onnx"
        if not onnx.exists():
            torch.onnx.export(example.build().eval(), torch.rand(1, *example.shape), str(onnx), opset_version=13, input_names=["x"], output_names=["y"])
        return onnx, (1, *example.shape)

    def infer_ms(self, name, threads, seconds):
        onnx, shape = self.export(name)
        environment = {**os.environ, "NODE_PATH": str(pathlib.Path(self.home) / "node_modules")}
        command = ["node", str(self.path / "timer.js"), str(onnx), str(threads), str(seconds), ",".join(map(str, shape))]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


# --- The table ---------------------------------------------------------------------------------------------------

class Table:
    """Rows of a figure, what it is held against, and their ratio, which is to be `at_most` or `at_least` something."""

    def __init__(self, options):
        self.json = options.json
        if not self.json:
            print(f"{'':<58} {'bnc':>10} {'other':>10} {'':<8} {'ratio':>7}   goal")

    def section(self, title):
        if not self.json:
            print(f"\n{title}")

    def row(self, what, ours, other, unit, at_most=None, at_least=None):
        ratio = ours / other if other else None
        goal = "" if at_most is None and at_least is None else f"at most {at_most:g}" if at_least is None else f"at least {at_least:g}"
        met = None if ratio is None or not goal else ratio <= at_most if at_least is None else ratio >= at_least
        if self.json:
            print(json.dumps({"what": what, "bnc": ours, "other": other, "unit": unit, "ratio": ratio, "at_most": at_most, "at_least": at_least, "met": met}), flush=True)
            return
        other_text, ratio_text = (f"{other:.4g}", f"{ratio:.3f}") if other else ("-", "-")
        print(f"  {what:<56} {ours:>10.4g} {other_text:>10} {unit:<8} {ratio_text:>7}   {goal}{'   MISSED' if met is False else ''}", flush=True)


if __name__ == "__main__":
    torch_step(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
