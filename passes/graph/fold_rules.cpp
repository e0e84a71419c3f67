#include "passes/graph/fold_rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/evaluate.h"
#include "ir/ops/pooling.h"
#include "passes/graph/channels.h"

namespace bnc {

FoldScope::FoldScope(Graph& graph, const Weights* weights) : graph(graph), uses(graph), weights_(weights) {
  for (const auto& node : graph.nodes()) add(*node);
}

void FoldScope::add(const Node& node) {
  const bool is_source = node.op->category == OpCategory::source;
  constant_[&node] = is_source ? !node.is("input") : std::all_of(node.operands.begin(), node.operands.end(), [&](Value operand) {
    return !operand || constant_.at(operand.node);
  });
}

void FoldScope::consider(const Node& affine) {
  affine_ = &affine;
  seen_ = {&affine};
  held_.clear();
}

std::string FoldScope::too_far() const {
  constexpr size_t most_seen = 2000;
  return seen_.size() > most_seen ? fmt::format("there are more than {} nodes on the ways from there", most_seen) : "";
}

// The first few by name.
static std::string list_of(const std::vector<Node*>& nodes) {
  constexpr size_t most = 4;
  std::string list;
  for (size_t i = 0; i < std::min(nodes.size(), most); ++i)
    list += fmt::format("{}{}", i == 0 ? "" : i + 1 == nodes.size() ? " and " : ", ", describe(*nodes[i]));
  return nodes.size() > most ? fmt::format("{} and {} more", list, nodes.size() - most) : list;
}

static bool reads_values(const Node* user) { return !user->is("element_count"); }   // or the shape only

bool FoldScope::has_several_readers(Value value) const {
  const std::vector<Node*>& users = uses.of(value);
  const auto first = std::find_if(users.begin(), users.end(), reads_values);
  return first != users.end() && std::find_if(first + 1, users.end(), reads_values) != users.end();
}

std::string FoldScope::held_by(Value value) const {
  (has_several_readers(value) ? held_ : seen_).push_back(value.node);
  if (uses.is_output(value)) return fmt::format("{} is an output of the network", describe(*value.node));
  std::vector<Node*> users = uses.of(value);
  std::erase_if(users, [](const Node* user) { return !reads_values(user); });
  if (users.size() > 1) return fmt::format("{} has {} users: {}", describe(*value.node), users.size(), list_of(users));
  if (users.size() == 1 && std::count(users[0]->operands.begin(), users[0]->operands.end(), value) > 1)
    return fmt::format("{} reads {} more than once", describe(*users[0]), describe(*value.node));
  return {};
}

const std::vector<Node*>& FoldScope::readers(Value value) const {
  const std::vector<Node*>& users = uses.of(value);
  seen_.push_back(value.node);
  seen_.insert(seen_.end(), users.begin(), users.end());
  return users;
}

std::string FoldScope::why_not_positive() const {
  if (!weights_) return "the signs of its scale are known only with the weights";
  // Of a batch norm, gamma: it is divided by a positive number.
  const std::vector<double> scales = evaluate_value(affine_->operands[1], *weights_).data;
  const auto first = std::find_if_not(scales.begin(), scales.end(), [](double scale) { return scale > 0; });
  if (first == scales.end()) return {};
  const auto count = std::count_if(scales.begin(), scales.end(), [](double scale) { return !(scale > 0); });
  return fmt::format("{} of its {} scales are not positive, the first in channel {}: {}", count, scales.size(), first - scales.begin(),
                     format_number(*first));
}

std::string why_not_affine(const FoldScope& scope, const Node& node) {
  if (node.is("batch_norm") && node.attribute("mode").symbol().name != "infer")
    return fmt::format("it is in mode {} and normalizes with the batch's own statistics, which are not known before the run",
                       node.attribute("mode").symbol().name);
  for (size_t k = 1; k < node.operands.size(); ++k)
    if (node.operands[k] && !scope.is_constant(node.operands[k]))
      return fmt::format("its {} is computed from the network's input by {}", node.op->operands[k].name, describe(*node.operands[k].node));
  return {};
}

Affine affine_of(GraphBuilder& builder, const Node& node) {
  if (node.is("scale_shift")) return {node.operands[1], node.operands[2]};
  const auto [scale, shift] = ops::frozen_batch_norm(builder, node);
  return {scale, shift};
}

Value rebuild(GraphBuilder& builder, Node& node, const std::string& op, std::vector<Value> operands, AttributeMap attributes) {
  builder.at(node.range);
  Node* created = builder.create(op, std::move(operands), std::move(attributes));
  builder.graph().swap_names(created->result(), node.result());
  return created->result();
}

void replace(Graph& graph, Value from, Value to) {
  graph.replace_all_uses(from, to);
  graph.swap_names(from, to);
}

bool counts_padding(const Node& average_pool) {
  const std::vector<ops::PoolAxis> axes = ops::pool_axes(average_pool, average_pool.operands[0].type().shape);
  return average_pool.attribute("count_include_pad").boolean() &&
         std::any_of(axes.begin(), axes.end(), [](const ops::PoolAxis& axis) { return axis.low > 0 || axis.high > 0; });
}

std::string why_no_rule(const Node& node) {
  if (node.is("input")) return fmt::format("`{}` is an input of the network", node.results[0].name);
  switch (node.op->category) {
    case OpCategory::activation: return fmt::format("{} is a nonlinearity, which a scale does not pass", describe(node));
    case OpCategory::reduction: return fmt::format("{} does not pass a scale and a shift of its own channels", describe(node));
    default: return fmt::format("there is no rule that carries a scale and a shift across {}", describe(node));
  }
}

Value add_shift(GraphBuilder& builder, Value value, Value shift, int axis) {
  if (!shift) return value;
  return builder.value("bias", {value, shift}, {{"axis", axis_attribute(axis, value.type().rank())}});
}

}  // namespace bnc
