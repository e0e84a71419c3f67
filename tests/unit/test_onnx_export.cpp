// Models of ONNX that are written: the file as it was made, and what the layers of a network become in it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "bnc/bnc.h"
#include "frontend/onnx/export.h"
#include "frontend/onnx/onnx_writer.h"
#include "ir/evaluate.h"
#include "runtime/weight_store.h"
#include "support/files.h"
#include "support/frontend.h"

namespace bnc {

namespace {

using namespace bnc::test;
using Integers = std::vector<int64_t>;

OnnxTensor float_tensor_of(const std::string& name, const Integers& dims, const std::vector<float>& values) {
  const auto owner = std::make_shared<const std::string>(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return {.name = name, .type = OnnxType::f32, .dims = dims, .bytes = *owner, .owner = owner};
}

// The model of `network f(INPUTS) { BODY }` with fresh weights, written and read again.
struct ExportedNetwork {
  Graph graph;
  Weights weights;
  OnnxModel model;
  std::vector<std::string> notes;

  explicit ExportedNetwork(const std::string& body, const std::string& inputs = "x: f32[N, 4]")
      : graph(graph_of_body(body, inputs)), weights(initial_weights(graph, 1)) {
    OnnxExport exported = export_onnx(graph, weights, "1.2");
    notes = exported.notes;
    model = parse_onnx(write_onnx(exported.model), "m.onnx");
  }

  std::string ops() const {
    std::string names;
    for (const OnnxNode& node : model.graph.nodes) names += (names.empty() ? "" : " ") + node.op_type;
    return names;
  }
  const OnnxNode& node(const std::string& op) const {
    const auto& nodes = model.graph.nodes;
    const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const OnnxNode& node) { return node.op_type == op; });
    REQUIRE(found != nodes.end());
    return *found;
  }
  const OnnxTensor& weight(const std::string& op, size_t operand) const {
    const OnnxTensor* tensor = model.graph.initializer(node(op).inputs.at(operand));
    REQUIRE(tensor);
    return *tensor;
  }
};

std::string dims_of(const OnnxValue& value) {
  std::string text = value.name;
  for (const OnnxDim& dim : *value.dims) text += " " + (dim.size ? std::to_string(*dim.size) : dim.symbol);
  return text;
}

}  // namespace

TEST_CASE("onnx export: a file holds what was written, and the same model gives the same bytes") {
  OnnxModel model{.ir_version = 8, .producer = "bnc", .producer_version = "1.2"};
  model.opsets = {{"", 17}, {"ai.onnx.ml", 3}};
  model.metadata = {{"classes", "cat\ndog"}, {"a", ""}};
  OnnxGraph& graph = model.graph;
  graph.name = "net";
  graph.inputs = {{.name = "x", .type = OnnxType::f32, .dims = std::vector<OnnxDim>{{.size = {}, .symbol = "N"}, {.size = 2}, {}}},
                  {.name = "i", .type = OnnxType::i32, .dims = std::vector<OnnxDim>()}};
  graph.outputs = {{.name = "y", .type = OnnxType::f32}};
  graph.initializers = {float_tensor_of("w", {2, 1}, {1.5f, -2})};
  graph.nodes.push_back({.op_type = "Some", .domain = "ai.onnx.ml", .name = "first", .inputs = {"x", "", "w"}, .outputs = {"h", ""}});
  graph.nodes.back().attributes = {{"f", 0.5f}, {"i", int64_t{-3}}, {"s", std::string("text")}, {"t", float_tensor_of("", {}, {7})},
                                   {"fs", std::vector<float>{1, 2}}, {"is", Integers{-1, 5}}, {"ss", std::vector<std::string>{"a", ""}},
                                   {"ts", std::vector<OnnxTensor>{float_tensor_of("one", {1}, {1})}}};
  graph.nodes.push_back({.op_type = "Relu", .inputs = {"h"}, .outputs = {"y"}});
  const std::string bytes = write_onnx(model);
  CHECK(bytes == write_onnx(model));

  const OnnxModel read = parse_onnx(bytes, "m.onnx");
  CHECK(read.ir_version == 8);
  CHECK(read.producer + read.producer_version == "bnc1.2");
  CHECK(read.opsets == model.opsets);
  CHECK(read.metadata == model.metadata);
  CHECK(read.graph.name == "net");
  REQUIRE(read.graph.inputs.size() == 2);
  CHECK(dims_of(read.graph.inputs[0]) == "x N 2 ");
  CHECK(read.graph.inputs[1].type == OnnxType::i32);
  CHECK(read.graph.inputs[1].dims->empty());
  CHECK_FALSE(read.graph.outputs[0].dims);
  CHECK(read.graph.initializer("w")->dims == Integers{2, 1});
  CHECK(read.graph.initializer("w")->floats() == std::vector<float>{1.5f, -2});
  REQUIRE(read.graph.nodes.size() == 2);
  const OnnxNode& node = read.graph.nodes[0];
  CHECK(node.domain + node.op_type + node.name == "ai.onnx.mlSomefirst");
  CHECK(node.inputs == graph.nodes[0].inputs);
  CHECK(node.outputs == graph.nodes[0].outputs);
  REQUIRE(node.attributes.size() == 8);
  CHECK(node.get<float>("f", 0) == 0.5f);
  CHECK(node.get<int64_t>("i", 0) == -3);
  CHECK(node.get<std::string>("s", "") == "text");
  CHECK(node.find<OnnxTensor>("t")->floats() == std::vector<float>{7});
  CHECK(*node.find<std::vector<float>>("fs") == std::vector<float>{1, 2});
  CHECK(*node.find<Integers>("is") == Integers{-1, 5});
  CHECK(*node.find<std::vector<std::string>>("ss") == std::vector<std::string>{"a", ""});
  CHECK(node.find<std::vector<OnnxTensor>>("ts")->at(0).floats() == std::vector<float>{1});
  CHECK(write_onnx(read) == bytes);
}

TEST_CASE("onnx export: a file of more than 2 GiB is refused") {
  OnnxModel model{.ir_version = 8};
  model.graph.name = "net";
  static const char byte = 0;
  OnnxTensor half{.name = "w", .type = OnnxType::u8, .dims = {int64_t{1} << 30}, .bytes = {&byte, size_t{1} << 30}};
  model.graph.initializers = {half, half};   // refused before anything is read
  CHECK(contains(message_of<CompileError>([&] { write_onnx(model); }), "network `net` takes 2.0 GiB as a file of ONNX"));
}

TEST_CASE("onnx export: a convolutional network is transposed once, at its input") {
  const std::string body =
      "h = relu(batch_norm(conv2d(x, 6, [3, 2], stride=2, bias=false), epsilon=1e-3, stats=ema(decay=0.75)))\n"
      "h = max_pool(h + conv2d(h, 6, 1), 2)\n h = dropout(flatten(h), rate=0.25)\n return scores = dense(h, 3)";
  const ExportedNetwork net(body, "x: f32[N, 9, 8, 2]");
  CHECK(net.ops() == "Transpose Conv BatchNormalization Relu Conv Add MaxPool Flatten Dropout Gemm");
  CHECK(net.model.opset() == exported_opset);
  CHECK(net.model.producer_version == "1.2");
  CHECK(dims_of(net.model.graph.inputs[0]) == "x N 9 8 2");
  CHECK(dims_of(net.model.graph.outputs[0]) == "scores N 3");
  CHECK(net.node("Conv").name == "conv_1");
  CHECK(net.node("BatchNormalization").name == "batch_norm_1");
  CHECK(net.weight("Conv", 1).name == "conv_1.weight");
  CHECK(net.weight("Conv", 1).dims == Integers{6, 2, 3, 2});
  // `same`: rows 9 -> 5 need 2 zeros, columns 8 -> 4 none.
  CHECK(*net.node("Conv").find<Integers>("pads") == Integers{1, 0, 1, 0});
  CHECK(net.node("BatchNormalization").get<float>("momentum", 0) == 0.75f);
  CHECK(net.node("BatchNormalization").get<float>("epsilon", 0) == 1e-3f);
  CHECK(net.notes.empty());

  // Rows of the dense layer: [2, 2, 6] there, [6, 2, 2] here.
  const Weight& dense = *net.weights.find("dense_1.weight");
  const OnnxTensor& gemm = net.weight("Gemm", 1);
  CHECK(net.node("Gemm").get<int64_t>("transB", 0) == 1);
  REQUIRE(dense.dims == Integers{24, 3});
  REQUIRE(gemm.dims == Integers{3, 24});
  const std::vector<float> written = gemm.floats();
  for (size_t unit = 0; unit < 3; ++unit)
    for (size_t channel = 0; channel < 6; ++channel)
      for (size_t pixel = 0; pixel < 4; ++pixel)
        CHECK(written[unit * 24 + channel * 4 + pixel] == dense.data[(pixel * 6 + channel) * 3 + unit]);
}

TEST_CASE("onnx export: images that come channels first are not transposed") {
  const ExportedNetwork net("return y = conv2d(x, 3, 3), z = x", "x: f32[N, 2, 6, 5] layout=nchw");
  CHECK(net.ops() == "Conv Transpose Transpose");   // both outputs are channels last
  CHECK(dims_of(net.model.graph.inputs[0]) == "x N 2 6 5");
  CHECK(dims_of(net.model.graph.outputs[0]) == "y N 6 5 3");
}

TEST_CASE("onnx export: a layer behind a flattened image of which others read rows keeps the network's order") {
  const ExportedNetwork net("h = flatten(max_pool(x, 2))\n return y = dense(h, 3), h = h", "x: f32[N, 4, 4, 2]");
  CHECK(net.ops() == "Transpose MaxPool Transpose Reshape Gemm");
}

TEST_CASE("onnx export: names of outputs") {
  const ExportedNetwork twice("h = relu(x)\n return a = h, b = h, c = x");
  CHECK(twice.ops() == "Relu Identity Identity");
  std::string names;
  for (const OnnxValue& output : twice.model.graph.outputs) names += output.name + " ";
  CHECK(names == "a b c ");
  const ExportedNetwork same("return x = relu(x)");
  REQUIRE(same.notes.size() == 1);
  CHECK(contains(same.notes[0], "output `x` is called `x_output`, because an input has its name"));
}

TEST_CASE("onnx export: sizes that depend on the batch") {
  const ExportedNetwork net("return y = reshape(x, [2*N, 2]), z = broadcast_to(reduce_sum(x), [N, 3]), n = element_count(x)");
  CHECK(dims_of(net.model.graph.outputs[0]) == "y 2*N 2");
  CHECK(net.weight("Reshape", 1).integers() == Integers{-1, 2});
  CHECK(net.node("Shape").inputs[0] == "x");
}

TEST_CASE("onnx export: what ONNX cannot say is one error with every node") {
  const std::string schedule = "learning_rate(t, schedule=cosine(start=0.1, steps=1000000000))";
  const std::string body = "return a = " + schedule + ", b = exp(" + schedule + ")";
  const std::string error = message_of<CompileError>([&] { ExportedNetwork(body, "t: i32[]"); });
  CHECK(contains(error, "network `f` cannot be said in ONNX: 2 of its nodes have no counterpart"));
  CHECK(contains(error, "test.bn:2:"));
  CHECK(contains(error, "`learning_rate` of `a`: it is there for training only"));
  CHECK(contains(error, "help: export a network without them"));
}

TEST_CASE("export: a state dictionary has PyTorch's words and layouts") {
  const Network network = Network::from_text(
      "network f(x: f32[N, 4, 2, 3]) {\n"
      "  h = prelu(batch_norm(conv2d(x, 6, [3, 1], groups=3), stats=cumulative))\n"
      "  h = layer_norm(conv2d_transpose(h, 2, 2, stride=2), axes=[1, 2, 3], beta=false)\n"
      "  y = dense(relu(batch_norm(flatten(h))), 5)\n"
      "  return y\n}\n");
  WeightStore weights = network.initialize(1);
  weights.set("batch_norm_1.count", {}, {7});
  const TemporaryFolder folder;
  const std::string bytes = export_state_dict(network, weights).bytes;
  CHECK(bytes == export_state_dict(network, weights).bytes);
  const WeightStore state = WeightStore::load(folder.write("s.safetensors", bytes));
  std::string names;
  for (const std::string& name : state.names()) {
    names += name + " ";
    for (const int64_t dim : state.dims(name)) names += std::to_string(dim) + " ";
  }
  CHECK(names ==
        "conv_1.weight 6 1 3 1 conv_1.bias 6 batch_norm_1.weight 6 batch_norm_1.bias 6 batch_norm_1.running_mean 6 "
        "batch_norm_1.running_var 6 prelu_1.weight 6 conv_transpose_1.weight 6 2 2 2 conv_transpose_1.bias 2 layer_norm_1.weight 2 8 4 "
        "batch_norm_2.weight 64 batch_norm_2.bias 64 batch_norm_2.running_mean 64 batch_norm_2.running_var 64 dense_1.weight 5 64 "
        "dense_1.bias 5 ");
  REQUIRE(state.data().others.size() == 2);
  CHECK(state.data().others[0].name == "batch_norm_1.num_batches_tracked");
  CHECK(state.data().others[0].dtype == "I64");
  CHECK(state.data().others[0].dims.empty());
  int64_t steps = 0;   // the first of the data
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  std::memcpy(&steps, bytes.data() + 8 + header, sizeof(steps));
  CHECK(steps == 7);

  // Behind the flattened image of [8, 4, 2] features are counted channels first.
  const auto ours = weights.values("dense_1.weight"), theirs = state.values("dense_1.weight");
  for (size_t unit = 0; unit < 5; ++unit)
    for (size_t channel = 0; channel < 2; ++channel)
      for (size_t pixel = 0; pixel < 32; ++pixel) CHECK(theirs[unit * 64 + channel * 32 + pixel] == ours[(pixel * 2 + channel) * 5 + unit]);
}

}  // namespace bnc
