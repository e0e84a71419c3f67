#!/usr/bin/env python3
"""How compile time grows with the number of layers: processor seconds of 500, 1000, 2000 and 4000 layers, and the most memory.

usage: compile_time.py [--bnc build/bnc] [--layers 500,1000,2000,4000] [--only NETWORK ...] [--seconds S]
Processor time, of one thread, not elapsed time: other work on the machine changes it little. A run of more than S seconds is given up.
"""
import argparse
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRAIN = "\ntrain net {\n  loss = softmax_cross_entropy(labels)\n  optimizer = sgd(rate=0.01, momentum=0.9)\n  batch = 8\n}\n"
NORMALIZED = "block normalized(x, channels) { return batch_norm(conv2d(x, channels, 3, padding=1, bias=false)) }\n"
RESIDUAL = NORMALIZED + "block residual(x, channels) {\n  h = relu(normalized(x, channels))\n  return relu(normalized(h, channels) + x)\n}\n"

# A layer, how many of them one turn of the loop has, the input, what the network ends with, and what stands before it.
NETWORKS = {
    "maps": ("h = relu(h) + 1", 2, "f32[N, 64]", "h", ""),
    "maps read twice": ("h = (h + relu(h)) * 0.5", 3, "f32[N, 64]", "h", ""),
    "dense, batch norm, ReLU": ("h = relu(batch_norm(dense(h, 16, bias=false)))", 1, "f32[N, 16]", "dense(h, 10)", ""),
    "residual blocks": ("h = residual(h, 8)", 2, "f32[N, 8, 8, 8]", "dense(global_average_pool(h), 10)", RESIDUAL),
    "ReLU, then batch norm": ("h = batch_norm(relu(conv2d(h, 8, 3, padding=1)))", 1, "f32[N, 8, 8, 8]", "dense(global_average_pool(h), 10)", ""),
    "branches": ("list = list + [relu(batch_norm(dense(x, 4)))]", 1, "f32[N, 16]", "dense(concat(list), 10)", ""),
}
COMMANDS = {
    "parse": ["compile", "{model}", "--emit", "graph", "-o", "{output}"],
    "frozen object": ["compile", "{model}", "--weights", "{weights}", "-o", "{output}"],
    "training step": ["compile", "{model}", "--mode", "train", "--emit", "asm", "-o", "{output}"],
    "explain": ["explain", "{model}"],
}


def network(name, layers):
    layer, count, shape, result, blocks = NETWORKS[name]
    start = "list = []" if layer.startswith("list") else "h = x"
    return f"{blocks}network net(x: {shape}) {{\n  {start}\n  repeat {layers // count} {{ {layer} }}\n  return {result}\n}}\n{TRAIN}"


def run(command, seconds):
    """Processor seconds and megabytes of a process; none where it was given up."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=limit)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode < 0:
        return None
    if process.returncode:
        sys.exit(f"{' '.join(command)}: {errors}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def processor():
    try:
        names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bnc", default=str(ROOT / "build" / "bnc"))
    parser.add_argument("--layers", default="500,1000,2000,4000")
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seconds", type=int, default=600)
    options = parser.parse_args()
    sizes = [int(size) for size in options.layers.split(",")]
    print(f"{processor()}; seconds, and megabytes of the largest\n")
    print("| network | | " + " | ".join(map(str, sizes)) + " | MB |")
    print("| --- | --- |" + " ---: |" * (len(sizes) + 1))
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            for what, words in COMMANDS.items():
                cells = []
                for layers in sizes:
                    files = {"model": f"{folder}/net.bn", "weights": f"{folder}/weights", "output": f"{folder}/output"}
                    pathlib.Path(files["model"]).write_text(network(name, layers))
                    if "{weights}" in words:
                        subprocess.run([options.bnc, "init", files["model"], "-o", files["weights"]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    cells.append(run([options.bnc, *(word.format(**files) for word in words), "--threads", "1"], options.seconds))
                times = [f"{cell[0]:.2f}" if cell else "–" for cell in cells]
                print(f"| {name} | {what} | {' | '.join(times)} | {f'{cells[-1][1]:.0f}' if cells[-1] else '–'} |", flush=True)


if __name__ == "__main__":
    main()
