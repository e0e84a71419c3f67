// A model that bnc wrote comes back as the network that it holds, while it is still what bnc wrote.
#include <doctest/doctest.h>

#include "frontend/frontend.h"
#include "ir/evaluate.h"
#include "support/round_trip.h"

namespace bnc {

namespace {

// Ops that ONNX does not have, a batch norm that counts its steps, dense rows behind an image.
constexpr const char* held_source = R"(
network net(x: f32[N, 6, 6, 3]) {
  h = relu(batch_norm(conv2d(standardize(x), 4, 3, bias=false), stats=cumulative))
  return y = dense(flatten(interpolate(h, axis=1, size=4, mode=bilinear)), 5)
}
)";

struct HeldNetwork {
  Graph graph = parse_module(make_source(held_source)).main().clone();
  Weights weights = initial_weights(graph, 7);
  OnnxModel model = test::written_and_read(export_onnx(graph, weights, "test").model);
};

}  // namespace

TEST_CASE("onnx: a network comes back with ops that ONNX does not have") {
  const HeldNetwork net;
  const OnnxImport back = import_onnx(net.model);
  CHECK(test::written_hash(back.graph) == test::written_hash(net.graph));
  CHECK(back.graph.nodes_of("standardize").size() == 1);
  CHECK(back.notes == std::vector<std::string>{"it is the network that bnc wrote the model from, which the file holds"});
  for (const auto& [name, weight] : net.weights.entries())
    CHECK_MESSAGE(back.weights.find(name), name);
}

TEST_CASE("onnx: weights that were changed in the model are the network's, wherever they are stored") {
  HeldNetwork net;
  std::vector<float> changed;
  OnnxTensor* kernel = nullptr;
  for (OnnxTensor& tensor : net.model.graph.initializers)
    if (tensor.dims == std::vector<int64_t>{4, 3, 3, 3}) kernel = &tensor;
  REQUIRE(kernel);
  for (size_t k = 0; k < 108; ++k) changed.push_back(static_cast<float>(k));
  kernel->bytes = {reinterpret_cast<const char*>(changed.data()), changed.size() * sizeof(float)};
  const auto held = embedded_network(net.model);
  REQUIRE(held);
  // [out, in, height, width] in the model, [height, width, in, out] in the network.
  const Weight* weight = held->weights.find("conv_1.weight");
  REQUIRE(weight);
  CHECK(weight->dims == std::vector<int64_t>{3, 3, 3, 4});
  CHECK(weight->data[0] == 0);
  CHECK(weight->data[1] == 27);
  CHECK(weight->data[4] == 9);
  CHECK(weight->data[12] == 1);
}

TEST_CASE("onnx: a model that was changed is read by its nodes") {
  const auto is_refused = [](const std::function<void(OnnxModel&)>& change) {
    HeldNetwork net;
    REQUIRE(embedded_network(net.model));
    change(net.model);
    return !embedded_network(net.model).has_value();
  };
  const auto replaced = [](OnnxModel& model, const std::string& from, const std::string& to) {
    std::string& text = model.metadata.at(embedded_network_key);
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  };
  CHECK(is_refused([](OnnxModel& model) { model.graph.nodes.back().op_type = "Relu"; }));
  CHECK(is_refused([](OnnxModel& model) { model.graph.nodes.pop_back(); }));
  CHECK(is_refused([](OnnxModel& model) { model.graph.inputs[0].dims->at(1).size = 7; }));
  CHECK(is_refused([](OnnxModel& model) { model.graph.outputs[0].name = "other"; }));
  CHECK(is_refused([](OnnxModel& model) { model.graph.initializers.pop_back(); }));
  CHECK(is_refused([](OnnxModel& model) { model.opsets[""] = 18; }));
  CHECK(is_refused([](OnnxModel& model) { model.graph.nodes[0].attributes["more"] = int64_t{1}; }));
  CHECK(is_refused([&](OnnxModel& model) { replaced(model, "relu(", "gelu("); }));
  CHECK(is_refused([&](OnnxModel& model) { replaced(model, "network net(", "network net(("); }));
  CHECK(is_refused([&](OnnxModel& model) { replaced(model, "f32[3, 3, 3, 4]", "f32[3, 3, 3, 4000000000]"); }));
  CHECK(is_refused([](OnnxModel& model) { model.metadata.clear(); }));
  // A constant of the model that is no weight.
  CHECK(is_refused([](OnnxModel& model) {
    static const std::vector<char> zeros(1 << 12, 0);
    for (OnnxTensor& tensor : model.graph.initializers)
      if (tensor.name.ends_with("/numbers") || tensor.name.ends_with("/floats")) tensor.bytes = {zeros.data(), tensor.bytes.size()};
  }));
}

TEST_CASE("onnx: a network that is large in text is not held") {
  const std::string long_name(250, 'h');
  std::string text = fmt::format("network net({}: f32[N, 4]) {{\n", long_name);
  for (int k = 0; k < 2400; ++k) text += fmt::format("  {0} = relu({0})\n", long_name);
  const Graph graph = parse_module(make_source(text + fmt::format("  return {}\n}}\n", long_name))).main().clone();
  CHECK_FALSE(export_onnx(graph, {}, "test").model.metadata.contains(embedded_network_key));
}

}  // namespace bnc
