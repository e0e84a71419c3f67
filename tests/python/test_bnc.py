"""The Python package, as programs use it. Skipped where it is not built."""
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

bnc = pytest.importorskip("bnc")

ROOT = pathlib.Path(__file__).resolve().parents[2]
MLP = ROOT / "examples/mnist_mlp.bn"
TWO = """network two(a: f32[N, 3], b: f32[N, 2]) {
  s = sigmoid(dense(a, 4))
  return s, t = dense(concat(s, b, axis=1), 2)
}
"""
SMALL = """network small(x: f32[N, 2]) {
  return dense(relu(batch_norm(dense(x, 8, bias=false))), 2)
}

train small {
  loss      = softmax_cross_entropy(labels)
  optimizer = adam(rate=0.02)
  batch     = 20
  epochs    = 3
}
"""


def moons(count=200, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((count, 2)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] > 0).astype(np.int64)


def by_hand(weights, x):
    """The small network, in float64."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    h = x @ weights["dense_1.weight"]
    h = (h - weights["batch_norm_1.mean"]) / np.sqrt(weights["batch_norm_1.variance"] + 1e-5)
    h = np.maximum(h * weights["batch_norm_1.gamma"] + weights["batch_norm_1.beta"], 0)
    return h @ weights["dense_2.weight"] + weights["dense_2.bias"]


def test_three_lines_to_a_prediction(tmp_path):
    bnc.save_weights(tmp_path / "w.safetensors", bnc.load(MLP).initialize(3))
    program = bnc.load(MLP).compile(weights=tmp_path / "w.safetensors")
    y = program(np.random.default_rng(1).random((5, 784), np.float32))
    assert y.shape == (5, 10) and y.dtype == np.float32 and np.isfinite(y).all()


def test_a_program_computes_what_the_network_says():
    network = bnc.Network(SMALL)
    weights = network.initialize(5)
    weights["batch_norm_1.mean"][:] = 0.25
    weights["batch_norm_1.variance"][:] = 2
    x = moons(7)[0]
    program = network.compile(weights)
    np.testing.assert_allclose(program(x), by_hand(weights, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(program(x[:2]), by_hand(weights, x[:2]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(program(x=x), by_hand(weights, x), rtol=1e-5, atol=1e-6)


def test_out_is_written_and_returned():
    program = bnc.Network(SMALL).compile(batch=3)
    x = moons(3)[0]
    y = np.full((3, 2), np.nan, np.float32)
    assert program(x, out=y) is y
    np.testing.assert_array_equal(y, program(x))
    for wrong in (np.empty((3, 2)), np.empty((2, 2), np.float32), np.empty((3, 4), np.float32)[:, ::2], [0.0]):
        with pytest.raises(bnc.Error, match="out"):
            program(x, out=wrong)
    frozen = y.copy()
    frozen.flags.writeable = False
    with pytest.raises(bnc.Error, match="written"):
        program(x, out=frozen)


def test_an_output_may_not_overlap_an_input():
    network = bnc.Network("network same(x: f32[N, 4]) { return y = relu(x) }")
    program = network.compile(batch=2)
    x = np.ones((2, 4), np.float32)
    with pytest.raises(bnc.Error, match="overlaps"):
        program(x, out=x)


def test_several_inputs_and_outputs_go_by_name():
    program = bnc.Network(TWO).compile()
    a, b = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)
    found = program(a, b)
    assert list(found) == ["s", "t"] and found["s"].shape == (4, 4) and found["t"].shape == (4, 2)
    again = program(b=b, a=a)
    np.testing.assert_array_equal(found["t"], again["t"])
    out = {"s": np.empty((4, 4), np.float32), "t": np.empty((4, 2), np.float32)}
    assert program(a, b, out=out) is out
    np.testing.assert_array_equal(out["t"], found["t"])
    with pytest.raises(bnc.Error, match="one batch size"):
        program(a, b[:3])
    for arguments, named in (((a,), {}), ((a, b, a), {}), ((a, b), {"c": a}), ((a,), {"a": a, "b": b})):
        with pytest.raises(TypeError):
            program(*arguments, **named)


def test_arrays_that_lie_otherwise_are_converted():
    program = bnc.Network(SMALL).compile()
    x = moons(6)[0]
    expected = program(x)
    wide = np.empty((6, 4), np.float32)
    wide[:, ::2] = x
    raw = np.empty(x.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    raw[:] = x
    for same in (x.astype(np.float64), np.asfortranarray(x), wide[:, ::2], x.astype(">f4"), x.tolist(), raw):
        np.testing.assert_array_equal(program(same), expected)
    np.testing.assert_array_equal(program(np.ones((6, 2), np.int64)), program(np.ones((6, 2), np.float32)))


@pytest.mark.parametrize("wrong, help", [(np.zeros((3, 2), np.uint8), "255"), (np.zeros(2, np.float32), "None"),
                                         (np.zeros((3, 3), np.float32), None), (np.zeros((0, 2), np.float32), None),
                                         (np.zeros((3, 2), complex), None), (np.array([["a", "b"]]), None)])
def test_arrays_that_do_not_fit_are_refused(wrong, help):
    program = bnc.Network(SMALL).compile()
    with pytest.raises(bnc.Error) as caught:
        program(wrong)
    assert "`x`" in caught.value.message
    assert help is None or help in caught.value.help


def test_a_fixed_batch_takes_no_other():
    with pytest.raises(bnc.Error, match="N = 4, but 3"):
        bnc.Network(SMALL).compile(batch=4)(moons(3)[0])


class Exporter:
    """What has __dlpack__ and is no array of numpy."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_is_understood():
    program = bnc.Network(SMALL).compile()
    x = moons(6)[0]
    np.testing.assert_array_equal(program(Exporter(x)), program(x))


def test_torch_tensors_are_understood():
    torch = pytest.importorskip("torch")
    program = bnc.Network(SMALL).compile()
    x = moons(6)[0]
    np.testing.assert_array_equal(program(torch.from_numpy(x.copy())), program(x))


def test_errors_know_place_and_advice():
    with pytest.raises(bnc.Error) as caught:
        bnc.Network("network a(x: f32[N, 3]) {\n  return relo(x)\n}\n", "a.bn")
    error = caught.value
    assert (error.file, error.line, error.column) == ("a.bn", 2, 10)
    assert "relo" in error.message and "relu" in error.help and error.source == "  return relo(x)"
    assert "^" in str(error)
    with pytest.raises(bnc.Error) as caught:
        bnc.load("nowhere.bn")
    assert "nowhere.bn" in str(caught.value)
    with pytest.raises(bnc.Error, match="dense_1.weight"):
        bnc.Network(SMALL).compile({})


def test_weights_keep_order_and_metadata(tmp_path):
    network = bnc.load(MLP)
    weights = network.initialize(1)
    assert list(weights) == [tensor.name for tensor in network.parameters]
    assert weights.metadata["bnc.network"] == "mnist_mlp"
    weights["dense_3.bias"] = np.arange(10)   # of another type
    bnc.save_weights(tmp_path / "w.safetensors", weights)
    loaded = bnc.load_weights(tmp_path / "w.safetensors")
    assert list(loaded) == list(weights) and loaded.metadata == weights.metadata
    for name, array in weights.items():
        np.testing.assert_array_equal(loaded[name], array)
    loaded["dense_3.bias"] += 1   # a copy of their own
    with pytest.raises(bnc.Error, match="bnc.targets"):
        bnc.save_weights(tmp_path / "w.safetensors", bnc.Weights(weights, metadata={"bnc.targets": "none"}))


def test_weights_of_another_network_are_warned_of():
    weights = bnc.Network(SMALL.replace("relu", "sigmoid")).initialize(1)
    with pytest.warns(UserWarning, match="small"):
        bnc.Network(SMALL).compile(weights)


def test_a_trainer_learns_as_the_command_does():
    network = bnc.Network(SMALL)
    x, labels = moons(20)
    trainer = network.trainer(seed=1)
    losses = [trainer.step(x, labels) for _ in range(60)]
    assert trainer.steps == 60 and losses[-1] < 0.7 * losses[0]
    assert trainer.history["loss"].tolist() == losses
    assert trainer.step(labels=labels, x=x) < losses[0]
    weights = trainer.weights
    assert np.mean(network.compile(weights)(x).argmax(1) == labels) > 0.8
    other = network.trainer(weights=weights)
    np.testing.assert_array_equal(other.weights["dense_1.weight"], weights["dense_1.weight"])
    other.weights = network.initialize(1)
    assert other.step(x, labels) == losses[0]


def test_a_trainer_gives_gradients():
    network = bnc.Network(SMALL)
    x, labels = moons(20)
    trainer = network.trainer(seed=1, gradients=True)
    trainer.step(x, labels)
    assert "grad/dense_2.bias" in trainer.readable
    scores = trainer.read("y") if "y" in trainer.readable else trainer.read(network.outputs[0].name)
    odds = np.exp(scores - scores.max(1, keepdims=True))
    expected = (odds / odds.sum(1, keepdims=True) - np.eye(2)[labels]).mean(0)
    np.testing.assert_allclose(trainer.read("grad/dense_2.bias"), expected, atol=1e-6)


@pytest.mark.parametrize("labels", [np.full(20, 2), np.full(20, -1), np.zeros(20), np.zeros(19, int), np.full(20, 2**33)])
def test_wrong_labels_are_refused(labels):
    with pytest.raises(bnc.Error, match="labels"):
        bnc.Network(SMALL).trainer(seed=1).step(moons(20)[0], labels)


def test_training_on_arrays_is_watched(tmp_path):
    network = bnc.Network(SMALL)
    x, labels = moons(400)
    seen = []
    result = bnc.train(network, (x, labels), test=moons(100, 1), epochs=5, seed=2, out=tmp_path / "run",
                       callback=lambda progress: seen.append((progress.epoch, progress.loss)))
    assert result.steps == 100 and not result.stopped and seen[-1][0] == 5
    assert len(result.history) == 100 and result.history["test_accuracy"][-1] == result.test["accuracy"]
    assert (tmp_path / "run/report.html").exists() and result.out == tmp_path / "run"
    tested, expected = moons(100, 1)
    predicted = network.compile(result.weights)(tested).argmax(1)
    assert np.mean(predicted == expected) == pytest.approx(result.test["accuracy"])
    again = bnc.train(network, {"x": x, "y": labels}, epochs=5, seed=2, weights=network.initialize(2))
    np.testing.assert_array_equal(again.weights["dense_1.weight"], result.weights["dense_1.weight"])
    assert again.out is None


def test_a_callback_may_end_a_run():
    data = moons(400)
    result = bnc.train(bnc.Network(SMALL), data, epochs=50, callback=lambda progress: progress.step < 30, callback_seconds=0)
    assert result.stopped and 30 <= result.steps < 60

    def fail(progress):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        bnc.train(bnc.Network(SMALL), data, epochs=5, callback=fail)


def test_divergence_is_an_error_of_its_own():
    with pytest.raises(bnc.DivergenceError) as caught:
        bnc.train(bnc.Network(SMALL.replace("adam(rate=0.02)", "sgd(rate=1e30)")), moons(400))
    assert caught.value.step > 0 and caught.value.tensor and isinstance(caught.value, bnc.Error)


def test_explain_and_verify():
    network = bnc.load(MLP)
    weights = network.initialize(1)
    found = network.explain(weights)
    assert found.folded and len(found.batch_norms) == 2 and found.flops_after < found.flops_before
    assert "folded into" in str(found) and "<table>" in found._repr_html_()
    assert network.explain().predicted_difference is None
    check = network.verify(weights)
    assert check and check.passed and check.worst < 1e-4 and "<table>" in check._repr_html_()
    assert str(check).count(" ok") == len(check.layers)
    assert not network.verify(weights, bound=1e-30, inputs={"x": np.ones((2, 784))})
    assert "&lt;" in bnc.Explanation([bnc.Entry("bias", "<b>", "", "", False, "")], [], [], 0, 0, 0, 0, 0, 0, None, None)._repr_html_()


def test_history_shows_a_curve():
    trainer = bnc.Network(SMALL).trainer(seed=1)
    assert "no steps" in trainer._repr_html_()
    for _ in range(3):
        trainer.step(*moons(20))
    assert "<polyline" in trainer.history._repr_html_()


def test_an_object_file_computes_the_same(tmp_path):
    network = bnc.Network(SMALL)
    weights = network.initialize(4)
    network.to_object(tmp_path / "m.o", weights, header=tmp_path / "m.h", name="model")
    assert "model_infer" in (tmp_path / "m.h").read_text()
    (tmp_path / "main.c").write_text("""#include <stdio.h>
#include <stdlib.h>
#include "m.h"
int main(void) {
  float x[4] = {0.5f, -1, 2, 0.25f}, y[4];
  if (model_infer(2, x, y, malloc(model_workspace_bytes(2)))) return 1;
  for (int k = 0; k < 4; ++k) printf("%a ", y[k]);
  return 0;
}
""")
    subprocess.run(["cc", "-o", tmp_path / "main", tmp_path / "main.c", tmp_path / "m.o", "-lm"], check=True)
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    found = np.array([float.fromhex(word) for word in printed.split()], np.float32).reshape(2, 2)
    np.testing.assert_array_equal(found, network.compile(weights)(np.array([[0.5, -1], [2, 0.25]], np.float32)))


def test_stages_are_text():
    network = bnc.Network(SMALL)
    assert bnc.Network(network.emit("graph")).outputs == network.outputs
    assert "vfmadd" in network.emit("asm", network.initialize(1), batch=8, cpu="haswell")
    with pytest.raises(bnc.Error, match="stage"):
        network.emit("tokens")


def test_threads_call_programs_at_the_same_time():
    network = bnc.load(MLP)
    weights = network.initialize(1)
    x = np.random.default_rng(0).random((64, 784), np.float32)
    shared = network.compile(weights, threads=1)
    expected = shared(x)
    wrong = []

    def work(program):
        for _ in range(50):
            if not np.array_equal(program(x), expected):
                wrong.append(program)

    for program_of in (lambda: shared, lambda: network.compile(weights, threads=1)):
        threads = [threading.Thread(target=work, args=(program_of(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_call_lets_other_threads_run():
    """While one thread computes, another one of Python goes on."""
    network = bnc.Network("network big(x: f32[N, 512]) {\n  h = x\n  repeat 12 { h = relu(dense(h, 512)) }\n  return h\n}\n")
    program = network.compile(threads=1)
    x = np.ones((1000, 512), np.float32)
    inside, seen = threading.Event(), []

    def call():
        inside.set()
        program(x)
        seen.append("done")

    thread = threading.Thread(target=call)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    inside.wait()
    turns = 0
    while not seen:
        turns += 1
    sys.setswitchinterval(interval)
    thread.join()
    assert turns > 1000


def test_help_reads_well():
    text = subprocess.run([sys.executable, "-c", "import bnc; help(bnc)"], capture_output=True, text=True, check=True).stdout
    for expected in ("Three lines to a prediction", "compile(self, weights", "trainer(self, weights", "class Error", "step(self, *arrays"):
        assert expected in text, expected
    for name in bnc.__all__:
        assert getattr(bnc, name).__doc__, name
