#!/usr/bin/env python3
"""What people and their tools see at a terminal: help, stdin, the summary, diagnostics as JSON and in colour, progress, completion, manuals.

usage: terminal.py BNC
"""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import ROOT, SMALL_NETWORK, call, succeed

BNC = str(pathlib.Path(sys.argv[1]).resolve())
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_terminal."))
EXAMPLES = ROOT / "examples"
COMMANDS = succeed(BNC, "--list-commands").stdout.split()
WRONG = "network net(x: f32[N, 6]) {\n  return relu(y)\n}\n"
REGRESSION = """network net(x: f32[N, 2]) {
  return dense(relu(dense(x, 8)), 1)
}

train net {
  loss      = mean_squared_error(targets)
  optimizer = sgd(rate=0.01)
  batch     = 4
  epochs    = 2
}
"""


def file(name, text):
    path = HERE / name
    path.write_text(text)
    return path


def piped(text, *words):
    """bnc with that text on stdin."""
    return call(BNC, *words, input=text, cwd=HERE)


def on_terminal(*words, environment=None):
    """Everything that bnc writes where stdout and stderr are a terminal, and its exit code."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update({"TERM": "xterm", **(environment or {})})
        if "NO_COLOR" not in (environment or {}):
            os.environ.pop("NO_COLOR", None)
        os.chdir(HERE)
        os.execv(BNC, [BNC, *map(str, words)])
    text = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:   # its end
            break
        if not chunk:
            break
        text += chunk
    return text.decode(), os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def help_texts():
    assert succeed(BNC, "help").stdout == succeed(BNC, "help", "--help").stdout == succeed(BNC, "--help").stdout
    assert succeed(BNC, "-V").stdout == succeed(BNC, "--version").stdout
    for command in COMMANDS:
        assert succeed(BNC, "help", command).stdout == succeed(BNC, command, "--help").stdout, command
    bare = call(BNC)
    assert (bare.returncode, bare.stdout, bare.stderr) == (2, "", succeed(BNC, "--help").stdout), bare


def models_from_stdin():
    model = file("net.bn", SMALL_NETWORK)
    assert piped(SMALL_NETWORK, "fmt", "-").stdout == succeed(BNC, "fmt", model).stdout
    for words in (["compile", "MODEL", "--emit", "loops"], ["opt", "MODEL", "--passes", "canonicalize"], ["summary", "MODEL"]):
        from_file = succeed(BNC, *[model if word == "MODEL" else word for word in words]).stdout
        assert piped(SMALL_NETWORK, *["-" if word == "MODEL" else word for word in words]).stdout == from_file, words
    result = piped(WRONG, "compile", "-", "--emit", "graph")
    assert result.returncode == 1 and result.stderr.startswith("<stdin>:2:15: error: unknown"), result
    changed = piped(SMALL_NETWORK.replace("loss      =", "loss ="), "fmt", "-", "--check")
    assert changed.returncode == 1 and "<stdin> is not in canonical layout" in changed.stderr, changed
    piped(SMALL_NETWORK, "init", "-", "-o", "w.safetensors")
    assert piped(SMALL_NETWORK, "compile", "-", "--weights", "w.safetensors", "-o", "net.o").returncode == 0 and (HERE / "net.o").exists()
    for words, part in ((["compile", "-"], "say with `--output`"), (["fmt", "-", "--write"], "changes a file"),
                        (["eval", "-", "--weights", "w.safetensors", "--data", "-"], "can be read once")):
        result = piped(SMALL_NETWORK, *words)
        assert result.returncode == 2 and part in result.stderr, result
    with model.open() as source:   # the shell has opened the file that is to be written
        result = subprocess.run([BNC, "opt", "-", "--passes", "canonicalize", "-o", model], stdin=source, capture_output=True, text=True)
    assert result.returncode == 1 and "would be lost" in result.stderr and model.read_text() == SMALL_NETWORK, result


def tables_from_stdin():
    random = np.random.default_rng(1)
    rows = ["a,b,c,d,e,f,label"] + [",".join(f"{x:.3f}" for x in random.normal(size=6)) + f",{k % 3}" for k in range(40)]
    text = "\n".join(rows) + "\n"
    model, data = file("net.bn", SMALL_NETWORK), file("data.csv", text)
    succeed(BNC, "train", model, "--data", data, "--out", HERE / "run")
    words = [model, "--weights", HERE / "run" / "weights.safetensors", "--data"]
    assert piped(text, "predict", *words, "-").stdout == succeed(BNC, "predict", *words, data).stdout
    assert piped(text, "eval", *words, "-").stdout == succeed(BNC, "eval", *words, data).stdout
    assert piped(text, "eval", *words, "-:train").stdout == succeed(BNC, "eval", *words, f"{data}:train").stdout
    from_file, = objects(succeed(BNC, "data", data, "--json").stdout)
    assert objects(piped(text, "data", "-", "--json").stdout) == [from_file] and from_file["columns"], from_file
    assert "<stdin> holds no column `z`" in piped(text, "data", "-", "--label", "z").stderr
    balanced = file("balanced.bn", SMALL_NETWORK.replace("(labels)", "(labels, class_weights=balanced)"))   # which opens its data twice
    assert piped(text, "train", balanced, "--data", "-", "--out", HERE / "balanced").returncode == 0
    unlabelled = "".join(line.rsplit(",", 1)[0] + "\n" for line in rows)
    assert piped(unlabelled.replace(",", "\t"), "predict", *words, "-").stdout == succeed(BNC, "predict", *words, file("new.csv", unlabelled)).stdout
    result = piped("a,b,c,d,e,f\n1,2,3,4,5,six\n", "predict", *words, "-")
    assert result.returncode == 1 and "<stdin>:2:11" in result.stderr, result


def summary_of(name, *words):
    return objects(succeed(BNC, "summary", EXAMPLES / f"{name}.bn", "--json", *words).stdout)


def summaries():
    # As PyTorch counts the same networks.
    for name, parameters, statistics in (("mnist_mlp", 784 * 100 + 100 * 100 + 4 * 100 + 1010, 400),
                                         ("resnet18_cifar", 11173962, 9600), ("resnet50", 25557032, 53120), ("mobilenet_v2", 3504872, 34112)):
        *layers, total = summary_of(name)
        assert (total["parameters"], total["statistics"]) == (parameters, statistics), (name, total)
        assert total["layers"] == len(layers) and total["weight_bytes"] == 4 * (parameters + statistics), total
        for key in ("trainable", "fixed", "statistics", "operations"):
            assert abs(sum(layer[key] for layer in layers) - total[key]) <= 1e-9 * total[key], (name, key)
    for name in ("mnist_mlp", "lenet", "resnet18_cifar"):
        explained = next(line["flops_before"] for line in objects(succeed(BNC, "explain", EXAMPLES / f"{name}.bn", "--json").stdout) if "flops_before" in line)
        counted = summary_of(name)[-1]["operations"]
        assert abs(counted - explained) < 0.001 * explained, (name, counted, explained)
    first = summary_of("resnet18_cifar")[0]
    assert first["block"] == "stem" and first["layer"] == "conv_1" and first["outputs"] == ["f32[N, 32, 32, 64]"], first
    assert (first["trainable"], first["operations"]) == (3 * 3 * 3 * 64, 2.0 * 32 * 32 * 64 * 27), first
    eight = summary_of("resnet18_cifar", "--batch", 8)
    assert eight[0]["outputs"] == ["f32[8, 32, 32, 64]"] and eight[0]["operations"] == 8 * first["operations"], eight[0]
    # Shared weights are counted where they are read first.
    shared = file("shared.bn", "network net(x: f32[N, 4]) {\n  parameter w: f32[4, 4] = xavier\n  parameter c: f32[4] = zeros(trainable=false)\n"
                  "  return matmul(matmul(x, w), w) + c\n}\n")
    layers = objects(succeed(BNC, "summary", shared, "--json").stdout)
    assert [layer["trainable"] for layer in layers] == [16, 0, 0, 16] and layers[-1]["fixed"] == 4, layers
    # A layer that reads the network's own input beside what was computed of it.
    skip = file("skip.bn", "network net(x: f32[N, 4]) {\n  return relu(x) + x\n}\n")
    assert [layer["layer"] for layer in objects(succeed(BNC, "summary", skip, "--json").stdout)[:-1]] == ["relu", "add"]

    table = succeed(BNC, "summary", EXAMPLES / "resnet50.bn").stdout
    rows = table.split("\n\n")[0].splitlines()
    assert len(rows) <= 50 and len({len(row) for row in rows}) == 1, table
    assert len([row for row in rows if row.startswith("bottleneck")]) == 16 and "25,557,032, all trainable" in table, table
    assert sum(int(row.split()[-3 if row.split()[-1].isalpha() else -2].replace(",", "").replace("-", "0")) for row in rows[2:]) == 25557032, table
    opened = succeed(BNC, "summary", EXAMPLES / "resnet18_cifar.bn", "--depth", 3).stdout
    assert re.search(r"^residual3\n  normalized1\n    conv_1 \(conv2d\) +f32\[N, 16, 16, 128\] +73,728 ", opened, re.M), opened


def json_diagnostics():
    model = file("wrong.bn", WRONG)
    result = call(BNC, "compile", model, "--emit", "graph", "--json")
    found, = objects(result.stderr)
    assert result.returncode == 1 and not result.stdout
    assert (found["severity"], found["file"], found["line"], found["column"]) == ("error", str(model), 2, 15), found
    assert found["text"] == "unknown name `y`" and found["source"] == "  return relu(y)", found
    several = file("several.bn", "network net(x: f32[N, 6]) {\n  a = rely(x)\n  b = batch_norm(x, epsilom=1)\n  return a + b\n}\n")
    errors = objects(call(BNC, "compile", several, "--json").stderr)
    assert [(error["line"], error["help"][0]["text"]) for error in errors] == [(2, "did you mean `relu`?"), (3, "did you mean `epsilon`?")], errors
    twice = file("twice.bn", "network net(x: f32[N, 6]) {\n  return dense(dense(x, 6, name=a), 6, name=a)\n}\n")
    error, = objects(call(BNC, "compile", twice, "--json").stderr)
    assert error["notes"][0]["line"] == 2 and error["notes"][0]["text"] == "the first one", error
    usage, = objects(call(BNC, "train", model, "--epoch", 3, "--json").stderr)
    assert usage["text"] == "unknown option `--epoch`; did you mean `--epochs`?" and usage["help"][0]["text"] == "see `bnc train --help`", usage
    net = file("net.bn", SMALL_NETWORK)
    data, = objects(call(BNC, "train", net, "--data", file("bad.csv", "a,b,c,d,e,f,label\n1,2,3,4,5,six,0\n1,2,3,4,5,,1\n"), "--out", HERE / "none", "--json").stderr)[:1]
    assert data["severity"] == "error" and data["file"].endswith("bad.csv") and data["line"] == 3, data
    warning = objects(call(BNC, "compile", net, "-o", HERE / "net.o", "--json").stderr)
    assert warning[0]["severity"] == "warning" and "file" not in warning[0], warning
    lines = objects(call(BNC, "opt", net, "--passes", "canonicalize", "--time-passes", "--json").stderr)
    assert lines and all(line["severity"] == "info" for line in lines), lines


def json_of_training():
    random = np.random.default_rng(2)
    rows = random.normal(size=(40, 2))
    data = file("regression.csv", "a,b,label\n" + "".join(f"{a:.3f},{b:.3f},{a - b + 0.5:.3f}\n" for a, b in rows))
    model = file("regression.bn", REGRESSION)
    out = HERE / "regression"
    lines = objects(succeed(BNC, "train", model, "--data", data, "--test", data, "--out", out, "--json").stdout)
    last = [line for line in lines if "examples_per_second" in line][-1]
    assert last["step"] == last["steps"] == 20 and last["epochs"] == 2 and last["rate"] == 0.01 and last["accuracy"] is None, last
    assert last["test"]["step"] == 20 and last["test"]["loss"] > 0 and last["seconds_left"] == 0, last
    words = ["eval", model, "--weights", out / "weights.safetensors", "--data", data]
    assert objects(succeed(BNC, *words, "--json").stdout)[0]["accuracy"] is None
    assert re.fullmatch(r"loss \d\.\d+ \(40 examples\)\n", succeed(BNC, *words).stdout), succeed(BNC, *words).stdout
    held = objects(succeed(BNC, "train", model, "--data", data, "--validate", 0.25, "--out", HERE / "held", "--json").stdout)
    assert any("validation" in line and "rate" in line for line in held) and not any("test" in line for line in held if "rate" in line), held
    resumed = objects(succeed(BNC, "train", model, "--data", data, "--resume", HERE / "held", "--epochs", 3, "--json").stdout)
    assert not any("test" in line for line in resumed if "rate" in line) and any("validation" in line for line in resumed if "rate" in line), resumed


def colours():
    model = file("wrong.bn", WRONG)
    plain = call(BNC, "compile", model, "--emit", "graph", env={**os.environ, "TERM": "xterm"}).stderr
    assert "\x1b" not in plain
    text, code = on_terminal("compile", model, "--emit", "graph")
    assert code == 1 and "\x1b[1;31merror:\x1b[0m" in text and re.search(r"\x1b\[1;32m +\^", text), text
    assert re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n") == plain, text
    for words, environment in (((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"}), (("--color", "never"), {})):
        text, _ = on_terminal("compile", model, "--emit", "graph", *words, environment=environment)
        assert "\x1b" not in text, text
    assert "\x1b[1;31m" in call(BNC, "compile", model, "--emit", "graph", "--color=always").stderr
    # Each stream by itself: a pipe behind stdout gets none though stderr is a terminal.
    assert "\x1b" not in succeed(BNC, "summary", EXAMPLES / "lenet.bn").stdout
    assert "\x1b[1m" in on_terminal("summary", EXAMPLES / "lenet.bn")[0]


def finished_progress():
    model = file("regression.bn", REGRESSION)
    data = file("one.csv", "a,b,label\n" + "".join(f"{k},{k % 3},{k % 5}.5\n" for k in range(40)))
    text, code = on_terminal("train", model, "--data", data, "--out", HERE / "finished")
    assert code == 0 and re.search(r"100%.*took \d+:\d\d", text) and "0:00 left" not in text, text


def complete(*words):
    """What bash offers for the last one of those words."""
    script = file("completion.bash", succeed(BNC, "--completion", "bash").stdout)
    ask = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bnc; printf "%s\\n" "${COMPREPLY[@]}"'
    result = subprocess.run(["bash", "-c", ask, "bash", script, "bnc", *words], capture_output=True, text=True, cwd=HERE)
    assert result.returncode == 0 and not result.stderr, result
    return sorted(result.stdout.split())


def bash_completion():
    folder = HERE / "folder"
    folder.mkdir()
    for name in ("one.bn", "w.safetensors", "x.npz", "t.csv", "notes.txt"):
        file(f"folder/{name}", "")
    assert set(COMMANDS) < set(complete(""))
    assert complete("expl") == ["explain"] and complete("help", "tra") == ["train"]
    assert complete("compile", "--em") == ["--emit"]
    assert complete("compile", "--emit", "") == sorted(["obj", "ast", "graph", "loops", "llvm", "asm", "shared"])
    assert complete("compile", "--emit", "=", "gr") == ["graph"] and complete("compile", "--emit", "=") == complete("compile", "--emit", "")
    assert complete("train", "folder/") == ["folder/one.bn"]
    assert complete("eval", "folder/one.bn", "-w", "folder/") == ["folder/w.safetensors"]
    assert complete("run", "--input", "folder/") == ["folder/x.npz"]
    assert complete("train", "folder/one.bn", "--data", "folder/") == ["folder/t.csv", "folder/x.npz"]
    assert complete("train", "folder/one.bn", "--data", "fash") == ["fashion-mnist"]
    assert complete("train", "folder/one.bn", "--out", "fol") == ["folder"]
    assert complete("opt", "folder/one.bn", "--passes", "canonicalize,fold-b") == ["canonicalize,fold-batch-norm"]
    assert complete("report", "fol") == ["folder"]
    assert complete("bench", "folder/one.bn", "--against", "folder/") == ["folder/one.bn"]
    assert complete("init", "folder/one.bn", "--output", "folder/") == ["folder/w.safetensors"]
    assert complete("train", "folder/one.bn", "--epochs", "") == []
    for command in COMMANDS:   # every option of the help
        named = {f"--{name}" for name in re.findall(r"^  (?:-\w \[ )?--([a-z-]+)", succeed(BNC, command, "--help").stdout, re.M)}
        assert named and named == set(complete(command, "--")), (command, named)


def other_shells():
    zsh, fish = (succeed(BNC, "--completion", shell).stdout for shell in ("zsh", "fish"))
    for command in COMMANDS:
        assert f"    {command})" in zsh and f"-a {command} -d" in fish, command
    assert "--emit=[" in zsh and ":STAGE:(obj ast graph loops llvm asm shared)" in zsh
    for shell, script in (("zsh", zsh), ("fish", fish)):
        if not shutil.which(shell):
            print(f"    no {shell} here")
            continue
        result = subprocess.run([shell, "-n", file(f"completion.{shell}", script)], capture_output=True, text=True)
        assert result.returncode == 0 and not result.stderr, result
    if shutil.which("fish"):
        lines = ("bnc compile --emit gr", "bnc expl", "bnc train folder/", "bnc report run --inp", "bnc --vers", "bnc --completion fi", "bnc --man expl")
        ask = "; ".join([f"source {HERE}/completion.fish"] + [f"complete -C '{line}'" for line in lines])
        found = subprocess.run(["fish", "-c", ask], capture_output=True, text=True, cwd=HERE, env={**os.environ, "HOME": str(HERE)}).stdout
        offered = [line.split("\t")[0] for line in found.splitlines()]
        assert offered == ["graph", "explain", "folder/one.bn", "--version", "fish", "explain"], found   # nothing for `report run --inp`
    if shutil.which("zsh"):
        zsh_offers()


def zsh_offers():
    """zsh completes on a terminal only: it is asked on one."""
    shell = HERE / "zsh"
    shell.mkdir()
    (shell / "_bnc").write_text(succeed(BNC, "--completion", "zsh").stdout)
    (shell / ".zshrc").write_text(f"PS1='ready> '\nfpath=({shell} $fpath)\nautoload -U compinit\ncompinit -u -d {shell}/dump\n")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(HERE)
        os.execvpe("zsh", ["zsh", "-i"], {**os.environ, "ZDOTDIR": str(shell), "TERM": "dumb"})
    text = ""

    def until(mark):
        nonlocal text
        deadline = time.time() + 60
        while mark not in text and time.time() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                text += os.read(terminal, 65536).decode(errors="replace")
        assert mark in text, text
        text = text[text.index(mark) + len(mark):]

    until("ready> ")
    for typed, wanted in (("bnc expl\t", "bnc explain"), ("bnc compile --emit gr\t", "--emit graph"), ("bnc train folder/\t", "folder/one.bn"),
                          ("bnc train folder/one.bn --data fash\t", "--data fashion-mnist"), ("bnc data fash\t", "data fashion-mnist"),
                          ("bnc --vers\t", "--version"), ("bnc --completion fi\t", "--completion fish"), ("bnc --man expl\t", "--man explain")):
        os.write(terminal, typed.encode())
        until(wanted)
        os.write(terminal, b"\x15")   # forget the line
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(process, 0)


def manuals():
    pages = {"bnc": succeed(BNC, "--man").stdout, **{f"bnc-{name}": succeed(BNC, "--man", name).stdout for name in COMMANDS}}
    for name, text in pages.items():
        page = file(f"{name}.1", text)
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"):
            assert f"\n.SH {section}\n" in text, (name, section)
        for words in (["groff", "-man", "-ww", "-z"], ["mandoc", "-Tlint", "-Wwarning"]):
            if not shutil.which(words[0]):
                continue
            result = subprocess.run([*words, page], capture_output=True, text=True)
            said = [line for line in (result.stdout + result.stderr).splitlines() if "missing date" not in line]
            assert not said, (name, said)
    if shutil.which("groff"):
        shown = subprocess.run(["groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", HERE / "bnc-train.1"], capture_output=True, text=True).stdout
        for part in ("bnc-train - trains a network", "--epochs E", "-w, --weights W", "bnc train examples/mnist_mlp.bn"):
            assert part in shown, (part, shown)


def main():
    failed = []
    for test in (help_texts, models_from_stdin, tables_from_stdin, summaries, json_diagnostics, json_of_training, colours, finished_progress, bash_completion,
                 other_shells, manuals):
        try:
            test()
            print(f"ok     {test.__name__}", flush=True)
        except (AssertionError, RuntimeError, IndexError, KeyError, ValueError, StopIteration) as error:
            failed.append(test.__name__)
            print(f"FAILED {test.__name__}: {type(error).__name__}: {error}", flush=True)
    shutil.rmtree(HERE, ignore_errors=True)
    print(f"{len(failed)} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
