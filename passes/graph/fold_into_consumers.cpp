// Consumer rules: the node that reads an affine map's result reads the map's operand instead and takes up the map
// (bn-fold-consumer).
#include <algorithm>

#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/graph/channels.h"
#include "passes/graph/fold_rules.h"

namespace bnc {

namespace {

ConsumerFolding cannot_fold(std::string reason) { return {std::move(reason), {}, {}}; }

int rank_of(const Node& node, int operand) { return node.operands[operand].type().rank(); }

// (x * s + t) @ w = x @ (s * w) + t @ w: the rows of the weight scaled, and a bias. Serves dense too.
ConsumerFolding into_matmul(const FoldScope& scope, Node& node, int operand, int axis) {
  const bool is_dense = node.is("dense");
  const bool left_transposed = !is_dense && node.attribute("transpose_left").boolean();
  const int reduced = left_transposed ? rank_of(node, 0) - 2 : rank_of(node, 0) - 1;
  if (operand != 0) return cannot_fold(fmt::format("it is not the left operand of {}", describe(node)));
  if (!scope.is_constant(node.operands[1]))
    return cannot_fold(fmt::format("the right operand of {} is computed from the network's input", describe(node)));
  if (rank_of(node, 1) != 2) return cannot_fold(fmt::format("the right operand of {} is more than one matrix", describe(node)));
  if (axis != reduced) return cannot_fold(fmt::format("{} sums over axis {}, the channels are on axis {}", describe(node), reduced, axis));
  if (is_dense && node.operands[2] && !scope.is_constant(node.operands[2]))
    return cannot_fold(fmt::format("the bias of {} is computed from the network's input", describe(node)));
  Node* bias = is_dense ? nullptr : bias_behind(scope, node);
  return {{}, describe(node), [&node, is_dense, bias](Graph& graph, Value x, const Affine& map) {
    GraphBuilder builder = GraphBuilder::before(graph, bias ? bias : &node);
    builder.at(node.range);
    const Value weight = node.operands[1];
    const bool transposed = !is_dense && node.attribute("transpose_right").boolean();
    const int rows = transposed ? 1 : 0;
    const Value scaled = builder.mul(weight, ops::along_axis(builder, map.scale, rows, 2));
    const Value shift = builder.value("reduce_sum", {builder.mul(weight, ops::along_axis(builder, map.shift, rows, 2))},
                                      {{"axes", IntList{rows}}});
    if (is_dense) {
      const Value own = node.operands[2] ? builder.add(node.operands[2], shift) : shift;
      return replace(graph, node.result(), builder.value("dense", {x, scaled, own}, node.attributes));
    }
    const Value raw = rebuild(builder, node, "matmul", {x, scaled}, node.attributes);
    put_shift_behind(graph, builder, node, raw, bias, shift);
  }};
}

// Replaces the node, itself an affine map of the same channels, by one scale_shift for both.
using Compose = std::function<Affine(GraphBuilder&, const Affine& first)>;
ConsumerFolding merge(Node& node, int axis, Compose compose) {
  return {{}, describe(node), [&node, axis, compose](Graph& graph, Value x, const Affine& map) {
    GraphBuilder builder = GraphBuilder::before(graph, &node);
    builder.at(node.range);
    const Affine both = compose(builder, map);
    replace(graph, node.result(),
            builder.value("scale_shift", {x, both.scale, both.shift}, {{"axis", axis_attribute(axis, x.type().rank())}}));
  }};
}

std::string other_axis(const Node& node, int own, int axis) {
  return fmt::format("{} works along axis {}, the channels are on axis {}", describe(node), own, axis);
}

// Both in one: (x * s + t) * k + c = x * (s * k) + (t * k + c).
Affine compose(GraphBuilder& builder, const Affine& first, const Affine& second) {
  return {builder.mul(first.scale, second.scale), builder.add(builder.mul(first.shift, second.scale), second.shift)};
}

std::string why_not_behind(const FoldScope& scope, const Node& node, int operand, int axis) {
  if (operand != 0) return fmt::format("it is a parameter of {}", describe(node));
  if (const std::string reason = why_not_affine(scope, node); !reason.empty())
    return fmt::format("{} cannot take it up: {}", describe(node), reason);
  if (const int own = ops::axis_of(node); own != axis) return other_axis(node, own, axis);
  return {};
}

ConsumerFolding into_scale_shift(const FoldScope& scope, Node& node, int operand, int axis) {
  if (std::string reason = why_not_behind(scope, node, operand, axis); !reason.empty()) return cannot_fold(std::move(reason));
  return merge(node, axis,
               [&node](GraphBuilder& builder, const Affine& first) { return compose(builder, first, affine_of(builder, node)); });
}

// It stays a batch norm, with its own variance and a mean of zero: gamma' = s * gamma, beta' = t * k + c.
ConsumerFolding into_batch_norm(const FoldScope& scope, Node& node, int operand, int axis) {
  if (std::string reason = why_not_behind(scope, node, operand, axis); !reason.empty()) return cannot_fold(std::move(reason));
  return {{}, describe(node), [&node](Graph& graph, Value x, const Affine& map) {
    GraphBuilder builder = GraphBuilder::before(graph, &node);
    std::vector<Value> operands = node.operands;  // x, gamma, beta, mean, variance
    operands[0] = x;
    operands[1] = builder.mul(operands[1], map.scale);
    operands[2] = compose(builder, map, affine_of(builder, node)).shift;
    operands[3] = builder.constant(0, operands[3].type());
    graph.replace_all_uses(node.result(1), node.operands[3]);
    graph.replace_all_uses(node.result(2), node.operands[4]);
    graph.replace_all_uses(node.result(), rebuild(builder, node, "batch_norm", operands, node.attributes));
  }};
}

ConsumerFolding into_bias(const FoldScope& scope, Node& node, int operand, int axis) {
  if (operand != 0) return cannot_fold(fmt::format("it is the bias of {}", describe(node)));
  if (!scope.is_constant(node.operands[1]))
    return cannot_fold(fmt::format("the bias of {} is computed from the network's input", describe(node)));
  if (const int own = ops::axis_of(node); own != axis) return cannot_fold(other_axis(node, own, axis));
  return merge(node, axis, [&node](GraphBuilder& builder, const Affine& first) {
    return Affine{first.scale, builder.add(first.shift, node.operands[1])};
  });
}

// add, sub and mul with one constant number a channel, or one for all.
ConsumerFolding into_arithmetic(const FoldScope& scope, Node& node, int operand, int axis) {
  const Value other = node.operands[1 - operand];
  const TensorType& type = node.operands[operand].type();
  if (!scope.is_constant(other))
    return cannot_fold(
        fmt::format("{} joins it with {}, which is computed from the network's input", describe(node), describe(*other.node)));
  if (!(node.results[0].type == type) || !is_channel_vector(other.type(), type, axis))
    return cannot_fold(fmt::format("{} joins it with {}, which is not one number for each channel on axis {}", describe(node),
                              describe(*other.node), axis));
  return merge(node, axis, [&node, other, operand, type, axis](GraphBuilder& builder, const Affine& first) {
    const Value vector = channel_vector(builder, other, type, axis);
    if (node.is("mul")) return Affine{builder.mul(first.scale, vector), builder.mul(first.shift, vector)};
    if (node.is("add")) return Affine{first.scale, builder.add(first.shift, vector)};
    if (operand == 0) return Affine{first.scale, builder.sub(first.shift, vector)};
    return Affine{builder.neg(first.scale), builder.sub(vector, first.shift)};
  });
}

// How a map changes on its way through a node that hands channels on.
using Carry = std::function<Affine(GraphBuilder&, const Affine&)>;
ConsumerFolding through(const FoldScope& scope, Node& node, int operand, int result_axis, Carry carry = {}) {
  ConsumerFolding inner = fold_into_consumers(scope, node.result(), result_axis);
  if (!inner.refusal.empty()) return inner;
  return {{}, inner.place, [&node, operand, inner, carry](Graph& graph, Value x, const Affine& map) {
    GraphBuilder builder = GraphBuilder::before(graph, &node);
    std::vector<Value> operands = node.operands;
    operands[operand] = x;
    const Affine carried = carry ? carry(builder, map) : map;
    inner.apply(graph, rebuild(builder, node, node.op->name, operands, node.attributes), carried);
  }};
}

ConsumerFolding through_reshape(const FoldScope& scope, Node& node, int operand, int axis) {
  const std::optional<ChannelBlock> block = follow_channels(node.operands[0].type().shape, node.results[0].type.shape, axis);
  if (!block) return cannot_fold(fmt::format("{} spreads the channels over several axes or merges them with the batch", describe(node)));
  return through(scope, node, operand, block->axis, [block](GraphBuilder& builder, const Affine& map) {
    return Affine{repeat_channels(builder, map.scale, *block), repeat_channels(builder, map.shift, *block)};
  });
}

ConsumerFolding through_transpose(const FoldScope& scope, Node& node, int operand, int axis) {
  return through(scope, node, operand, transpose_target(node, axis));
}

ConsumerFolding through_slice(const FoldScope& scope, Node& node, int operand, int axis) {
  if (ops::axis_of(node) != axis) return through(scope, node, operand, axis);
  return through(scope, node, operand, axis, [&node](GraphBuilder& builder, const Affine& map) {
    AttributeMap attributes = node.attributes;
    attributes["axis"] = 0;
    return Affine{builder.value("slice", {map.scale}, attributes), builder.value("slice", {map.shift}, attributes)};
  });
}

// The mean over other axes than the channels' is a weighted sum with weights that add up to one.
ConsumerFolding through_mean(const FoldScope& scope, Node& node, int operand, int axis) {
  const int result_axis = reduced_axis(node, axis);
  if (result_axis < 0) return cannot_fold(fmt::format("{} averages over the channels", describe(node)));
  return through(scope, node, operand, result_axis);
}

bool is_last(const Node& node, int axis) { return axis == rank_of(node, 0) - 1; }

ConsumerFolding through_average_pool(const FoldScope& scope, Node& node, int operand, int axis) {
  if (!is_last(node, axis)) return cannot_fold(fmt::format("{} averages along axis {} of the channels", describe(node), axis));
  if (counts_padding(node))
    return cannot_fold(fmt::format("{} counts padding as zeros, which the shift would not reach (count_include_pad)", describe(node)));
  return through(scope, node, operand, axis);
}

ConsumerFolding through_resize(const FoldScope& scope, Node& node, int operand, int axis) {
  if (!is_last(node, axis)) return cannot_fold(fmt::format("{} interpolates along axis {} of the channels", describe(node), axis));
  return through(scope, node, operand, axis);
}

ConsumerFolding through_pad(const FoldScope&, Node& node, int, int) {
  return cannot_fold(fmt::format("{} surrounds it with {}, which scale and shift would not reach", describe(node),
                            format_number(node.attribute("value").number())));
}

// max(x * s + t) = max(x) * s + t where s > 0; a negative scale would turn it into the minimum (bn-fold-maximum).
ConsumerFolding through_maximum(const FoldScope& scope, Node& node, int operand, int result_axis) {
  if (const std::string reason = scope.why_not_positive(); !reason.empty())
    return cannot_fold(fmt::format("{} commutes with positive scales only: {}", describe(node), reason));
  return through(scope, node, operand, result_axis);
}

ConsumerFolding through_max_pool(const FoldScope& scope, Node& node, int operand, int axis) {
  if (!is_last(node, axis)) return cannot_fold(fmt::format("{} takes the maximum along axis {} of the channels", describe(node), axis));
  return through_maximum(scope, node, operand, axis);
}

ConsumerFolding through_reduce_max(const FoldScope& scope, Node& node, int operand, int axis) {
  const int result_axis = reduced_axis(node, axis);
  if (result_axis < 0) return cannot_fold(fmt::format("{} takes the maximum over the channels", describe(node)));
  return through_maximum(scope, node, operand, result_axis);
}

ConsumerFolding through_dropout(const FoldScope& scope, Node& node, int operand, int axis) {
  if (node.operands[1]) return cannot_fold(fmt::format("{} drops elements: it is not the identity while training", describe(node)));
  return through(scope, node, operand, axis);
}

// The other branches of a concatenation along the channels are scaled by one and shifted by zero.
ConsumerFolding through_concat(const FoldScope& scope, Node& node, int operand, int axis) {
  if (const int own = ops::axis_of(node); own != axis)
    return cannot_fold(fmt::format("{} joins it along axis {} with values that the scale of its channels, on axis {}, must not touch",
                              describe(node), own, axis));
  return through(scope, node, operand, axis, [&node, operand, axis](GraphBuilder& builder, const Affine& map) {
    std::vector<Value> scales, shifts;
    for (int k = 0; k < static_cast<int>(node.operands.size()); ++k) {
      const TensorType channels{DType::f32, {node.operands[k].type().shape[axis]}};
      scales.push_back(k == operand ? map.scale : builder.constant(1, channels));
      shifts.push_back(k == operand ? map.shift : builder.constant(0, channels));
    }
    return Affine{builder.value("concat", scales), builder.value("concat", shifts)};
  });
}

}  // namespace

Node* bias_behind(const FoldScope& scope, Node& node) {
  const std::vector<Node*>& users = scope.readers(node.result());
  if (users.size() != 1 || scope.uses.is_output(node.result()) || !users[0]->is("bias")) return nullptr;
  const bool adds_columns = ops::axis_of(*users[0]) == node.results[0].type.rank() - 1;
  return adds_columns && scope.is_constant(users[0]->operands[1]) ? users[0] : nullptr;
}

void put_shift_behind(Graph& graph, GraphBuilder& builder, Node& node, Value raw, Node* bias, Value shift, const char* op,
                      AttributeMap attributes) {
  const Value whole = bias ? builder.add(bias->operands[1], shift) : shift;
  const Value shifted = builder.value(op, {raw, whole}, std::move(attributes));
  if (bias) return replace(graph, bias->result(), shifted);
  graph.swap_names(raw.node->result(), node.result());   // the name belongs to the result
  replace(graph, node.result(), shifted);
}

const std::map<std::string, ConsumerRule>& consumer_rules() {
  static const std::map<std::string, ConsumerRule> rules = {
      {"matmul", into_matmul},           {"dense", into_matmul},     {"scale_shift", into_scale_shift}, {"batch_norm", into_batch_norm},
      {"bias", into_bias},               {"add", into_arithmetic},   {"sub", into_arithmetic},          {"mul", into_arithmetic},
      {"reshape", through_reshape},      {"flatten", through_reshape}, {"transpose", through_transpose}, {"slice", through_slice},
      {"reduce_mean", through_mean},     {"dropout", through_dropout}, {"concat", through_concat},
      {"convolution", into_convolution_behind}, {"convolution_input_gradient", into_transposed_convolution_behind},
      {"average_pool", through_average_pool}, {"max_pool", through_max_pool}, {"reduce_max", through_reduce_max},
      {"resize", through_resize}, {"pad", through_pad},
  };
  return rules;
}

ConsumerFolding fold_into_consumers(const FoldScope& scope, Value value, int axis) {
  if (std::string reason = scope.too_far(); !reason.empty()) return cannot_fold(std::move(reason));
  if (scope.uses.is_output(value)) return cannot_fold(fmt::format("{} is an output of the network", describe(*value.node)));
  std::vector<ConsumerFolding> users;
  std::string place;
  for (Node* user : scope.readers(value)) {
    const auto& operands = user->operands;
    if (std::count(operands.begin(), operands.end(), value) > 1)
      return cannot_fold(fmt::format("{} reads it more than once", describe(*user)));
    const auto rule = consumer_rules().find(user->op->name);
    if (rule == consumer_rules().end()) return cannot_fold(why_no_rule(*user));
    const int operand = static_cast<int>(std::find(operands.begin(), operands.end(), value) - operands.begin());
    users.push_back(rule->second(scope, *user, operand, axis));
    if (!users.back().refusal.empty()) return users.back();
    place += (place.empty() ? "" : " and ") + users.back().place;
  }
  if (users.empty()) return cannot_fold("nothing reads it");
  return {{}, place, [users](Graph& graph, Value x, const Affine& map) {
    for (const ConsumerFolding& user : users) user.apply(graph, x, map);
  }};
}

}  // namespace bnc
