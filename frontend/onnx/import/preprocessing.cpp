#include "frontend/onnx/import/preprocessing.h"

#include <optional>

#include "ir/builder.h"

namespace bnc::onnx {

namespace {

// A number, or one for each channel, that the file has.
std::optional<std::vector<float>> numbers_of(const Value& value, const Weights& weights) {
  const Shape& shape = value.type().shape;
  if (shape.size() > 1) return std::nullopt;
  if (value.node->is("constant")) {
    std::vector<float> numbers;
    for (const double number : value.node->attribute("value").numbers()) numbers.push_back(static_cast<float>(number));
    return numbers;
  }
  const Weight* weight = weights.find(value.name());
  if (!weight) return std::nullopt;
  return std::vector<float>(weight->data.begin(), weight->data.end());
}

bool is_input(const Value& value) {
  return value.node->is("input") || (value.node->is("transpose") && value.node->operands[0].node->is("input"));
}

// The only node that reads the value, if it is of one of the ops and reads it first.
Node* reader(const Uses& uses, Value value, std::initializer_list<const char*> ops) {
  const auto& readers = uses.of(value);
  if (readers.size() != 1 || uses.count(value) != 1 || readers[0]->operands.size() != 2 || readers[0]->operands[0] != value) return nullptr;
  for (const char* op : ops)
    if (readers[0]->is(op)) return readers[0];
  return nullptr;
}

}  // namespace

void name_preprocessing(Graph& graph, Weights& weights) {
  const Uses uses(graph);
  for (Node* input : graph.nodes_of("input")) {
    Value x = input->result();
    while (uses.count(x) == 1 && uses.of(x).size() == 1 && uses.of(x)[0]->is("transpose") && is_input(uses.of(x)[0]->result()))
      x = uses.of(x)[0]->result();
    Node* first = reader(uses, x, {"sub", "add"});
    if (!first) continue;
    Node* second = reader(uses, first->result(), {"div", "mul"});
    if (!second) continue;
    auto offset = numbers_of(first->operands[1], weights), scale = numbers_of(second->operands[1], weights);
    if (!offset || !scale || offset->empty() || scale->empty()) continue;
    if (first->is("add"))
      for (float& number : *offset) number = -number;
    if (second->is("mul"))
      for (float& number : *scale) number = 1 / number;
    const size_t count = std::max(offset->size(), scale->size());
    if ((offset->size() != 1 && offset->size() != count) || (scale->size() != 1 && scale->size() != count)) continue;
    const Dim channels = x.type().shape.empty() ? Dim{} : x.type().shape.back();
    if (count > 1 && channels != Dim{static_cast<int64_t>(count), false}) continue;
    offset->resize(count, offset->front());
    scale->resize(count, scale->front());
    GraphBuilder build = GraphBuilder::before(graph, first);
    TensorType type{DType::f32, {}};
    if (count > 1) type.shape.push_back(channels);
    const std::vector<int64_t> dims = concrete(type.shape, 1);
    const Value offsets = build.state(graph.fresh_name("offset"), type, {"zeros", {}}),
                scales = build.state(graph.fresh_name("scale"), type, {"ones", {}});
    weights.set(offsets.name(), Weight::owned(dims, std::move(*offset)));
    weights.set(scales.name(), Weight::owned(dims, std::move(*scale)));
    graph.replace_all_uses(second->result(), build.value("preprocess", {x, offsets, scales}, {{"method", "given"}}));
  }
}

}  // namespace bnc::onnx
