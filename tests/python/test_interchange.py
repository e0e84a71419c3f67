"""Networks of ONNX files and of PyTorch; skipped where those are not installed."""
import numpy as np
import pytest

bnc = pytest.importorskip("bnc")


def small_model():
    """relu(x * w + b), and its weights."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper
    generator = np.random.default_rng(0)
    w, b = generator.standard_normal((3, 4)).astype(np.float32), generator.standard_normal(4).astype(np.float32)
    graph = helper.make_graph([helper.make_node("Gemm", ["x", "w", "b"], ["h"]), helper.make_node("Relu", ["h"], ["y"])], "small",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
                              [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString(), w, b


def test_onnx_bytes_and_files(tmp_path):
    data, w, b = small_model()
    x = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    (tmp_path / "small.onnx").write_bytes(data)
    for given in (data, tmp_path / "small.onnx"):
        network, weights = bnc.from_onnx(given)
        np.testing.assert_allclose(network.compile(weights)(x), np.maximum(x @ w + b, 0), rtol=1e-5, atol=1e-6)
        assert "relu(dense(x, 4))" in network.source
        (tmp_path / "small.bn").write_text(network.source)
        assert bnc.load(tmp_path / "small.bn").source == network.source


def test_what_is_no_model_is_an_error(tmp_path):
    for given in (b"no model", tmp_path / "nowhere.onnx"):
        with pytest.raises(bnc.Error):
            bnc.from_onnx(given)


def test_a_torch_module():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 16, bias=False), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    module(torch.randn(50, 6) * 3 + 1)   # statistics that are not those of the beginning
    module.train()
    network, weights = bnc.from_torch(module, torch.zeros(2, 6))
    assert module.training
    x = torch.randn(7, 6)
    expected = module.eval()(x).detach().numpy()
    np.testing.assert_allclose(network.compile(weights)(x), expected, rtol=1e-4, atol=1e-5)
    assert len(network.explain(weights).batch_norms) == 1


def test_torch_images_keep_their_layout():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),
                                 torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(8 * 4 * 4, 5)).eval()
    network, weights = bnc.from_torch(module, torch.zeros(1, 3, 8, 8))
    x = torch.randn(4, 3, 8, 8)
    np.testing.assert_allclose(network.compile(weights)(x), module(x).detach().numpy(), rtol=1e-4, atol=1e-5)
