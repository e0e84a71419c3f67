#include "passes/fold_rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/channels.h"

namespace bnc {

FoldScope::FoldScope(const Graph& graph) : graph(graph), uses(graph) {
  for (const auto& node : graph.nodes()) {
    const bool is_source = node->op->category == OpCategory::source;
    constant_[node.get()] = is_source ? !node->is("input") : std::all_of(node->operands.begin(), node->operands.end(), [&](Value operand) { return !operand || constant_.at(operand.node); });
  }
}

std::string FoldScope::held_by(Value value) const {
  std::vector<Node*> users = uses.of(value);
  std::erase_if(users, [](const Node* user) { return user->is("element_count"); });  // reads the shape only
  if (uses.is_output(value)) return fmt::format("{} is an output of the network", describe(*value.node));
  if (users.size() > 1) return fmt::format("{} has {} users: {} and {}", describe(*value.node), users.size(), describe(*users[0]), describe(*users[1]));
  if (users.size() == 1 && std::count(users[0]->operands.begin(), users[0]->operands.end(), value) > 1)
    return fmt::format("{} reads {} more than once", describe(*users[0]), describe(*value.node));
  return {};
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
  // y = gamma * (x - mean) * rsqrt(variance + epsilon) + beta   (bn-infer)
  const Value gamma = node.operands[1], beta = node.operands[2], mean = node.operands[3], variance = node.operands[4];
  const Value scale = builder.mul(gamma, ops::reciprocal_deviation(builder, variance, node.attribute("epsilon").number()));
  return {scale, builder.sub(beta, builder.mul(mean, scale))};
}

Value rebuild(GraphBuilder& builder, Node& node, const std::string& op, std::vector<Value> operands, AttributeMap attributes) {
  builder.at(node.range);
  Node* created = builder.create(op, std::move(operands), std::move(attributes));
  std::swap(created->results[0].name, node.results[0].name);
  return created->result();
}

void replace(Graph& graph, Value from, Value to) {
  graph.replace_all_uses(from, to);
  std::swap(from.node->results[from.index].name, to.node->results[to.index].name);
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
