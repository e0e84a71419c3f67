#include "frontend/onnx/import/preprocessing.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

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

// What is subtracted and what divides then, as many numbers of each; `last` gives the result.
struct Preparation {
  Node* last;
  std::vector<float> offset, scale;
};

// (x - offset)/scale, or x*factor + addend, which is the same.
std::optional<Preparation> preparation_of(const Uses& uses, Value x, const Weights& weights) {
  Node* first = reader(uses, x, {"sub", "add", "div", "mul"});
  if (!first) return std::nullopt;
  const bool shifts_first = first->is("sub") || first->is("add");
  Node* second = shifts_first ? reader(uses, first->result(), {"div", "mul"}) : reader(uses, first->result(), {"sub", "add"});
  if (!second) return std::nullopt;
  const Node &shift = shifts_first ? *first : *second, &factor = shifts_first ? *second : *first;
  auto offset = numbers_of(shift.operands[1], weights), scale = numbers_of(factor.operands[1], weights);
  if (!offset || !scale || offset->empty() || scale->empty()) return std::nullopt;
  const size_t count = std::max(offset->size(), scale->size());
  if ((offset->size() != 1 && offset->size() != count) || (scale->size() != 1 && scale->size() != count)) return std::nullopt;
  offset->resize(count, offset->front());
  scale->resize(count, scale->front());
  for (size_t k = 0; k < count; ++k) {
    const double subtracted = shift.is("add") ? -(*offset)[k] : (*offset)[k];
    const double divisor = factor.is("mul") ? 1 / static_cast<double>((*scale)[k]) : (*scale)[k];
    (*offset)[k] = static_cast<float>(shifts_first ? subtracted : subtracted * divisor);
    (*scale)[k] = static_cast<float>(divisor);
    if (!std::isfinite((*offset)[k]) || !std::isfinite((*scale)[k])) return std::nullopt;
  }
  return Preparation{second, *std::move(offset), *std::move(scale)};
}

}  // namespace

void name_preprocessing(Importer& importer) {
  Graph& graph = importer.graph;
  Weights& weights = importer.weights;
  const Uses uses(graph);
  for (Node* input : graph.nodes_of("input")) {
    Value x = input->result();
    while (uses.count(x) == 1 && uses.of(x).size() == 1 && uses.of(x)[0]->is("transpose") && is_input(uses.of(x)[0]->result()))
      x = uses.of(x)[0]->result();
    std::optional<Preparation> found = preparation_of(uses, x, weights);
    if (!found) continue;
    auto& [last, offset, scale] = *found;
    const size_t count = offset.size();
    const Dim channels = x.type().shape.empty() ? Dim{} : x.type().shape.back();
    if (count > 1 && channels != Dim{static_cast<int64_t>(count), false}) continue;
    if (x.type().rank() == 4 && *std::min_element(scale.begin(), scale.end()) >= 32)
      importer.note(fmt::format("the model takes images of numbers up to 255, while those of bnc's data sets reach 1: for these, multiply"
                                " by 255 in front, `preprocess({} * 255, ...)`", input->results[0].name));
    GraphBuilder build = GraphBuilder::before(graph, last);
    TensorType type{DType::f32, {}};
    if (count > 1) type.shape.push_back(channels);
    const std::vector<int64_t> dims = concrete(type.shape, 1);
    const Value offsets = build.state(graph.fresh_name("offset"), type, {"zeros", {}}),
                scales = build.state(graph.fresh_name("scale"), type, {"ones", {}});
    weights.set(offsets.name(), Weight::owned(dims, std::move(offset)));
    weights.set(scales.name(), Weight::owned(dims, std::move(scale)));
    graph.replace_all_uses(last->result(), build.value("preprocess", {x, offsets, scales}, {{"method", "given"}}));
  }
}

}  // namespace bnc::onnx
