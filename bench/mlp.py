#!/usr/bin/env python3
"""The batch-normalized MLP against PyTorch and ONNX Runtime, and a matrix product against the machine's peak, in one run.

usage: mlp.py [--bnc build/bnc] [--seconds S] [--threads T] [--json]
Each program is timed with 1 and with T threads and its better figure counts. The peers are described in peers.py.
"""
from peers import ROOT, OnnxRuntime, Table, arguments, best, bnc_bench, peer, torch_step_ms

NAME = "mnist_mlp"


def main():
    options = arguments(__doc__).parse_args()

    def ours(mode, batch):
        results = [bnc_bench(options, ROOT / "examples" / f"{NAME}.bn", "--mode", mode, "--batch", batch, threads=count) for count in sorted({1, options.threads})]
        return min(results, key=lambda result: result["median_ms"])

    train, infer = ours("train", 60), ours("infer", 1)
    torch_ms = peer("PyTorch", lambda: best(lambda threads: torch_step_ms(NAME, 60, threads, options.seconds), options.threads))
    runtime = peer("ONNX Runtime", OnnxRuntime)
    runtime_ms = runtime and peer("ONNX Runtime", lambda: best(lambda threads: runtime.infer_ms(NAME, threads, options.seconds), options.threads))
    table = Table(options)
    table.row("training step, batch 60, against PyTorch", train["median_ms"], torch_ms, "ms", at_most=0.333)
    table.row("frozen, batch 1, against ONNX Runtime", infer["median_ms"], runtime_ms, "ms", at_most=0.5)
    table.row("compiling both from text, against 150 ms", train["compile_ms"] + infer["compile_ms"], 150, "ms", at_most=1)
    for count in sorted({1, options.threads}):
        product = bnc_bench(options, ROOT / "bench" / "matmul_1024.bn", "--mode", "infer", "--batch", 1024, threads=count)
        table.row(f"1024^3 matmul, {count} thread{'s' * (count > 1)}, against peak", product["gflops"], product["peak_gflops"], "GFLOP/s", at_least=0.85)


if __name__ == "__main__":
    main()
