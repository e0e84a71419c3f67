#!/usr/bin/env python3
"""What a call from Python costs beside one of the C++ API, with examples/mnist_mlp.bn for one example: both in turns in one process.

usage: overhead.py [ROUNDS]      with `bnc` on PYTHONPATH; prints the medians of each round, and the median over the rounds
"""
import pathlib
import statistics
import sys
import time

import numpy as np

import bnc

ROOT = pathlib.Path(__file__).resolve().parents[2]
CALLS = 2000


def rounds(count):
    """Microseconds of C++, of Python with out=, and of Python without."""
    network = bnc.load(ROOT / "examples/mnist_mlp.bn")
    program = network.compile(network.initialize(1), batch=1, threads=1)
    x, y = np.random.default_rng(0).random((1, 784), np.float32), np.empty((1, 10), np.float32)
    clock = time.perf_counter_ns

    def timed(call):
        times = []
        for _ in range(CALLS):
            start = clock()
            call()
            times.append(clock() - start)
        return statistics.median(times) / 1e3

    for _ in range(count):
        native = statistics.median(program._time_calls(x, count=CALLS)) / 1e3
        yield native, timed(lambda: program(x, out=y)), timed(lambda: program(x))


def main():
    found = []
    for native, into, fresh in rounds(int(sys.argv[1]) if len(sys.argv) > 1 else 9):
        found.append((native, into - native, fresh - native, into / native))
        print(f"C++ {native:6.2f} us   Python with out= {into:6.2f} us   without {fresh:6.2f} us")
    native, into, fresh, ratio = (statistics.median(column) for column in zip(*found))
    print(f"median: C++ {native:.2f} us; Python adds {into:.2f} us with out= (ratio {ratio:.2f}), {fresh:.2f} us without")


if __name__ == "__main__":
    main()
