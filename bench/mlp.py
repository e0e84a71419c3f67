#!/usr/bin/env python3
"""The batch-normalized MLP against PyTorch and ONNX Runtime, and a matrix product against the machine's peak, in one run.

usage: mlp.py [--bnc build/bnc] [--seconds S] [--threads T]
Each program is timed with 1 and with T threads and its better figure counts. PyTorch is Debian's python3-torch; ONNX
Runtime is npm's onnxruntime-node, installed into a temporary folder (or found in $ORT_DIR). What is missing is left out,
and said so. `scripts/install-dependencies --peers` installs the peers.
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
MODEL = ROOT / "examples" / "mnist_mlp.bn"

ORT_TIMER = """
const [, , file, threads, seconds] = process.argv;
const ort = require('onnxruntime-node');
(async () => {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: +threads, interOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const x = Float32Array.from({ length: 784 }, (_, i) => Math.sin(i));
  const feeds = { x: new ort.Tensor('float32', x, [1, 784]) };
  const times = [];
  for (const end = performance.now() + seconds * 1e3; performance.now() < end || times.length < 50;) {
    const begin = performance.now();
    await session.run(feeds);
    times.push(performance.now() - begin);
  }
  console.log(times.sort((a, b) => a - b)[times.length >> 1]);
})();
"""


def median_ms(step, seconds):
    for _ in range(5):
        step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        step()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def best(measure, threads):
    """The least of the figures with 1 and with all threads."""
    return min(measure(count) for count in sorted({1, threads}))


def bnc_bench(options, model, *words):
    command = [options.bnc, "bench", str(model), "--json", "--seconds", str(options.seconds), *map(str, words)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def torch_mlp():
    from torch import nn
    layers = []
    for inputs, outputs in [(784, 100), (100, 100)]:
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, eps=1e-3), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(100, 10))


def torch_step(threads, seconds, batch=60):
    """Prints the median time of a training step; runs in a process of its own."""
    import torch
    if not any(library in open("/proc/self/maps").read() for library in ("openblas", "mkl")):
        sys.exit("it runs on the reference BLAS here, which is slow; apt-get install libopenblas0")
    torch.set_num_threads(threads)
    # Summed, as in the example, random labels would drive the weights into denormals, which are slow.
    network, loss = torch_mlp().train(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    x, y = torch.rand(batch, 784), torch.randint(10, (batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(network(x), y).backward()
        optimizer.step()
    print(median_ms(step, seconds))


def torch_step_ms(threads, seconds):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    result = subprocess.run([sys.executable, __file__, "--torch-step", str(threads), "--seconds", str(seconds)], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip().splitlines()[-1])
    return float(result.stdout)


def export_onnx(path):
    import torch
    torch.onnx.export(torch_mlp().eval(), torch.rand(1, 784), str(path), opset_version=13, input_names=["x"], output_names=["y"])


def install_onnxruntime(folder):
    if os.environ.get("ORT_DIR"):
        return os.environ["ORT_DIR"]
    if not shutil.which("npm"):
        raise RuntimeError("npm is not installed")
    subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), "onnxruntime-node"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def ort_inference_ms(folder, onnx, threads, seconds):
    script = pathlib.Path(onnx).with_suffix(".js")
    script.write_text(ORT_TIMER)
    environment = {**os.environ, "NODE_PATH": str(pathlib.Path(folder) / "node_modules")}
    result = subprocess.run(["node", str(script), str(onnx), str(threads), str(seconds)], check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return float(result.stdout)


def peer(name, measure):
    """What a peer takes, or None, with the reason on stderr."""
    try:
        return measure()
    except Exception as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None


def ort_ms(options):
    with tempfile.TemporaryDirectory(prefix="bnc_bench.") as folder:
        onnx = pathlib.Path(folder) / "mlp.onnx"
        export_onnx(onnx)
        home = install_onnxruntime(folder)
        return best(lambda threads: ort_inference_ms(home, onnx, threads, options.seconds), options.threads)


def row(what, ours, theirs, unit, goal):
    ratio = f"{ours / theirs:.3f}" if theirs else "-"
    print(f"{what:<44} {ours:>10.4f} {f'{theirs:.4f}' if theirs else '-':>10} {unit:<8} {ratio:>7}   {goal}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bnc", default=str(ROOT / "build" / "bnc"))
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--torch-step", type=int, metavar="T", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_step:
        return torch_step(options.torch_step, options.seconds)

    def ours(mode, batch):
        return min((bnc_bench(options, MODEL, "--mode", mode, "--batch", batch, "--threads", count) for count in sorted({1, options.threads})),
                   key=lambda result: result["median_ms"])

    train, infer = ours("train", 60), ours("infer", 1)
    torch_ms = peer("PyTorch", lambda: best(lambda threads: torch_step_ms(threads, options.seconds), options.threads))
    runtime_ms = peer("ONNX Runtime", lambda: ort_ms(options))
    print(f"{'':<44} {'bnc':>10} {'other':>10} {'':<8} {'ratio':>7}   goal")
    row("training step, batch 60, against PyTorch", train["median_ms"], torch_ms, "ms", "at most 0.333")
    row("frozen, batch 1, against ONNX Runtime", infer["median_ms"], runtime_ms, "ms", "at most 0.5")
    row("compiling both from text, against 150 ms", train["compile_ms"] + infer["compile_ms"], 150, "ms", "at most 1")
    for count in sorted({1, options.threads}):
        product = bnc_bench(options, ROOT / "bench" / "matmul_1024.bn", "--mode", "infer", "--batch", 1024, "--threads", count)
        row(f"1024^3 matmul, {product['threads']} threads, against peak", product["gflops"], product["peak_gflops"], "GFLOP/s", "at least 0.85")


if __name__ == "__main__":
    main()
