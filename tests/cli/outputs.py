#!/usr/bin/env python3
"""Outputs that would destroy an input or another output are refused; links, pipes and devices are written through.

usage: outputs.py BNC
"""
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import SMALL_NETWORK, call, succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_outputs."))
failures = []

MODEL, ONNX, WEIGHTS, ARRAYS, DATA, RUN = HERE / "net.bn", HERE / "net.onnx", HERE / "w.safetensors", HERE / "in.npz", HERE / "data.npz", HERE / "run"

# A call of each command that writes, its outputs left out; then the options that name those, and the files it reads.
COMMANDS = {
    "compile": (["compile", MODEL, "--weights", WEIGHTS], ["--output", "--header"], [MODEL, WEIGHTS]),
    "compile --emit llvm": (["compile", MODEL, "--weights", WEIGHTS, "--emit", "llvm"], ["--output"], [MODEL, WEIGHTS]),
    "opt": (["opt", MODEL, "--passes", "canonicalize", "--weights", WEIGHTS], ["--output"], [MODEL, WEIGHTS]),
    "init": (["init", MODEL], ["--output"], [MODEL]),
    "run": (["run", MODEL, "--weights", WEIGHTS, "--input", ARRAYS], ["--output"], [MODEL, WEIGHTS, ARRAYS]),
    "predict": (["predict", MODEL, "--weights", WEIGHTS, "--data", DATA], ["--output"], [MODEL, WEIGHTS, DATA]),
    "restat": (["restat", MODEL, "--weights", WEIGHTS, "--data", f"{DATA}:train"], ["--output"], [MODEL, WEIGHTS, DATA]),
    "import": (["import", WEIGHTS, "--model", MODEL], ["--output"], [MODEL, WEIGHTS]),
    "import a model": (["import", ONNX], ["--output", "--weights"], [ONNX]),
    "report": (["report", RUN], ["--out"], [RUN / "history.csv", RUN / "weights.safetensors"]),
    "export": (["export", MODEL, "--weights", WEIGHTS], ["--output"], [MODEL, WEIGHTS]),
    "export --state-dict": (["export", MODEL, "--weights", WEIGHTS, "--state-dict"], ["--output"], [MODEL, WEIGHTS]),
    "train": (["train", MODEL, "--data", DATA, "--steps", 1], [], []),
}
# What the value of an option is. A new option has to be put here, and a new output above.
KINDS = {
    "output": {"output", "header"},
    "input": {"weights", "input", "against", "data", "test", "model", "map", "check"},
    "folder": {"resume"},
    "no file": {"name", "passes", "batch", "threads", "seed", "emit", "mode", "cpu", "stop-after", "epochs", "steps", "patience", "test-every", "checkpoint-every", "validate",
                "seconds", "stats", "bound", "label", "target", "ignore", "resize", "missing", "unknown", "id", "top", "color", "depth", "shape", "mean", "deviation"},
}


def check(name, problems):
    print(f"{'FAILED' if problems else 'ok    '} {name}")
    if problems:
        failures.append(name)
        print("\n".join("    " + problem for problem in problems))


def refused(name, words, kept, *parts, code=1):
    """One error that says all of `parts`, the exit code, and the files `kept` as they were."""
    before = {path: path.read_bytes() for path in kept}
    result = call(BNC, *words, cwd=HERE)
    problems = [f"does not say {part!r}: {result.stderr}" for part in parts if part not in result.stderr]
    if result.returncode != code or result.stderr.count("error:") + result.stderr.count('"severity":"error"') != 1:
        problems.append(f"exit code {result.returncode}: {result.stderr}")
    problems += [f"{path} has changed" for path in kept if path.read_bytes() != before[path]]
    check(name, problems)


def options_of(command):
    """The options of a command that take a value."""
    text = succeed(BNC, command, "--help").stdout
    return {name for name, value in re.findall(r"^  (?:-\w \[ )?--([a-z-]+)(?: \])?(?: ([A-Za-z][^\s]*))?", text, re.M) if value}


def every_option_is_known():
    commands = succeed(BNC, "--list-commands").stdout.split()
    tested = {(words[0], option.removeprefix("--")) for words, outputs, _ in COMMANDS.values() for option in outputs}
    for command in commands:
        problems = []
        for option in sorted(options_of(command)):
            kinds = [kind for kind, names in KINDS.items() if option in names]
            if option == "out":
                kinds = ["output" if command == "report" else "folder"]
            if not kinds:
                problems.append(f"--{option}: not known whether it names a file that is written")
            if kinds == ["output"] and (command, option) not in tested:
                problems.append(f"--{option} is an output that is not tested")
        check(f"options of {command}", problems)


def prepare():
    MODEL.write_text(SMALL_NETWORK)
    succeed(BNC, "init", MODEL, "--seed", 1, "-o", WEIGHTS)
    succeed(BNC, "export", MODEL, "--weights", WEIGHTS, "-o", ONNX)
    np.savez(ARRAYS, x=np.ones((4, 6), np.float32))
    np.savez(DATA, x=np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32), y=(np.arange(64) % 3).astype(np.int32))
    succeed(BNC, "train", MODEL, "--data", DATA, "--steps", 2, "--out", RUN)


def names_of(path):
    """Other names of a file."""
    link, hard, folder = HERE / "link", HERE / "hard", HERE / "folder"
    for old in (link, hard, folder):
        old.unlink(missing_ok=True)
    link.symlink_to(path)
    os.link(path, hard)
    folder.symlink_to(path.parent)
    return {"itself": path, "a relative path": os.path.relpath(path, HERE), "a link": link, "a hard link": hard, "a linked folder": folder / path.name}


def destroyed_files():
    for name, (words, outputs, inputs) in COMMANDS.items():
        for output in outputs:
            others = [word for k, other in enumerate(outputs) if other != output for word in (other, HERE / f"other{k}")]
            for path in inputs:
                for how, alias in names_of(path).items():
                    refused(f"{name}: {output} is {path.name}, by {how}", [*words, *others, output, alias], inputs, "would be lost")
    both = HERE / "both.o"
    compile_words = ["compile", MODEL, "--weights", WEIGHTS]
    refused("compile: two outputs that are one", [*compile_words, "-o", both, "--header", both], [MODEL], "`--output` and `--header` are one file")
    (HERE / "later").symlink_to("both.o")
    refused("compile: two outputs that will be one", [*compile_words, "-o", both, "--header", "later"], [MODEL], "are one file")
    both.write_bytes(b"old")
    refused("compile: two outputs that are one by a link", [*compile_words, "-o", "later", "--header", "both.o"], [both], "are one file")
    model = HERE / "source.o"
    model.write_text(SMALL_NETWORK)
    refused("compile: the object's own name", ["compile", model, "--weights", WEIGHTS], [model], "the object is the network's source")
    refused("compile: the header alone", ["compile", model, "--header", HERE / "source.o", "-o", HERE / "x.o"], [model], "would be lost")
    best = RUN / "checkpoint" / "weights.safetensors"
    for path in (RUN / "weights.safetensors", best):
        refused(f"train: from {path.relative_to(HERE)} into run", [*COMMANDS["train"][0], "--weights", path, "--out", RUN], [path], "would be lost")
    labels = RUN / "report.json"
    refused("restat: a file of a data folder", ["restat", MODEL, "--weights", WEIGHTS, "--data", idx_folder(), "-o", HERE / "idx" / "train-labels-idx1-ubyte"],
            [HERE / "idx" / "train-labels-idx1-ubyte"], "would be lost")
    refused("report: a file of the second run", ["report", RUN, RUN, "-o", labels], [labels], "would be lost")


def idx_folder():
    folder = HERE / "idx"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(24))
    (folder / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 4]) + bytes(4))
    return folder


def links():
    words = ["init", MODEL, "--seed", 1, "-o"]
    expected = WEIGHTS.read_bytes()
    deep = HERE / "deep"
    deep.mkdir()
    target, link, second = deep / "target", HERE / "first-link", HERE / "second-link"
    link.symlink_to("deep/target")
    second.symlink_to(link)
    for name, before in (("that is not there yet", None), ("that is there", b"old")):
        if before is not None:
            target.write_bytes(before)
            target.chmod(0o640)
        succeed(BNC, *words, second)
        problems = [f"{path} is no link any more" for path in (link, second) if not path.is_symlink()]
        if target.read_bytes() != expected:
            problems.append("the target has not been written")
        if before is not None and stat.S_IMODE(target.stat().st_mode) != 0o640:
            problems.append("the target has another mode")
        if [entry.name for entry in deep.iterdir()] != ["target"]:
            problems.append("something was left beside the target")
        check(f"a link to a file {name}", problems)
    loop = HERE / "loop"
    loop.symlink_to("loop")
    refused("a link to itself", [*words, loop], [], "symbolic links")
    nowhere = HERE / "nowhere-link"
    nowhere.symlink_to(HERE / "nowhere" / "file")
    refused("a link into no folder", [*words, nowhere], [], "No such file")
    refused("no such folder", [*words, HERE / "none" / "file"], [], "No such file", "mkdir -p")
    refused("a folder", [*words, deep], [], "Is a directory")
    refused("a file as folder", [*words, target / "file"], [], "is no folder")
    refused("no name", [*words, ""], [], "the name of a file", code=2)
    refused("a source that is not there", ["opt", HERE / "none.bn", "--passes", "canonicalize", "-o", HERE / "none.bn"], [], "none.bn")


def shell(script):
    return subprocess.run(["bash", "-c", script, "bash", BNC, str(MODEL)], capture_output=True, cwd=HERE, timeout=60)


def streams():
    expected = WEIGHTS.read_bytes()
    for name, script, wanted in (
        ("-", '"$1" init "$2" --seed 1 -o -', expected),
        ("/dev/stdout", '"$1" init "$2" --seed 1 -o /dev/stdout', expected),
        ("/dev/fd/1", '"$1" init "$2" --seed 1 -o /dev/fd/1', expected),
        ("/dev/fd/5", '"$1" init "$2" --seed 1 -o /dev/fd/5 5>&1', expected),
        ("a link to /dev/stdout", 'ln -sf /dev/stdout out && "$1" init "$2" --seed 1 -o out', expected),
        ("/dev/stdout in the middle of a file", '(printf first; "$1" init "$2" --seed 1 -o /dev/stdout; printf last) > file; cat file', b"first" + expected + b"last"),
        ("/dev/stdout behind a file", 'printf first > file; "$1" init "$2" --seed 1 -o /dev/stdout >> file; cat file', b"first" + expected),
        ("a process", '"$1" init "$2" --seed 1 -o >(cat) | cat', expected),
        ("a named pipe", 'mkfifo pipe; cat pipe & "$1" init "$2" --seed 1 -o pipe; wait; [ -p pipe ] || echo lost', expected),
        ("/dev/null", '"$1" init "$2" --seed 1 -o /dev/null; [ -c /dev/null ] || echo lost', b""),
        ("two outputs to /dev/null", '"$1" compile "$2" -o /dev/null --header /dev/null || echo failed', b""),
    ):
        result = shell(script)
        check(f"{name} as output", [] if result.stdout == wanted else [f"wrote {len(result.stdout)} bytes, not {len(wanted)}: {result.stderr.decode()}"])
    for name, script in (
        ("/dev/stdout and the file it is", '"$1" compile "$2" -o /dev/stdout --header out.o > out.o'),
        ("two outputs to a pipe", '"$1" compile "$2" -o - --header /dev/stdout | cat'),
    ):
        result = shell(script)
        check(name, [] if b"are one file" in result.stderr and not result.stdout else [result.stderr.decode()])
    for command in (["compile", MODEL], ["compile", MODEL, "--emit", "graph"], ["opt", MODEL, "--passes", "dead-code"], ["init", MODEL]):
        refused(f"{command[0]}: stdout beside --json", [*command, "-o", "-", "--json"], [MODEL], "prints to stdout", code=2)


def main():
    prepare()
    every_option_is_known()
    destroyed_files()
    links()
    streams()
    print(f"{len(failures)} failed: {', '.join(failures)}" if failures else "all passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
