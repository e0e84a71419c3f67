#!/usr/bin/env python3
"""Two builds of bnc against one another, on the kernels and networks of convnets.py: is the second slower than the first?

usage: builds.py OLD_BNC NEW_BNC [--seconds S] [--rounds R] [--threads T] [--only TEXT] [--json]
Both are measured in turns, round after round over all rows; a row tells the median over the rounds of each one's time and of their ratio.
"""
import argparse
import json
import os
import pathlib
import statistics
import tempfile

from convnets import CONVOLUTIONS, DEPTHWISE, FROZEN, ROOT, TRAINING, batch_norm_networks, bnc_bench, describe, kernel_networks


def rows(folder):
    """What is measured, with the words that `bnc bench` gets for it."""
    def file(text):
        path = folder / f"{len(list(folder.iterdir()))}.bn"
        path.write_text(text)
        return path

    for layer in CONVOLUTIONS:
        for what, text in kernel_networks(*layer):
            yield f"{describe(*layer)}, {what}", [file(text), "--batch", layer[-1]]
        yield f"{describe(*layer)}, normalized", [file(batch_norm_networks(*layer)[1]), "--batch", layer[-1]]
    channels, kernel, size, batch = DEPTHWISE
    text = (f"network depthwise(x: f32[N, {size}, {size}, {channels}]) {{\n"
            f"  return conv2d(x, {channels}, {kernel}, padding={kernel // 2}, groups={channels}, bias=false)\n}}\n")
    yield f"depthwise {kernel}x{kernel}, {channels} channels at {size}x{size}, batch {batch}", [file(text), "--batch", batch]
    for name, batch in [*TRAINING, ("mnist_mlp", 60)]:
        yield f"{name}, training, batch {batch}", [ROOT / f"examples/{name}.bn", "--mode", "train", "--batch", batch]
    for name in FROZEN:
        yield f"{name}, frozen, batch 1", [ROOT / f"examples/{name}.bn"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long to measure one build in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default="", help="rows that hold this text")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    builds = [argparse.Namespace(bnc=path, threads=options.threads, seconds=options.seconds) for path in (options.old, options.new)]
    ratios = []
    with tempfile.TemporaryDirectory(prefix="bnc_builds.") as folder:
        chosen = [row for row in rows(pathlib.Path(folder)) if options.only in row[0]]
        times = {what: [] for what, _ in chosen}
        for round_ in range(options.rounds):
            for what, words in chosen:
                order = builds if round_ % 2 == 0 else builds[::-1]
                measured = {build.bnc: bnc_bench(build, *words)["median_ms"] for build in order}
                times[what].append([measured[build.bnc] for build in builds])
    for what, pairs in times.items():
        old, new = (statistics.median(side) for side in zip(*pairs))
        ratio = statistics.median(after / before for before, after in pairs)
        ratios.append(ratio)
        print(json.dumps({"what": what, "old_ms": old, "new_ms": new, "ratio": ratio}) if options.json
              else f"{what:64} {old:9.3f} ms {new:9.3f} ms   {ratio:6.3f}", flush=True)
    if not options.json:
        print(f"geometric mean of the ratios new/old: {statistics.geometric_mean(ratios):.3f}; largest {max(ratios):.3f}")


if __name__ == "__main__":
    main()
