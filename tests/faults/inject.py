#!/usr/bin/env python3
"""Lets the system fail under bnc, one call at a time: files that cannot be opened, read, written, synchronized or renamed, full
disks, no memory, no threads. Each time bnc must end with a clear error and exit code 1, or do without and give what it gives
otherwise; what was there before is there still, or whole and new.

usage: inject.py BNC FAIL_NTH.so [--all [--allocations N]] [--command NAME] [--kind KIND] [--keep]
"""
import argparse
import errno
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import read_safetensors, succeed

MODEL = """network net(x: f32[N, 6]) {
  h = relu(batch_norm(dense(x, 5)))
  return dense(h, 3)
}

train net {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.01, momentum=0.9)
  batch     = 8
}
"""
TIMEOUT = 300  # seconds after which a command hangs; far more than any takes

# What fails, in which way: the errno, then more settings of fail_nth.c.
FAULTS = {
    "open": [(errno.EMFILE, {})],
    "read": [(errno.EIO, {})],
    "write": [(errno.ENOSPC, {"SHORT": 1, "STAY": 1}), (errno.EIO, {})],
    "print": [(errno.ENOSPC, {"STAY": 1})],
    "close": [(errno.EIO, {})],
    "sync": [(errno.EIO, {})],
    "rename": [(errno.EACCES, {})],
    "folder": [(errno.EACCES, {})],
    "map": [(errno.ENOMEM, {}), (errno.ENOMEM, {"STAY": 1})],
    "thread": [(errno.EAGAIN, {}), (errno.EAGAIN, {"STAY": 1})],
    "allocate": [(errno.ENOMEM, {}), (errno.ENOMEM, {"STAY": 1})],
}
ON_FILES = {"open", "read", "write", "close", "sync", "rename", "folder"}
SAMPLES = {"allocate": 6}       # calls that fail without --all, of each command, kind and way
FEW = 3


class Command:
    """One call of bnc in a folder made ready for it, and the files that it writes."""

    def __init__(self, name, words, outputs=(), prepare=lambda folder: None):
        self.name, self.words, self.outputs, self.prepare = name, words, outputs, prepare


def examples(count, seed):
    draw = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 3
    return (draw.normal(size=(count, 6)) + labels[:, None]).astype(np.float32), labels


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def make_inputs(bnc, folder):
    (folder / "net.bn").write_text(MODEL)
    for name, shape in {"image": "2, 3, 1", "photo": "32, 32, 3"}.items():
        (folder / f"{name}.bn").write_text(MODEL.replace("f32[N, 6]", f"f32[N, {shape}]").replace("dense(x, 5)", "dense(flatten(x), 5)")
                                           .replace("dense(h, 3)", "dense(h, 10)" if name == "photo" else "dense(h, 3)"))
    x, y = examples(40, 1)
    np.savez(folder / "data.npz", x=x, y=y)
    np.savez_compressed(folder / "in.npz", x=x)
    (folder / "data.csv").write_text("".join(",".join(map(str, row)) + f",{label}\n" for row, label in zip(x.tolist(), y)))
    (folder / "idx").mkdir()
    for name, array in {"images-idx3": np.arange(40 * 6).reshape(40, 2, 3) % 256, "labels-idx1": y}.items():
        (folder / "idx" / f"t10k-{name}-ubyte").write_bytes(idx(array))
    (folder / "cifar").mkdir()
    (folder / "cifar" / "test_batch.bin").write_bytes(b"".join(bytes([k % 10]) + bytes([k * 9 % 256]) * 3072 for k in range(20)))
    for name in ("net", "image", "photo"):
        succeed(bnc, "init", folder / f"{name}.bn", "--seed", 3, "-o", folder / f"{name}.safetensors")


def commands(bnc):
    run = ["weights.safetensors", "weights.best.safetensors", "history.csv", "distributions.csv", "report.html", "report.json",
           "checkpoint/progress.json", "checkpoint/weights.safetensors", "checkpoint/best.safetensors", "checkpoint/state.npz",
           "checkpoint/history.csv", "checkpoint/distributions.csv"]
    train = ["train", "net.bn", "--data", "data.npz", "--validate", "0.2", "--threads", "2", "--checkpoint-every", "1000"]

    def old_run(steps, seed):
        return lambda folder: succeed(bnc, *at(folder, train), "--steps", steps, "--seed", seed, "--out", folder / "run")

    def old_files(*names):
        return lambda folder: [(folder / name).write_text("what was there before\n") for name in names]

    outputs = [f"run/{name}" for name in run]
    return [
        Command("train", [*train, "--steps", "8", "--seed", "2", "--out", "run", "--overwrite", "--tensorboard"], outputs, old_run(4, 1)),
        Command("resume", [*train, "--steps", "8", "--resume", "run", "--restat"], outputs, old_run(4, 1)),
        Command("compile", ["compile", "net.bn", "--weights", "net.safetensors", "-o", "net.o", "--header", "net.h"], ["net.o", "net.h"], old_files("net.o", "net.h")),
        Command("shared", ["compile", "net.bn", "--weights", "net.safetensors", "--emit", "shared", "-o", "net.so"], ["net.so"], old_files("net.so")),
        Command("text", ["compile", "net.bn", "--emit", "graph"]),
        Command("run", ["run", "net.bn", "--weights", "net.safetensors", "--input", "in.npz", "--output", "out.npz"], ["out.npz"], old_files("out.npz")),
        Command("init", ["init", "net.bn", "-o", "fresh.safetensors"], ["fresh.safetensors"], old_files("fresh.safetensors")),
        Command("import", ["import", "net.safetensors", "--model", "net.bn", "-o", "other.safetensors"], ["other.safetensors"],
                old_files("other.safetensors")),
        Command("csv", ["eval", "net.bn", "--weights", "net.safetensors", "--data", "data.csv"]),
        Command("npz", ["eval", "net.bn", "--weights", "net.safetensors", "--data", "data.npz"]),
        Command("idx", ["eval", "image.bn", "--weights", "image.safetensors", "--data", "idx"]),
        Command("cifar", ["eval", "photo.bn", "--weights", "photo.safetensors", "--data", "cifar"]),
    ]


def at(folder, words):
    """The words of a command with the files among them named in full."""
    named = re.compile(r"(run|idx|cifar|.*\.(bn|npz|csv|o|h|so|safetensors))$")
    return [words[0]] + [str(folder / word) if named.match(word) else word for word in words[1:]]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def is_whole(name, data, folder):
    """Whether a file that a training run writes, which differs from run to run, was written to its end."""
    if name.endswith(".safetensors"):
        return bool(read_safetensors(folder / name))
    if name.endswith(".npz"):
        return bool([archive[key] for archive in [np.load(folder / name)] for key in archive.files])
    if name.endswith(".json"):
        return bool(json.loads(data))
    return data.endswith(b"</html>\n") if name.endswith(".html") else data.endswith(b"\n")


class Experiment:
    def __init__(self, bnc, library, command, base, home):
        self.bnc, self.preload, self.command, self.home = bnc, library, command, home
        self.ready = home / "ready"
        shutil.copytree(base, self.ready)
        command.prepare(self.ready)
        self.folder = home / "work"
        self.old = None

    def run(self, kind, n, error=0, settings=None, count=None):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.ready, self.folder)
        (self.folder / "tmp").mkdir()
        self.old = contents(self.folder)
        environment = dict(os.environ, LD_PRELOAD=str(self.preload), TMPDIR=str(self.folder / "tmp"), BNC_FAULT_KIND=kind, BNC_FAULT_AT=str(n),
                           BNC_FAULT_ERROR=str(error), BNC_FAULT_UNDER=str(self.folder))
        environment.update({f"BNC_FAULT_{name}": str(value) for name, value in (settings or {}).items()})
        if count:
            environment["BNC_FAULT_COUNT"] = str(count)
        return subprocess.run([str(self.bnc), *at(self.folder, self.command.words)], capture_output=True, text=True, errors="replace", timeout=TIMEOUT, env=environment)

    def calls(self, kind):
        """How many calls of the kind there are where none fails; and what the command gives then."""
        file = self.home / "count"
        result = self.run(kind, 0, count=file)
        if result.returncode != 0:
            raise RuntimeError(f"bnc {self.command.name} fails without a fault: exit code {result.returncode}\n{result.stderr}")
        self.new, self.stdout = contents(self.folder), result.stdout
        return int(file.read_text())

    def problems(self, kind, error, result):
        now = contents(self.folder)
        if result.returncode == 0:
            yield from self.tolerated(result, now)
        elif result.returncode != 1:
            yield f"exit code {result.returncode}"
        if result.returncode != 0:
            yield from self.error_text(kind, error, result.stderr)
            yield from self.nothing_lost(now)
        left = [name for name in now if name not in self.new and name not in self.old]
        left = [name for name in left if not pathlib.Path(name).name.startswith("events.out.tfevents.")]
        if left and kind != "allocate":
            yield f"left behind: {', '.join(left)}"
        yield from self.outputs_whole(now)

    def tolerated(self, result, now):
        """Nothing may be missing where the exit code says that all went well."""
        for name in self.command.outputs:
            if name not in now:
                yield f"exit code 0, but there is no {name}"
            elif name.split("/")[0] != "run" and now[name] != self.new[name]:
                yield f"exit code 0, but {name} is not what it should be"
        if self.command.name == "text" and result.stdout != self.stdout:
            yield "exit code 0, but the output is not what it should be"

    def error_text(self, kind, error, text):
        if text.count("error:") != 1 and not (kind == "print" and "error:" in text):
            yield f"{text.count('error:')} errors, expected one"
        says = os.strerror(error)
        if kind in ON_FILES and says not in text:
            yield f"does not say {says!r}"
        if kind in ON_FILES and str(self.folder) not in text:
            yield "does not name the file"
        if kind in ("map", "allocate") and "memory" not in text:
            yield "does not speak of memory"

    def nothing_lost(self, now):
        """Where the checkpoint of a run begun anew has taken the old one's place, the old run's weights are gone."""
        progress = "run/checkpoint/progress.json"
        begun = progress in now and now[progress] != self.old.get(progress)
        for name in self.command.outputs:
            gone = begun and ("best" in name or (name == "run/weights.safetensors" and self.command.name == "train"))
            if name in self.old and name not in now and not gone:
                yield f"{name} was there before and is lost"
            if name.startswith("run/checkpoint/") and not begun and now.get(name) != self.old.get(name):
                yield f"{name} is not of the checkpoint that was there before"
        inputs = set(self.old) - set(self.command.outputs)
        for name in sorted(inputs):
            if now.get(name) != self.old[name]:
                yield f"{name} has changed"

    def outputs_whole(self, now):
        for name in self.command.outputs:
            if name not in now or now[name] in (self.old.get(name), self.new.get(name)):
                continue
            try:
                whole = name.startswith("run/") and is_whole(name, now[name], self.folder)
            except Exception as failure:
                whole = False
            if not whole:
                yield f"{name} is neither old nor new nor whole"

    def resumes(self):
        """Whether the checkpoint that is there can be gone on from."""
        words = ["train", "net.bn", "--data", "data.npz", "--steps", "10", "--resume", "run"]
        result = subprocess.run([str(self.bnc), *at(self.folder, words)], capture_output=True, text=True, timeout=TIMEOUT)
        return result.returncode == 0, result.stderr


def chosen(kind, count, options):
    """Which calls fail."""
    samples = SAMPLES.get(kind, FEW)
    first = 0
    if options.all and kind != "allocate":
        first = count
    elif options.all:
        first = samples = options.allocations
    spread = np.linspace(1, count, min(count, samples)).astype(int).tolist()
    return sorted(set(range(1, min(count, first) + 1)) | set(spread))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bnc", type=pathlib.Path)
    parser.add_argument("preload", type=pathlib.Path)
    parser.add_argument("--all", action="store_true", help="every call fails once, of allocations the first N and N others")
    parser.add_argument("--allocations", type=int, default=500, metavar="N")
    parser.add_argument("--command", action="append")
    parser.add_argument("--kind", action="append")
    parser.add_argument("--keep", action="store_true", help="leave the folder of each failure behind")
    options = parser.parse_args()
    home = pathlib.Path(tempfile.mkdtemp(prefix="bnc_faults."))
    (home / "base").mkdir()
    make_inputs(options.bnc, home / "base")
    failures = faults = 0
    for command in commands(options.bnc):
        if options.command and command.name not in options.command:
            continue
        (home / command.name).mkdir()
        experiment = Experiment(options.bnc.resolve(), options.preload.resolve(), command, home / "base", home / command.name)
        for kind, ways in FAULTS.items():
            if options.kind and kind not in options.kind:
                continue
            count = experiment.calls(kind)
            before, tolerated, found = faults, 0, {}
            for error, settings in ways:
                for n in chosen(kind, count, options):
                    faults += 1
                    try:
                        result = experiment.run(kind, n, error, settings)
                        tolerated += result.returncode == 0
                        problems = list(experiment.problems(kind, error, result))
                        text = result.stderr.strip()
                    except subprocess.TimeoutExpired:
                        problems, text = ["hangs"], ""
                    if not problems and command.name in ("train", "resume") and n % 7 == 3:
                        good, text = experiment.resumes()
                        problems = [] if good else ["the checkpoint cannot be resumed"]
                    if problems:
                        failures += 1
                        found.setdefault("; ".join(problems), []).append((n, settings, text[-600:]))
            print(f"{'FAILED' if found else 'ok    '} {command.name} {kind}: {count} calls, {faults - before} faults, {tolerated} of them done without", flush=True)
            for problem, places in found.items():
                n, settings, text = places[0]
                print(f"    {len(places)} x {problem}: call {', '.join(str(place[0]) for place in places[:8])} {settings or ''}\n        {text}", flush=True)
    if not options.keep:
        shutil.rmtree(home)
    print(f"{faults} faults, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
