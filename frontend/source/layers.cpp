#include "frontend/source/layers.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "frontend/source/layer_call.h"
#include "frontend/source/words.h"
#include "ir/number_range.h"

namespace bnc::source {

namespace {

const IntList image_in = {0, 2, 3, 1}, image_out = {0, 3, 1, 2}, line = {0, 2, 1};

bool is_transpose(const Node& node, const IntList& permutation) {
  return node.is("transpose") && node.kernel < 0 && node.attribute("permutation") == Attribute(permutation);
}

// Every node that the outputs need, operands first and in their order, then the rest: branches stand together, however the graph has them.
std::vector<Node*> in_reading_order(const Graph& graph) {
  std::vector<Node*> order;
  std::unordered_set<const Node*> seen;
  const auto visit = [&](Node* root) {
    std::vector<std::pair<Node*, size_t>> path;
    if (seen.insert(root).second) path.emplace_back(root, 0);
    while (!path.empty()) {
      const auto [node, next] = path.back();
      if (next == node->operands.size()) {
        order.push_back(node);
        path.pop_back();
        continue;
      }
      ++path.back().second;
      Node* operand = node->operands[next].node;
      if (operand && seen.insert(operand).second) path.emplace_back(operand, 0);
    }
  };
  for (const Output& output : graph.outputs) visit(output.value.node);
  for (const auto& node : graph.nodes()) visit(node.get());
  return order;
}

class LayerNamer {
 public:
  LayerNamer(const Graph& graph, const SourceOptions& options) : graph_(graph), options_(options), uses_(graph) {}

  Layers run() {
    layers_.program.functions.emplace_back();
    layers_.frame.name = legal_name(graph_.name, "network");
    layers_.frame.batch_symbol = graph_.batch_symbol;
    taken_ = {graph_.batch_symbol};
    find_made();
    inputs();
    declared();
    for (Node* node : in_reading_order(graph_))
      if (!is_source(*node) && !inlined_.contains(node)) add(*node);
    outputs();
    return std::move(layers_);
  }

 private:
  Function& network() { return layers_.program.network(); }
  static bool is_source(const Node& node) { return node.is("input") || node.is("parameter") || node.is("state"); }

  // Parameters that one layer alone reads, and nothing else names.
  void find_made() {
    std::unordered_map<const Node*, int> readers;
    for (const auto& node : graph_.nodes())
      for (const Value& operand : node->operands)
        if (operand) ++readers[operand.node];
    std::set<std::string> named;
    for (const Output& output : graph_.outputs) {
      ++readers[output.value.node];
      if (output.role == Output::Role::gradient || output.role == Output::Role::update) named.insert(output.name);
    }
    for (const auto& node : graph_.nodes()) {
      const auto free = [&](const Value& value) { return readers[value.node] == 1 && !named.contains(value.name()); };
      if (is_source(*node)) continue;
      calls_.emplace(node.get(), layer_call(*node, graph_.batch_symbol, options_, free));
      for (const Node* parameter : calls_.at(node.get()).made) made_.insert(parameter);
    }
  }

  std::string unique(const std::string& name, const std::string& stem) {
    std::string chosen = legal_path(name, stem);
    for (int k = 2; !taken_.insert(chosen).second; ++k) chosen = fmt::format("{}_{}", legal_path(name, stem), k);
    return chosen;
  }

  ValueId define(Value value) {
    return values_[{value.node, value.index}] = network().new_value(value.type(), human_name(value.name()));
  }

  // The parser calls an input's channels-last form by the input's name and a number, which no other input may have.
  bool may_have_layout(const std::string& name) const {
    const std::vector<Node*> inputs = graph_.nodes_of("input");
    return std::none_of(inputs.begin(), inputs.end(), [&](const Node* input) { return input->results[0].name.starts_with(name + "_"); });
  }

  void inputs() {
    for (const Node* input : graph_.nodes_of("input")) {
      Value value{const_cast<Node*>(input), 0};
      Frame::Input head{input, unique(input->results[0].name, "x"), ""};
      const auto& readers = uses_.of(value);
      if (readers.size() == 1 && uses_.count(value) == 1 && may_have_layout(head.name)) {
        const bool image = is_transpose(*readers[0], image_in);
        if (image || is_transpose(*readers[0], line)) {
          head.layout = image ? "nchw" : "ncw";
          taken_.insert(head.name + "_2");   // the channels-last form
          value = readers[0]->result();
          inlined_.insert(readers[0]);
        }
      }
      const ValueId id = define(value);
      network().hints[id] = head.name;
      network().tensors.push_back(id);
      layers_.frame.inputs.push_back(std::move(head));
    }
  }

  void declared() {
    for (const auto& node : graph_.nodes()) {
      if ((!node->is("parameter") && !node->is("state")) || made_.contains(node.get())) continue;
      const ValueId id = define(node->result());
      layers_.frame.declared.push_back({node.get(), unique(node->results[0].name, "weight")});
      network().hints[id] = layers_.frame.declared.back().name;
      network().tensors.push_back(id);
    }
  }

  // A number that may stand beside the other operand as it is; the other one must be no such number.
  std::optional<Attribute> number_beside(const Node& node, size_t operand) const {
    if (!is_infix(*node.op) || node.kernel >= 0 || node.operands.size() != 2) return std::nullopt;
    const Node &constant = *node.operands[operand].node, &other = *node.operands[1 - operand].node;
    if (!is_scalar(constant) || (is_scalar(other) && operand == 0)) return std::nullopt;
    const TensorType& type = node.operands[1 - operand].type();
    if (constant.results[0].type.dtype != type.dtype) return std::nullopt;
    const double* value = constant.attribute("value").get_if<double>();   // a list of one number is written as a list
    if (!value) return std::nullopt;
    const double number = *value;
    if (type.dtype == DType::f32) return overflows_f32(number) ? std::nullopt : std::optional(Attribute(number));
    if (std::abs(number) > 1e15 || number != std::floor(number)) return std::nullopt;
    return Attribute(static_cast<int64_t>(number));
  }
  static bool is_scalar(const Node& node) { return node.is("constant") && node.results[0].type.shape.empty(); }

  void add(const Node& node) {
    if (is_scalar(node)) return;   // written anew where it is read
    Piece piece = std::move(calls_.at(&node).piece);
    size_t operand = 0;
    for (Operand& each : piece.operands) {
      const size_t last = node.op->operands.back().variadic && &each == &piece.operands.back() ? node.operands.size() : operand + 1;
      for (; operand < last; ++operand) {
        if (each.kind != Operand::Kind::given) continue;
        if (std::optional<Attribute> number = number_beside(node, operand)) {
          each.kind = Operand::Kind::number;
          each.number = static_cast<int>(piece.settings.size());
          piece.settings.push_back({.literal = *number});
        } else {
          each.values.push_back(read(node.operands[operand]));
        }
      }
    }
    for (size_t k = 0; k < node.results.size(); ++k) piece.results.push_back(define({const_cast<Node*>(&node), static_cast<int>(k)}));
    network().body.push_back(std::move(piece));
  }

  ValueId read(Value value) {
    if (!is_scalar(*value.node)) return values_.at({value.node, value.index});
    Piece piece = calls_.at(value.node).piece;
    const ValueId id = network().new_value(value.type(), "");
    piece.results = {id};
    network().body.push_back(std::move(piece));
    return id;
  }

  // A transpose that brings an output to channels first belongs to its `return`.
  void outputs() {
    for (const Output& output : graph_.outputs) {
      Frame::Returned returned{output.role, name_of(output), "", network().outputs.size()};
      network().outputs.push_back(read(output.value));
      layers_.frame.returned.push_back(std::move(returned));
    }
    const std::vector<int> uses = count_uses(network());
    for (Frame::Returned& returned : layers_.frame.returned) {
      const Output& output = graph_.outputs[returned.output];
      const bool image = is_transpose(*output.value.node, image_out), row = is_transpose(*output.value.node, line);
      if (output.role != Output::Role::output || (!image && !row) || inlined_.contains(output.value.node)) continue;
      ValueId& value = network().outputs[returned.output];
      const auto piece = std::find_if(network().body.begin(), network().body.end(),
                                      [&](const Piece& each) { return !each.results.empty() && each.results[0] == value; });
      if (uses[value] != 1) continue;
      value = piece->operands[0].values[0];
      returned.layout = image ? "nchw" : "ncw";
      network().body.erase(piece);
    }
  }

  std::string name_of(const Output& output) {
    for (const Frame::Input& input : layers_.frame.inputs)
      if (output.role == Output::Role::gradient && input.node->results[0].name == output.name) return input.name;
    for (const Frame::Declared& declared : layers_.frame.declared)
      if (output.role != Output::Role::output && declared.node->results[0].name == output.name) return declared.name;
    return output.role == Output::Role::output ? legal_name(output.name, "y") : output.name;
  }

  struct Hash {
    size_t operator()(const std::pair<const Node*, int>& key) const {
      return std::hash<const Node*>()(key.first) * 31 + static_cast<size_t>(key.second);
    }
  };

  const Graph& graph_;
  const SourceOptions& options_;
  Uses uses_;
  Layers layers_;
  std::unordered_map<const Node*, LayerCall> calls_;
  std::unordered_set<const Node*> made_, inlined_;
  std::unordered_map<std::pair<const Node*, int>, ValueId, Hash> values_;
  std::set<std::string> taken_;
};

}  // namespace

Layers name_layers(const Graph& graph, const SourceOptions& options) { return LayerNamer(graph, options).run(); }

}  // namespace bnc::source
