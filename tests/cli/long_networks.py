#!/usr/bin/env python3
"""Networks of very many layers, on the stack that a process commonly has: what takes stack for each layer ends by a signal here, and
what takes quadratic time does not end within the processor time that is given. Linear time is a small part of it.

usage: long_networks.py BNC
"""
import pathlib
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench"))
from compile_time import COMMANDS, TRAIN, network

STACK = 8 << 20
SECONDS = 100   # of processor time for each command
# Deep in one way only: maps that merge with one another, what is read by one other value, expressions of weights alone, two ways to each value.
CHAINS = {
    "scalars": "s = reduce_mean(x)\n repeat 8000 { s = tanh(s) * 0.5 + 0.1 }\n return x * s",
    "weights": "parameter w: f32[16] = ones\n v = w\n repeat 8000 { v = v * 0.5 + 0.25 }\n return x * v",
    "biases": "parameter w: f32[16] = ones\n h = x\n repeat 16000 { h = bias(h, w) }\n return batch_norm(h)",
    "batch norms": "h = dense(x, 16)\n repeat 2000 { h = batch_norm(h) }\n return dense(h, 4)",
    "read twice": "h = x\n repeat 6000 { h = (h + relu(h)) * 0.5 }\n return h",
}
TOO_LONG = {
    "h = x\n repeat 50000 { h = relu(h) + 1 }\n return h": "the network grows beyond 100000 operations",
    "h = x\n repeat 400 { repeat 400 { h = relu(h) } }\n return h": "the network grows beyond 100000 operations",
    "return y = " + " + ".join(["x"] * 100000): "this expression is too long",
    "return y = " + "relu(" * 100000 + "x" + ")" * 100000: "nested more than",
    "h = x\n" + "repeat 1 {" * 100000 + "h = relu(h)" + "}" * 100000 + "\n return h": "nested more than",
}


def limit():
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def main():
    bnc = sys.argv[1]
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        files = {"model": f"{folder}/net.bn", "weights": f"{folder}/weights", "output": f"{folder}/output"}

        def call(words):
            return subprocess.run([bnc, *(word.format(**files) for word in words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=limit)

        def check(name, text, *commands):
            pathlib.Path(files["model"]).write_text(text)
            for words in (["init", "{model}", "-o", "{weights}"], *commands):
                result = call(words)
                if result.returncode != 0:
                    failed.append(f"{name}: bnc {words[0]} ends with {result.returncode}: {result.stderr[:500]}")

        check("maps", network("maps", 20000), COMMANDS["frozen object"])
        check("residual blocks", network("residual blocks", 1000), COMMANDS["frozen object"], COMMANDS["explain"])
        check("a training step", network("residual blocks", 100), COMMANDS["training step"])
        for name, body in CHAINS.items():
            check(name, f"network net(x: f32[N, 16]) {{\n {body}\n}}\n{TRAIN}", COMMANDS["frozen object"])
        for body, message in TOO_LONG.items():
            pathlib.Path(files["model"]).write_text(f"network net(x: f32[N, 16]) {{\n {body}\n}}\n")
            result = call(COMMANDS["frozen object"])
            if result.returncode != 1 or message not in result.stderr:
                failed.append(f"{body[:40]}: ends with {result.returncode}: {result.stderr[:200]}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
