#!/usr/bin/env python3
"""Ctrl-C in `bnc train` leaves a checkpoint and says how to resume; the resumed run ends in the same bits as one that
was never stopped.

usage: interrupt.py BNC
"""
import json
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from harness import succeed

BNC = sys.argv[1]
STEPS = 60000
MODEL = """network net(x: f32[N, 9]) {
  return dense(relu(batch_norm(dense(dropout(x, rate=0.1), 33))), 3)
}

train net {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.01, momentum=0.9)
  batch     = 10
  epochs    = 1
}
"""


def main():
    here = pathlib.Path(tempfile.mkdtemp(prefix="bnc interrupt."))  # with a space, as the printed command must quote it
    (here / "net.bn").write_text(MODEL)
    random = np.random.default_rng(3)
    x, y = random.normal(size=(200, 9)).astype(np.float32), random.integers(0, 3, 200).astype(np.int32)
    np.savez(here / "data.npz", x=x, y=y)
    words = ["train", str(here / "net.bn"), "--data", str(here / "data.npz"), "--seed", "5", "--steps", str(STEPS)]
    stopped = here / "stopped"

    child = subprocess.Popen([BNC, *words, "--json", "--out", str(stopped)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # A line an epoch: the run is well under way, and cannot end, as no pipe holds all the lines that nobody reads.
    for _ in range(30):
        child.stdout.readline()
    page = stopped / "report.html"
    assert "data-reload" in page.read_text(), "the page of a run that goes on does not reload itself"
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate()
    assert child.returncode == 0, (child.returncode, stderr)
    assert '"stopped":true' in stdout, stdout
    stderr = "\n".join(json.loads(line)["text"] for line in stderr.splitlines())
    step = int(re.search(r"stopped after step (\d+)", stderr)[1])
    assert 0 < step < STEPS, stderr
    assert (stopped / "checkpoint").is_dir(), stderr
    record = json.loads((stopped / "report.json").read_text())
    settings, call = record["settings"], record["calls"][0]
    assert record["state"] == "stopped" and f"The run was stopped after step {step} of {STEPS}" in page.read_text(), record["state"]
    assert "data-reload" not in page.read_text()
    assert shlex.split(call["command"]) == ["bnc", *words, "--json", "--out", str(stopped)], call
    assert call["machine"] and call["version"].startswith("bnc ") and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", call["started"]), call
    assert settings["steps"].startswith(f"{STEPS} ("), settings  # how long it is to be, which the page of a stopped run tells too
    resume = re.search(r"^  (bnc train .* --resume .*)$", stderr, re.M)[1]
    print(f"stopped after step {step}; resuming by its own words: {resume}")

    succeed(BNC, *shlex.split(resume)[1:])
    record = json.loads((stopped / "report.json").read_text())
    assert record["state"] == "done" and [call["first_step"] for call in record["calls"]] == [0, step], record["calls"]
    assert f"resumed after step {step}" in page.read_text()
    succeed(BNC, *words, "--out", str(here / "whole"))
    assert (stopped / "weights.safetensors").read_bytes() == (here / "whole" / "weights.safetensors").read_bytes(), "the resumed run ended elsewhere"
    history = [[line.rpartition(",")[0] for line in (here / run / "history.csv").read_text().splitlines()] for run in ("stopped", "whole")]
    assert history[0] == history[1], "the resumed run's history differs in more than its seconds"


if __name__ == "__main__":
    main()
