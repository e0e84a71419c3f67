#!/usr/bin/env python3
"""A training run killed by SIGKILL at random moments, twenty times over, always resumes, and ends in the same bits as one that was
never stopped: weights, best weights, optimizer, history, and what TensorBoard shows.

usage: kill.py BNC
"""
import csv
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import numpy as np
from event_files import check_independently, read_scalars
from harness import succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_kill."))
KILLS = 20
KILLS_PER_RUN = 5
MODEL = """network net(x: f32[N, 6, 6, 1]) {
  h = relu(batch_norm(conv2d(x, 3), stats=ema(decay=0.9, corrected)))
  return dense(dropout(flatten(h), rate=0.2), 3)
}

train net {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.01, momentum=0.9)
  batch     = 10
  augment   = [shift(1), flip]
}
"""
SAME = ["weights.safetensors", "weights.best.safetensors", "distributions.csv", "checkpoint/state.npz", "checkpoint/best.safetensors"]


def words(*more):
    return [BNC, "train", HERE / "net.bn", "--data", HERE / "data.npz", "--validate", "0.2", "--steps", "12000", "--patience", "200",
            "--seed", "5", "--checkpoint-every", "0.01", "--tensorboard", *more]


def history(run):
    rows = list(csv.DictReader(open(run / "history.csv")))
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds[0] >= 0 and seconds == sorted(seconds), seconds
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def check_same(run, whole):
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name} differs from that of the run never stopped"
    assert history(run) == history(whole), "the history differs"
    left = [path.name for path in run.iterdir() if not path.name.startswith("events.out.tfevents.")]
    assert sorted(left) == ["checkpoint", "distributions.csv", "history.csv", "report.html", "report.json", "weights.best.safetensors", "weights.safetensors"], left


def check_events(run):
    scalars = read_scalars(run)
    check_independently(run)
    for tag, column in (("loss/train", "loss"), ("accuracy/train", "accuracy"), ("loss/validation", "test_loss"), ("accuracy/validation", "test_accuracy"), ("rate", "rate")):
        expected = {int(row["step"]): np.float32(row[column]) for row in history(run) if row[column]}
        assert expected and scalars[tag] == expected, (tag, scalars[tag], expected)


def checkpoint_of(run):
    """What tells one checkpoint of a run from the next; None before the first."""
    state = run / "checkpoint" / "state.npz"
    try:
        return state.stat().st_ino, state.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def killed(run, delay, checkpointed):
    """Whether a run, begun or resumed, was still running after that time, and was killed. The time counts from its start, or from
    its first checkpoint: how long it takes to that is the machine's affair.
    """
    before = checkpoint_of(run)
    command = words("--resume" if before else "--out", run)
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while checkpointed and child.poll() is None and checkpoint_of(run) == before:
        time.sleep(0.001)
    try:
        _, stderr = child.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return True
    assert child.returncode == 0, stderr
    return False


def main():
    (HERE / "net.bn").write_text(MODEL)
    draw = np.random.default_rng(3)
    y = draw.integers(0, 3, 250).astype(np.int32)
    x = (draw.normal(size=(250, 6, 6, 1)) + 0.35 * y.reshape(-1, 1, 1, 1)).astype(np.float32)
    np.savez(HERE / "data.npz", x=x, y=y)

    whole = HERE / "whole"
    start = time.monotonic()
    succeed(*words("--out", whole))
    longest = (time.monotonic() - start) / 2
    check_events(whole)
    moment = random.Random(11)
    kills = resumed = runs = 0
    while kills < KILLS or resumed < KILLS / 2:
        run = HERE / f"run{runs}"
        runs += 1
        for _ in range(KILLS_PER_RUN):
            resumed += checkpoint_of(run) is not None
            if not killed(run, moment.uniform(0, longest), checkpointed=moment.random() < 0.75):
                longest *= 0.5
                break
            kills += 1
        else:
            resumed += checkpoint_of(run) is not None
            succeed(*words("--resume" if checkpoint_of(run) else "--out", run))
        check_same(run, whole)
        check_events(run)
    print(f"{kills} kills in {runs} runs, {resumed} of them resumed; all ended in the same bits")
    shutil.rmtree(HERE)


if __name__ == "__main__":
    main()
