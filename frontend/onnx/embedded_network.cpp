#include "frontend/onnx/embedded_network.h"

#include <algorithm>

#include "frontend/frontend.h"
#include "frontend/onnx/export.h"
#include "ir/diagnostic.h"
#include "ir/evaluate.h"

namespace bnc {

namespace {

bool is_same(const OnnxTensor& a, const OnnxTensor& b) { return a.type == b.type && a.dims == b.dims && a.bytes == b.bytes; }

bool is_same(const OnnxAttribute& a, const OnnxAttribute& b) {
  if (a.index() != b.index()) return false;
  return std::visit([&](const auto& value) {
    using Value = std::decay_t<decltype(value)>;
    const Value& other = std::get<Value>(b);
    if constexpr (std::is_same_v<Value, OnnxTensor>) {
      return is_same(value, other);
    } else if constexpr (std::is_same_v<Value, std::vector<OnnxTensor>>) {
      return std::equal(value.begin(), value.end(), other.begin(), other.end(),
                        [](const OnnxTensor& x, const OnnxTensor& y) { return is_same(x, y); });
    } else {
      return value == other;
    }
  }, a);
}

bool is_same(const OnnxNode& a, const OnnxNode& b) {
  return a.op_type == b.op_type && a.domain == b.domain && a.unsupported == b.unsupported && a.inputs == b.inputs &&
         a.outputs == b.outputs &&
         std::equal(a.attributes.begin(), a.attributes.end(), b.attributes.begin(), b.attributes.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && is_same(x.second, y.second); });
}

bool is_same(const OnnxValue& a, const OnnxValue& b) {
  const auto is_same_dim = [](const OnnxDim& x, const OnnxDim& y) { return x.size == y.size && x.symbol == y.symbol; };
  return a.name == b.name && a.type == b.type && a.dims.has_value() == b.dims.has_value() &&
         (!a.dims || std::equal(a.dims->begin(), a.dims->end(), b.dims->begin(), b.dims->end(), is_same_dim));
}

template <class Elements>
bool are_same(const Elements& a, const Elements& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return is_same(x, y); });
}

// The elements of the largest matrix that takes an axis of one shape to that of the other.
double largest_matrix(const Shape& from, const Shape& to) {
  double largest = 0;
  for (size_t k = 0; k < std::min(from.size(), to.size()); ++k)
    largest = std::max(largest, static_cast<double>(from[k].factor) * static_cast<double>(to[k].factor));
  return largest;
}

// The elements of the parameters are in the file but for a few: what the text claims beyond them is not worth the memory. Of what a layer
// computes and of constants it may claim as much as networks have.
bool is_within_limits(const Graph& graph, const OnnxModel& model) {
  constexpr double most_elements = 1 << 26, most_unread = 1 << 20;
  double stored = 0, claimed = 0;
  for (const OnnxTensor& tensor : model.graph.initializers) stored += static_cast<double>(tensor.bytes.size()) / 4;
  for (const auto& node : graph.nodes()) {
    double elements = 0;
    for (const Result& result : node->results) elements += static_cast<double>(element_count(concrete(result.type.shape, 1)));
    if (node->is("resize") || node->is("interpolate") || node->is("interpolate_gradient"))
      elements = std::max(elements, largest_matrix(node->operands[0].type().shape, node->results[0].type.shape));
    if (node->is("parameter") || node->is("state")) claimed += elements;
    else if (elements > most_elements) return false;
  }
  return claimed <= stored + most_unread;
}

class Restoration {
 public:
  Restoration(Graph graph, const OnnxModel& model) : graph_(std::move(graph)), model_(model) {}

  std::optional<EmbeddedNetwork> run() {
    Weights places;   // dimensions without elements
    for (const auto& node : graph_.nodes())
      if (node->is("parameter") || node->is("state")) places.set(node->results[0].name, {concrete(node->results[0].type.shape, 1), {}, {}});
    const OnnxExport again = export_onnx(graph_, places, model_.producer_version);
    const OnnxGraph &expected = again.model.graph, &found = model_.graph;
    if (again.model.opset() != model_.opset() || !are_same(expected.nodes, found.nodes) || !are_same(expected.inputs, found.inputs) ||
        !are_same(expected.outputs, found.outputs) || expected.initializers.size() != found.initializers.size() ||
        !has_initializers(again))
      return {};
    for (const auto& node : graph_.nodes())
      if (places.find(node->results[0].name) && !weights_.find(node->results[0].name)) begin(*node);
    return EmbeddedNetwork{std::move(graph_), std::move(weights_)};
  }

 private:
  // Whether constants are as they would be written, and the parameters one and the same wherever they are stored.
  bool has_initializers(const OnnxExport& again) {
    for (const OnnxTensor& expected : again.model.graph.initializers) {
      const OnnxTensor* found = model_.graph.initializer(expected.name);
      if (!found || found->type != expected.type || found->dims != expected.dims) return false;
      const auto stored = again.parameters.find(expected.name);
      if (stored == again.parameters.end() ? found->bytes != expected.bytes : !take(stored->second, *found)) return false;
    }
    return true;
  }

  bool take(const OnnxParameter& parameter, const OnnxTensor& tensor) {
    Weight weight = restored(parameter, tensor);
    if (const Weight* known = weights_.find(parameter.name))
      return std::ranges::equal(std::as_bytes(known->data), std::as_bytes(weight.data));
    weights_.set(parameter.name, std::move(weight));
    return true;
  }

  // What inference does not read the model does not have: it begins as its initializer says.
  void begin(const Node& node) {
    const Result& result = node.results[0];
    weights_.set(result.name, Weight::from_tensor(initialize(result.name, result.type, node.attribute("initializer").symbol(), 1)));
  }

  Graph graph_;
  const OnnxModel& model_;
  Weights weights_;
};

}  // namespace

std::optional<EmbeddedNetwork> embedded_network(const OnnxModel& model) {
  const auto text = model.metadata.find(embedded_network_key);
  if (text == model.metadata.end()) return {};
  try {
    Graph graph = parse_module(make_source(text->second)).main().clone();
    if (!is_within_limits(graph, model)) return {};
    return Restoration(std::move(graph), model).run();
  } catch (const CompileError&) {
    return {};
  }
}

}  // namespace bnc
