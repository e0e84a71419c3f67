// ONNX models as networks: what is written, that it computes the same, and what cannot be imported.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "frontend/frontend.h"
#include "frontend/onnx/import.h"
#include "ir/diagnostic.h"
#include "ir/evaluate.h"
#include "support/files.h"
#include "support/onnx_bytes.h"

namespace bnc {

namespace {

using namespace bnc::test;
using namespace bnc::test::onnx;

std::string integers(const std::string& name, const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t value : values) text += integer(8, value);
  return attribute(name, 7, text);
}
std::string whole(const std::string& name, int64_t value) { return attribute(name, 2, integer(3, value)); }
std::string real(const std::string& name, float value) { return attribute(name, 1, "\x15" + raw<float>({value})); }
std::string integer_tensor(const std::string& name, const std::vector<int64_t>& values) {
  return raw_tensor(name, 7, {static_cast<int64_t>(values.size())}, raw(values));
}
// 1, 2, 3 .. times `scale`.
std::string counted(const std::string& name, const std::vector<int64_t>& dims, float scale = 1) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t k = 0; k < values.size(); ++k) values[k] = scale * static_cast<float>(k + 1);
  return float_tensor(name, dims, values);
}

OnnxImport imported(const GraphText& graph, const OnnxImportOptions& options = {}) {
  return import_onnx(parse_onnx(model(graph), "m.onnx"), options);
}

std::string import_error(const GraphText& graph, const OnnxImportOptions& options = {}) {
  return message_of<CompileError>([&] { imported(graph, options); });
}

Tensor tensor(std::vector<int64_t> dims, float scale = 1) {
  Tensor made = Tensor::filled(DType::f32, std::move(dims), 0);
  for (size_t k = 0; k < made.data.size(); ++k) made.data[k] = scale * std::sin(static_cast<double>(k));
  return made;
}

// The network's output `y` for `x`.
Tensor evaluated(const OnnxImport& network, const Tensor& x) {
  Bindings bindings{{"x", x}};
  for (const auto& [name, weight] : network.weights.entries()) bindings[name] = weight.to_tensor();
  return evaluate(network.graph, bindings).outputs.at("y");
}

bool has(const OnnxImport& network, const std::string& text) {
  if (!contains(network.source, text)) MESSAGE("the source is:\n" << network.source);
  return contains(network.source, text);
}

std::vector<std::string> image(int64_t channels, int64_t height, int64_t width) {
  return {symbol("N"), size(channels), size(height), size(width)};
}

}  // namespace

TEST_CASE("onnx import: a convolution is channels last, its input in the model's own layout") {
  const OnnxImport network =
      imported({.nodes = {node("Conv", "c", {"x", "w", "b"}, {"y"}, {integers("pads", {0, 0, 1, 0}), integers("strides", {2, 1})})},
                .initializers = {counted("w", {2, 3, 2, 1}), float_tensor("b", {2}, {10, 20})},
                .inputs = {value("x", image(3, 3, 2))},
                .outputs = {value("y", {})}});
  CHECK(has(network, "x: f32[N, 3, 3, 2] layout=nchw"));
  CHECK(has(network, "return conv2d(x, 2, [2, 1], stride=[2, 1]) layout=nchw"));
  const Weight* weight = network.weights.find("conv_1.weight");
  REQUIRE(weight);
  CHECK(weight->dims == std::vector<int64_t>{2, 1, 3, 2});
  CHECK(weight->data[1] == 7);   // [0, 0, 0, 1] here is [1, 0, 0, 0] there
  const Tensor x = tensor({1, 3, 3, 2}), y = evaluated(network, x);
  REQUIRE(y.dims == std::vector<int64_t>{1, 2, 2, 2});
  // Output [filter, row, column] by its definition.
  for (int64_t f = 0; f < 2; ++f)
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 2; ++j) {
        double sum = f ? 20 : 10;
        for (int64_t c = 0; c < 3; ++c)
          for (int64_t k = 0; k < 2; ++k)
            if (2 * i + k < 3)
              sum += x.data[static_cast<size_t>((c * 3 + 2 * i + k) * 2 + j)] * static_cast<double>((f * 3 + c) * 2 + k + 1);
        CHECK(y.data[static_cast<size_t>((f * 2 + i) * 2 + j)] == doctest::Approx(sum).epsilon(1e-6));
      }
}

TEST_CASE("onnx import: the rows of a dense layer behind an image stand in the order of its pixels") {
  const OnnxImport network =
      imported({.nodes = {node("Relu", "", {"x"}, {"r"}), node("MaxPool", "", {"r"}, {"h"}, {integers("kernel_shape", {1, 1})}),
                          node("Flatten", "", {"h"}, {"f"}), node("Gemm", "", {"f", "w", "b"}, {"y"}, {whole("transB", 1)})},
                .initializers = {counted("w", {4, 12}), counted("b", {4})},
                .inputs = {value("x", image(3, 2, 2))},
                .outputs = {value("y", {})}});
  CHECK_FALSE(contains(network.source, "transpose"));
  const Tensor x = tensor({2, 3, 2, 2}), y = evaluated(network, x);
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t u = 0; u < 4; ++u) {
      double sum = static_cast<double>(u + 1);
      for (int64_t k = 0; k < 12; ++k) sum += std::max(0.0, x.data[static_cast<size_t>(n * 12 + k)]) * static_cast<double>(u * 12 + k + 1);
      CHECK(y.data[static_cast<size_t>(n * 4 + u)] == doctest::Approx(sum).epsilon(1e-6));
    }
}

TEST_CASE("onnx import: a batch norm keeps epsilon and momentum; what is doubtful is told") {
  const std::vector<std::string> operands = {"x", "g", "b", "m", "v"};
  const auto with = [&](const std::vector<std::string>& attributes, float mean) {
    return GraphText{
        .nodes = {node("BatchNormalization", "bn", operands, {"y"}, attributes)},
        .initializers = {counted("g", {2}), counted("b", {2}), float_tensor("m", {2}, {mean, 0}), float_tensor("v", {2}, {1, 1})}};
  };
  const OnnxImport network = imported(with({real("epsilon", 1e-3f), real("momentum", 0.99f)}, 0.5));
  CHECK(has(network, "batch_norm(x, epsilon=0.001, stats=ema(decay=0.99))"));
  CHECK(network.notes.empty());
  CHECK(network.weights.find("batch_norm_1.mean")->data[0] == 0.5);
  const auto notes = [&](const GraphText& graph) {
    std::string all;
    for (const std::string& note : imported(graph).notes) all += note + "\n";
    return all;
  };
  CHECK(contains(notes(with({}, 0)), "never trained"));
  CHECK(contains(notes(with({real("momentum", 0.1f)}, 1)), "momentum of 0.1"));
  CHECK(contains(notes(with({whole("training_mode", 1)}, 1)), "training mode"));
}

TEST_CASE("onnx import: shapes computed from the input's own are known, the batch size among them") {
  const GraphText graph{
      .nodes = {node("Shape", "", {"x"}, {"s"}), node("Gather", "", {"s", "zero"}, {"n"}, {whole("axis", 0)}),
                node("Unsqueeze", "", {"n", "axes"}, {"n1"}), node("Concat", "", {"n1", "rest"}, {"shape"}, {whole("axis", 0)}),
                node("Reshape", "", {"x", "shape"}, {"y"})},
      .initializers = {raw_tensor("zero", 7, {}, raw<int64_t>({0})), integer_tensor("axes", {0}), integer_tensor("rest", {-1})},
      .inputs = {value("x", {symbol("N"), size(2), size(3)})},
      .outputs = {value("y", {})}};
  CHECK(has(imported(graph), "return reshape(x, [N, 6])"));
}

TEST_CASE("onnx import: a batch size that the file fixes becomes any, unless an op depends on it") {
  GraphText graph{.nodes = {node("Reshape", "", {"x", "shape"}, {"h"}), node("Relu", "", {"h"}, {"y"})},
                  .initializers = {integer_tensor("shape", {5, 6})},
                  .inputs = {value("x", {size(5), size(2), size(3)})},
                  .outputs = {value("y", {size(5), size(6)})}};
  CHECK(has(imported(graph), "relu(reshape(x, [N, 6]))"));
  CHECK(has(imported(graph, {.shapes = {}, .keep_batch = true}), "relu(reshape(x, [5, 6]))"));
  graph.nodes = {node("ReduceSum", "", {"x"}, {"y"}, {whole("keepdims", 0)})};
  graph.outputs = {value("y", {})};
  const OnnxImport kept = imported(graph);
  CHECK(has(kept, "x: f32[5, 2, 3]"));
  CHECK(contains(kept.notes.at(0), "stays 5"));
}

TEST_CASE("onnx import: sizes that the file leaves open are asked for") {
  const GraphText graph{
      .nodes = {node("Relu", "", {"x"}, {"y"})}, .initializers = {}, .inputs = {value("x", {symbol("N"), size(3), symbol("H")})}};
  CHECK(contains(import_error(graph), "`H`"));
  CHECK(contains(import_error(graph), "`--shape x=N,3,224`"));
  CHECK(has(imported(graph, {.shapes = {{"x", {-1, 3, 8}}}}), "x: f32[N, 3, 8]"));
}

TEST_CASE("onnx import: one error lists every node that cannot be imported, those alike together") {
  const GraphText graph{.nodes = {node("TopK", "first", {"x"}, {"a"}), node("TopK", "second", {"x"}, {"b"}), node("Relu", "", {"a"}, {"c"}),
                                  node("Det", "last", {"c"}, {"d"}), node("Add", "", {"d", "b"}, {"y"})}};
  const std::string error = import_error(graph);
  CHECK(contains(error, "m.onnx: 3 of 5 nodes cannot be imported"));
  CHECK(contains(error, "TopK node `first` and 1 more: bnc has no op for it"));
  CHECK(contains(error, "Det node `last`"));
}

TEST_CASE("onnx import: wrong models end in an error") {
  const auto refused = [](std::vector<std::string> nodes, std::vector<std::string> initializers = {}) {
    return import_error({.nodes = std::move(nodes), .initializers = std::move(initializers)});
  };
  CHECK(contains(refused({node("Relu", "", {}, {"y"})}), "operand 0 is missing"));
  CHECK(contains(refused({node("Conv", "", {"x", "w"}, {"y"})}, {counted("w", {1, 1})}), "its operands are"));
  CHECK(contains(refused({node("Reshape", "", {"x", "s"}, {"y"})}, {integer_tensor("s", {-1, -1})}), "two dimensions"));
  CHECK(contains(refused({node("Reshape", "", {"x", "s"}, {"y"})}, {integer_tensor("s", {int64_t{1} << 62, 1 << 30})}), "do not fit"));
  CHECK(contains(refused({node("Transpose", "", {"x"}, {"y"}, {integers("perm", {0, 0})})}), "named twice"));
  CHECK(contains(refused({node("Concat", "", {"x"}, {"y"}, {whole("axis", 9)})}), "axis 9"));
  CHECK(contains(
      refused({node("ConstantOfShape", "", {"s"}, {"c"}), node("Add", "", {"x", "c"}, {"y"})}, {integer_tensor("s", {int64_t{1} << 40})}),
      "too many elements"));
  CHECK(contains(refused({node("Split", "", {"x"}, {"y", "z"}, {whole("axis", 0)})}), "batch size"));
  CHECK(contains(refused({node("Gather", "", {"x", "i"}, {"y"}, {whole("axis", 1)})}, {integer_tensor("i", {7})}), "index 7"));
}

TEST_CASE("onnx import: weights that have no name of their own are not taken for one another") {
  const auto constant = [](const std::string& name, float scale) {
    return node("Constant", "", {}, {name}, {attribute("value", 4, bytes(5, counted("", {2, 2}, scale)))});
  };
  const GraphText graph{.nodes = {constant("v", 1), constant("w", 10), node("Gemm", "", {"x", "v"}, {"h"}, {whole("transB", 1)}),
                                  node("Gemm", "", {"h", "w"}, {"y"}, {whole("transB", 1), real("alpha", 0.5)})},
                        .initializers = {}};
  const Tensor y = evaluated(imported(graph), Tensor{DType::f32, {1, 2}, {1, 1}});
  CHECK(y.data == std::vector<double>{5 * (3 * 1 + 7 * 2), 5 * (3 * 3 + 7 * 4)});
}

TEST_CASE("onnx import: a shared weight with several factors has one copy for each") {
  const GraphText graph{.nodes = {node("Gemm", "", {"x", "w"}, {"h"}, {real("alpha", 0.5)}), node("Gemm", "", {"h", "w"}, {"i"}),
                                  node("Gemm", "", {"i", "w"}, {"y"}, {real("alpha", 4)})},
                        .initializers = {float_tensor("w", {2, 2}, {1, 0, 0, 3})}};
  CHECK(evaluated(imported(graph), Tensor{DType::f32, {1, 2}, {1, 1}}).data == std::vector<double>{2, 54});
}

TEST_CASE("onnx import: a bias of more dimensions than its layer adds them to the result") {
  const GraphText graph{.nodes = {node("Gemm", "", {"x", "w"}, {"h"}), node("Add", "", {"h", "b"}, {"y"})},
                        .initializers = {counted("w", {2, 2}), counted("b", {1, 1, 2})}};
  CHECK(evaluated(imported(graph), tensor({3, 2})).dims == std::vector<int64_t>{1, 3, 2});
}

TEST_CASE("onnx import: the batch size is a number to compute with") {
  const GraphText graph{.nodes = {node("Shape", "", {"x"}, {"s"}), node("Gather", "", {"s", "zero"}, {"n"}),
                                  node("Cast", "", {"n"}, {"f"}, {whole("to", 1)}), node("Div", "", {"x", "f"}, {"y"})},
                        .initializers = {raw_tensor("zero", 7, {}, raw<int64_t>({0}))}};
  const Tensor x = tensor({5, 2}), y = evaluated(imported(graph), x);
  for (size_t k = 0; k < x.data.size(); ++k) CHECK(y.data[k] == doctest::Approx(x.data[k] / 5));
}

TEST_CASE("onnx import: an empty slice of a shape joins the rest of it") {
  const GraphText graph{.nodes = {node("Shape", "", {"x"}, {"s"}), node("Slice", "", {"s", "zero", "zero"}, {"none"}),
                                  node("Concat", "", {"none", "all"}, {"shape"}, {whole("axis", 0)}),
                                  node("Reshape", "", {"x", "shape"}, {"y"})},
                        .initializers = {integer_tensor("zero", {0}), integer_tensor("all", {-1, 1, 2})}};
  CHECK(has(imported(graph), "reshape(x, [N, 1, 2])"));
}

TEST_CASE("onnx import: numbers that no model has end in an error") {
  constexpr int64_t huge = int64_t{1} << 62, least = std::numeric_limits<int64_t>::min();
  const auto refused = [](const std::string& op, std::vector<std::string> attributes, std::vector<int64_t> operand = {}) {
    std::vector<std::string> inputs = {"x"};
    if (!operand.empty()) inputs.push_back("o");
    return import_error({.nodes = {node(op, "", inputs, {"y"}, attributes)}, .initializers = {integer_tensor("o", operand)},
                         .inputs = {value("x", image(4, 4, 4))}});
  };
  CHECK(contains(refused("DepthToSpace", {whole("blocksize", int64_t{1} << 32)}), "`blocksize` is 4294967296"));
  CHECK(contains(refused("MaxPool", {integers("kernel_shape", {huge, huge})}), "`kernel_shape` is"));
  CHECK(contains(refused("MaxPool", {integers("kernel_shape", {1, 1}), integers("strides", {0, 1})}), "`strides` is 0"));
  CHECK(contains(refused("Pad", {}, {0, 0, least, 0, 0, 0, 0, 0}), "it pads by"));
  CHECK(contains(refused("Tile", {}, {1, huge, 1, 1}), "too large a dimension"));
  CHECK(contains(refused("Split", {whole("axis", 1), whole("num_outputs", huge)}), "`num_outputs` is"));
  CHECK(contains(refused("LRN", {whole("size", huge)}), "`size` is"));
}

TEST_CASE("onnx import: names that are no words are replaced, those that are stay") {
  const OnnxImport network = imported({.nodes = {node("Relu", "", {"input.1"}, {"17"}), node("Relu", "", {"17"}, {"18"})},
                                       .initializers = {},
                                       .inputs = {value("input.1", {symbol("N"), size(2)})},
                                       .outputs = {value("17", {}), value("18", {})}});
  CHECK(network.inputs.at(0) == std::pair<std::string, std::string>("input.1", "input_1"));
  CHECK(network.outputs.at(1) == std::pair<std::string, std::string>("18", "y_18"));
}

TEST_CASE("onnx import: an input that the model normalizes itself is preprocessed") {
  const OnnxImport network = imported(
      {.nodes = {node("Sub", "", {"x", "mean"}, {"h"}), node("Div", "", {"h", "deviation"}, {"n"}), node("Conv", "", {"n", "w"}, {"y"})},
       .initializers = {float_tensor("mean", {1, 2, 1, 1}, {0.5, 0.25}), float_tensor("deviation", {1, 2, 1, 1}, {2, 4}),
                        counted("w", {1, 2, 1, 1})},
       .inputs = {value("x", image(2, 2, 2))},
       .outputs = {value("y", {})}});
  CHECK(has(network, "preprocess(x, method=given, per=channel)"));
  const Tensor x = tensor({1, 2, 2, 2}), y = evaluated(network, x);
  for (size_t k = 0; k < 4; ++k) CHECK(y.data[k] == doctest::Approx((x.data[k] - 0.5) / 2 + 2 * (x.data[4 + k] - 0.25) / 4).epsilon(1e-6));
}

TEST_CASE("onnx import: an image that the model turns to channels first itself is channels last") {
  const auto scalar = [](const std::string& name, float number) { return raw_tensor(name, 1, {}, raw<float>({number})); };
  const GraphText graph{.nodes = {node("Mul", "", {"x", "factor"}, {"s"}), node("Add", "", {"s", "addend"}, {"p"}),
                                  node("Transpose", "", {"p"}, {"t"}, {integers("perm", {0, 3, 1, 2})}),
                                  node("Conv", "", {"t", "w"}, {"c"}),
                                  node("Transpose", "", {"c"}, {"y"}, {integers("perm", {0, 2, 3, 1})})},
                        .initializers = {scalar("factor", 1 / 127.5f), scalar("addend", -1), counted("w", {1, 2, 1, 1})},
                        .inputs = {value("x", {symbol("N"), size(2), size(3), size(2)})},
                        .outputs = {value("y", {})}};
  const OnnxImport network = imported(graph);
  CHECK(has(network, "x: f32[N, 2, 3, 2])"));
  CHECK(has(network, "preprocess(x, method=given)"));
  CHECK_FALSE(contains(network.source, "transpose"));
  CHECK(contains(network.notes.at(0), "`preprocess(x * 255, ...)`"));
  const Tensor x = tensor({1, 2, 3, 2}, 100), y = evaluated(network, x);
  for (size_t k = 0; k < 6; ++k)
    CHECK(y.data[k] == doctest::Approx((x.data[2 * k] / 127.5 - 1) + 2 * (x.data[2 * k + 1] / 127.5 - 1)).epsilon(1e-5));
}

TEST_CASE("onnx import: zeros around an image belong to the convolution behind them") {
  const GraphText graph{.nodes = {node("Pad", "", {"x", "pads"}, {"p"}),
                                  node("Conv", "", {"p", "w"}, {"y"}, {integers("strides", {2, 2}), integers("pads", {0, 1, 0, 0})})},
                        .initializers = {integer_tensor("pads", {0, 0, 0, 0, 0, 0, 1, 1}), counted("w", {1, 1, 3, 3})},
                        .inputs = {value("x", image(1, 5, 4))},
                        .outputs = {value("y", {})}};
  CHECK(has(imported(graph), "conv2d(x, 1, 3, stride=2, padding=[0, 1, 1, 1], bias=false)"));
  GraphText others = graph;   // numbers other than zeros stay
  others.nodes[0] = node("Pad", "", {"x", "pads", "one"}, {"p"});
  others.initializers.push_back(raw_tensor("one", 1, {}, raw<float>({1})));
  CHECK(has(imported(others), "pad("));
}

TEST_CASE("onnx import: padding that is `same` for all convolutions is not written") {
  const auto source = [](const std::vector<int64_t>& pads) {
    return imported({.nodes = {node("Conv", "", {"x", "w"}, {"h"}, {integers("pads", {1, 1, 1, 1})}),
                               node("Conv", "", {"h", "v"}, {"y"}, {integers("strides", {2, 2}), integers("pads", pads)})},
                     .initializers = {counted("w", {1, 1, 3, 3}), counted("v", {1, 1, 3, 3})},
                     .inputs = {value("x", image(1, 4, 6))},
                     .outputs = {value("y", {})}})
        .source;
  };
  CHECK_FALSE(contains(source({0, 0, 1, 1}), "padding"));
  CHECK(contains(source({1, 1, 0, 0}), "3, padding=1"));
  CHECK(contains(source({1, 1, 0, 0}), "padding=[1, 0, 1, 0]"));
}

TEST_CASE("onnx import: layer norms and GELUs in parts are ops again") {
  const auto scalar = [](const std::string& name, float number) { return raw_tensor(name, 1, {}, raw<float>({number})); };
  const auto mean = [](const std::string& of, const std::string& result) {
    return node("ReduceMean", "", {of}, {result}, {integers("axes", {-1}), whole("keepdims", 1)});
  };
  GraphText graph{.nodes = {mean("x", "m"), node("Sub", "", {"x", "m"}, {"d"}), node("Pow", "", {"d", "two"}, {"q"}), mean("q", "v"),
                            node("Add", "", {"v", "epsilon"}, {"u"}), node("Sqrt", "", {"u"}, {"s"}), node("Div", "", {"d", "s"}, {"n"}),
                            node("Mul", "", {"n", "g"}, {"k"}), node("Add", "", {"k", "b"}, {"h"}),
                            node("Div", "", {"h", "root"}, {"r"}), node("Erf", "", {"r"}, {"e"}), node("Add", "", {"e", "one"}, {"o"}),
                            node("Mul", "", {"h", "o"}, {"z"}), node("Mul", "", {"z", "half"}, {"y"})},
                  .initializers = {scalar("two", 2), scalar("epsilon", 1e-3f), counted("g", {4}), counted("b", {4}),
                                   scalar("root", 1.4142135f), scalar("one", 1), scalar("half", 0.5)},
                  .inputs = {value("x", {symbol("N"), size(3), size(4)})},
                  .outputs = {value("y", {})}};
  const OnnxImport network = imported(graph);
  CHECK(has(network, "gelu(layer_norm(x, epsilon=0.001))"));
  const Tensor x = tensor({1, 3, 4}), y = evaluated(network, x);
  for (size_t row = 0; row < 3; ++row) {
    double average = 0, variance = 0;
    for (size_t k = 0; k < 4; ++k) average += x.data[4 * row + k] / 4;
    for (size_t k = 0; k < 4; ++k) variance += std::pow(x.data[4 * row + k] - average, 2) / 4;
    for (size_t k = 0; k < 4; ++k) {
      const double h = ((x.data[4 * row + k] - average) / std::sqrt(variance + 1e-3) + 1) * static_cast<double>(k + 1);
      CHECK(y.data[4 * row + k] == doctest::Approx(h * (1 + std::erf(h / std::sqrt(2))) / 2).epsilon(1e-6));
    }
  }
  graph.nodes[13] = node("Mul", "", {"z", "two"}, {"y"});   // four times as much is no GELU
  CHECK(has(imported(graph), "erf("));
  graph.nodes[1] = node("Sub", "", {"m", "x"}, {"d"});      // nor is this the distance from the mean
  CHECK(has(imported(graph), "reduce_mean("));
}

TEST_CASE("onnx import: a model that its exporter named is called as its file, and tensors keep their names") {
  GraphText graph{.nodes = {node("Add", "", {"x", "vit.pos_embed"}, {"h"}), node("Relu", "", {"h"}, {"y"})},
                  .initializers = {counted("vit.pos_embed", {3, 4})},
                  .inputs = {value("x", {symbol("N"), size(3), size(4)})},
                  .outputs = {value("y", {})}};
  OnnxModel named = parse_onnx(model(graph), "folder/tiny-vit.onnx");
  named.graph.name = "main_graph";
  const OnnxImport network = import_onnx(named, {});
  CHECK(has(network, "network tiny_vit(x"));
  CHECK(has(network, "parameter pos_embed: f32[3, 4]"));
  named.graph.name = "classifier";
  CHECK(has(import_onnx(named, {}), "network classifier(x"));
}

TEST_CASE("onnx import: the text is in canonical layout") {
  const OnnxImport network = imported({.nodes = {node("Gemm", "", {"x", "w"}, {"y"})},
                                       .initializers = {counted("w", {4, 3})},
                                       .inputs = {value("x", {symbol("N"), size(4)})},
                                       .outputs = {value("y", {})}});
  CHECK(has(network, "train "));
  CHECK(format_source(make_source(network.source, "m.bn")) == network.source);
}

TEST_CASE("onnx import: queries, keys and values are parts of a row") {
  const auto index = [](const std::string& name, int64_t number) { return raw_tensor(name, 7, {}, raw<int64_t>({number})); };
  const OnnxImport network =
      imported({.nodes = {node("MatMul", "", {"x", "w"}, {"d"}), node("Reshape", "", {"d", "shape"}, {"r"}),
                          node("Gather", "", {"r", "zero"}, {"q"}, {whole("axis", 1)}),
                          node("Gather", "", {"r", "two"}, {"v"}, {whole("axis", 1)}), node("Sub", "", {"v", "q"}, {"y"})},
                .initializers = {counted("w", {1, 12}), integer_tensor("shape", {-1, 3, 2, 2}), index("zero", 0), index("two", 2)},
                .inputs = {value("x", {symbol("N"), size(1)})},
                .outputs = {value("y", {})}});
  CHECK(has(network, "slice(h, axis=1, begin=8, end=12), [N, 2, 2])"));
  const Tensor x = tensor({2, 1}, 3), y = evaluated(network, x);
  for (size_t k = 0; k < 8; ++k) CHECK(y.data[k] == doctest::Approx(8 * x.data[k / 4]).epsilon(1e-6));
}

}  // namespace bnc
