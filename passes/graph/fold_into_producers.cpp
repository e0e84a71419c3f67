// Producer rules: the node that computes a value takes up an affine map applied to that value (bn-fold-producer).
#include <array>

#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/graph/channels.h"
#include "passes/graph/fold_rules.h"

namespace bnc {

namespace {

ProducerFolding kept_behind(std::string reason) { return {std::move(reason), {}, {}}; }

int rank_of(const Node& node) { return node.results[0].type.rank(); }

// The columns of the right operand scaled: (x @ w) * s + t = x @ (w * s) + t.
ProducerFolding into_matmul(const FoldScope& scope, Node& node, int axis) {
  if (axis != rank_of(node) - 1)
    return kept_behind(fmt::format("the channels are on axis {}, the columns of {} on axis {}", axis, describe(node), rank_of(node) - 1));
  if (!scope.is_constant(node.operands[1]))
    return kept_behind(fmt::format("both operands of {} are computed from the network's input", describe(node)));
  return {{}, describe(node), [&node, axis](GraphBuilder& builder, const Affine& map) {
    const int rank = node.operands[1].type().rank(), columns = rank - (node.attribute("transpose_right").boolean() ? 2 : 1);
    const Value scaled = builder.mul(node.operands[1], ops::along_axis(builder, map.scale, columns, rank));
    const Value product = rebuild(builder, node, "matmul", {node.operands[0], scaled}, node.attributes);
    return add_shift(builder, product, map.shift, axis);
  }};
}

// The same with the layer's own bias: b' = b * s + t.
ProducerFolding into_dense(const FoldScope& scope, Node& node, int axis) {
  if (axis != rank_of(node) - 1)
    return kept_behind(fmt::format("the channels are on axis {}, the units of {} on axis {}", axis, describe(node), rank_of(node) - 1));
  for (int k : {1, 2})
    if (node.operands[k] && !scope.is_constant(node.operands[k]))
      return kept_behind(fmt::format("the {} of {} is computed from the network's input", node.op->operands[k].name, describe(node)));
  return {{}, describe(node), [&node](GraphBuilder& builder, const Affine& map) {
    Value bias = node.operands[2] ? builder.mul(node.operands[2], map.scale) : map.shift;
    if (node.operands[2] && map.shift) bias = builder.add(bias, map.shift);
    const Value weight = builder.mul(node.operands[1], map.scale);
    return rebuild(builder, node, "dense", {node.operands[0], weight, bias}, node.attributes);
  }};
}

// (x + b) * s + t = x * s + (b * s + t), where x must take up the scale.
ProducerFolding into_bias(const FoldScope& scope, Node& node, int axis) {
  if (ops::axis_of(node) != axis)
    return kept_behind(fmt::format("{} adds along axis {}, the channels are on axis {}", describe(node), ops::axis_of(node), axis));
  if (!scope.is_constant(node.operands[1]))
    return kept_behind(fmt::format("the bias of {} is computed from the network's input", describe(node)));
  ProducerFolding inner = fold_into_producer(scope, node.operands[0], axis);
  if (!inner.refusal.empty()) return inner;
  return {{}, inner.place, [&node, inner](GraphBuilder& builder, const Affine& map) {
    const Value x = inner.apply(builder, {map.scale, {}});
    Value bias = builder.mul(node.operands[1], map.scale);
    if (map.shift) bias = builder.add(bias, map.shift);
    return rebuild(builder, node, "bias", {x, bias}, node.attributes);
  }};
}

// (x * k + c) * s + t = x * (k * s) + (c * s + t).
ProducerFolding into_scale_shift(const FoldScope& scope, Node& node, int axis) {
  if (const std::string reason = why_not_affine(scope, node); !reason.empty())
    return kept_behind(fmt::format("{} cannot take it up: {}", describe(node), reason));
  if (ops::axis_of(node) != axis)
    return kept_behind(fmt::format("{} scales along axis {}, the channels are on axis {}", describe(node), ops::axis_of(node), axis));
  return {{}, describe(node), [&node](GraphBuilder& builder, const Affine& map) {
    std::vector<Value> operands = node.operands;  // x, scale, shift; or x, gamma, beta, mean, variance
    operands[1] = builder.mul(operands[1], map.scale);
    operands[2] = builder.mul(operands[2], map.scale);
    if (map.shift) operands[2] = builder.add(operands[2], map.shift);
    return rebuild(builder, node, node.op->name, operands, node.attributes);
  }};
}

// (x * p) * s + t = x * (p * s) + t for a constant p of any shape.
ProducerFolding into_mul(const FoldScope& scope, Node& node, int axis) {
  const int constant = scope.is_constant(node.operands[1]) ? 1 : 0, other = 1 - constant;
  if (!scope.is_constant(node.operands[constant]))
    return kept_behind(fmt::format("both factors of {} are computed from the network's input", describe(node)));
  return {{}, describe(node), [&node, axis, constant, other](GraphBuilder& builder, const Affine& map) {
    const Value x = node.operands[other], factor = node.operands[constant];
    const TensorType& type = node.results[0].type;
    if (map.shift && x.type() == type && is_channel_vector(factor.type(), type, axis)) {
      const Value scale = builder.mul(channel_vector(builder, factor, type, axis), map.scale);
      return rebuild(builder, node, "scale_shift", {x, scale, map.shift}, {{"axis", axis_attribute(axis, type.rank())}});
    }
    const Value scaled = builder.mul(factor, ops::along_axis(builder, map.scale, axis, type.rank()));
    return add_shift(builder, rebuild(builder, node, "mul", {x, scaled}), map.shift, axis);
  }};
}

// (a + b) * s + t = (a * s + t) + b * s, where both must take up their part; likewise a - b.
ProducerFolding into_sum(const FoldScope& scope, Node& node, int axis) {
  const int rank = rank_of(node);
  std::array<ProducerFolding, 2> branches;
  std::string place;
  for (int k : {0, 1}) {
    const Value branch = node.operands[k];
    const int branch_axis = axis - (rank - branch.type().rank());  // broadcasting aligns the last axes
    if (scope.is_constant(branch)) {
      branches[k].apply = [branch, axis, rank](GraphBuilder& builder, const Affine& map) {
        const Value scaled = builder.mul(branch, ops::along_axis(builder, map.scale, axis, rank));
        return map.shift ? builder.add(scaled, ops::along_axis(builder, map.shift, axis, rank)) : scaled;
      };
      continue;
    }
    if (branch_axis < 0 || !(branch.type().shape[branch_axis] == node.results[0].type.shape[axis]))
      return kept_behind(fmt::format("{} repeats {} along the channel axis", describe(node), describe(*branch.node)));
    branches[k] = fold_into_producer(scope, branch, branch_axis);
    if (!branches[k].refusal.empty()) return branches[k];
    place += (place.empty() ? "" : " and ") + branches[k].place;
  }
  // A constant takes the shift at no cost.
  const bool shift_right = scope.is_constant(node.operands[1]);
  return {{}, place, [&node, branches, shift_right](GraphBuilder& builder, const Affine& map) {
    const Value right_shift = map.shift && node.is("sub") ? builder.neg(map.shift) : map.shift;
    const Value left = branches[0].apply(builder, {map.scale, shift_right ? Value{} : map.shift});
    const Value right = branches[1].apply(builder, {map.scale, shift_right ? right_shift : Value{}});
    return rebuild(builder, node, node.op->name, {left, right});
  }};
}

// The bodies of the rules that hand the map on to their only operand, with each channel's place found again.
ProducerFolding through(const FoldScope& scope, Node& node, int axis) {
  ProducerFolding inner = fold_into_producer(scope, node.operands[0], axis);
  if (!inner.refusal.empty()) return inner;
  return {{}, inner.place, [&node, inner](GraphBuilder& builder, const Affine& map) {
    std::vector<Value> operands = node.operands;
    operands[0] = inner.apply(builder, map);
    return rebuild(builder, node, node.op->name, operands, node.attributes);
  }};
}

// The same where only the scale passes; the shift is added to the node's result.
ProducerFolding scale_through(const FoldScope& scope, Node& node, int axis) {
  ProducerFolding whole = through(scope, node, axis);
  if (!whole.refusal.empty()) return whole;
  return {{}, whole.place, [whole, axis](GraphBuilder& builder, const Affine& map) {
    return add_shift(builder, whole.apply(builder, {map.scale, {}}), map.shift, axis);
  }};
}

ProducerFolding through_reshape(const FoldScope& scope, Node& node, int axis) {
  const std::optional<ChannelBlock> block = follow_channels(node.results[0].type.shape, node.operands[0].type().shape, axis);
  if (!block)
    return kept_behind(
        fmt::format("{} merges the channels with another axis, so that one scale for each of its operand's is not enough", describe(node)));
  ProducerFolding inner = fold_into_producer(scope, node.operands[0], block->axis);
  if (!inner.refusal.empty()) return inner;
  return {{}, inner.place, [&node, inner, block](GraphBuilder& builder, const Affine& map) {
    const Affine spread{repeat_channels(builder, map.scale, *block), map.shift ? repeat_channels(builder, map.shift, *block) : Value{}};
    const Value x = inner.apply(builder, spread);
    return rebuild(builder, node, node.op->name, {x}, node.attributes);
  }};
}

ProducerFolding through_transpose(const FoldScope& scope, Node& node, int axis) {
  return through(scope, node, transpose_source(node, axis));
}

ProducerFolding through_slice(const FoldScope& scope, Node& node, int axis) {
  if (ops::axis_of(node) == axis) return kept_behind(fmt::format("{} takes some of the channels only", describe(node)));
  return through(scope, node, axis);
}

// The mean over other axes than the channels' is a weighted sum with weights that add up to one.
ProducerFolding through_mean(const FoldScope& scope, Node& node, int axis) {
  const int source = unreduced_axis(node, axis);
  return source < 0 ? kept_behind(fmt::format("{} averages over the channels", describe(node))) : through(scope, node, source);
}

// With padding that counts as zeros it is still linear: the scale passes, the shift stays behind.
ProducerFolding through_average_pool(const FoldScope& scope, Node& node, int axis) {
  if (axis != rank_of(node) - 1) return kept_behind(fmt::format("{} averages along axis {} of the channels", describe(node), axis));
  return counts_padding(node) ? scale_through(scope, node, axis) : through(scope, node, axis);
}

ProducerFolding through_resize(const FoldScope& scope, Node& node, int axis) {
  if (axis != rank_of(node) - 1) return kept_behind(fmt::format("{} interpolates along axis {} of the channels", describe(node), axis));
  return through(scope, node, axis);
}

// Scaled zeros are zeros; the shift stays behind.
ProducerFolding through_pad(const FoldScope& scope, Node& node, int axis) {
  if (const double value = node.attribute("value").number(); value != 0)
    return kept_behind(fmt::format("{} pads with {}, which the scale would change", describe(node), format_number(value)));
  if (!(node.results[0].type.shape[axis] == node.operands[0].type().shape[axis]))
    return kept_behind(fmt::format("{} pads the channels themselves", describe(node)));
  return scale_through(scope, node, axis);
}

// max(x) * s + t = max(x * s + t) where s > 0; a negative scale would turn it into the minimum (bn-fold-maximum).
ProducerFolding through_maximum(const FoldScope& scope, Node& node, int source) {
  if (const std::string reason = scope.why_not_positive(); !reason.empty())
    return kept_behind(fmt::format("{} commutes with positive scales only: {}", describe(node), reason));
  return through(scope, node, source);
}

ProducerFolding through_max_pool(const FoldScope& scope, Node& node, int axis) {
  if (axis != rank_of(node) - 1)
    return kept_behind(fmt::format("{} takes the maximum along axis {} of the channels", describe(node), axis));
  return through_maximum(scope, node, axis);
}

ProducerFolding through_reduce_max(const FoldScope& scope, Node& node, int axis) {
  const int source = unreduced_axis(node, axis);
  return source < 0 ? kept_behind(fmt::format("{} takes the maximum over the channels", describe(node)))
                    : through_maximum(scope, node, source);
}

ProducerFolding through_dropout(const FoldScope& scope, Node& node, int axis) {
  if (node.operands[1]) return kept_behind(fmt::format("{} drops elements: it is not the identity while training", describe(node)));
  return through(scope, node, axis);
}

// Along the channel axis each branch takes up its part of the map; along another one each takes it whole.
ProducerFolding through_concat(const FoldScope& scope, Node& node, int axis) {
  std::vector<ProducerFolding> branches;
  std::string place;
  for (const Value& branch : node.operands) {
    branches.push_back(fold_into_producer(scope, branch, axis));
    if (!branches.back().refusal.empty()) return branches.back();
    place += (place.empty() ? "" : " and ") + branches.back().place;
  }
  const bool along_channels = ops::axis_of(node) == axis;
  return {{}, place, [&node, branches, axis, along_channels](GraphBuilder& builder, const Affine& map) {
    std::vector<Value> operands;
    int64_t begin = 0;
    for (size_t k = 0; k < branches.size(); ++k) {
      Affine part = map;
      if (along_channels) {
        const int64_t end = begin + node.operands[k].type().shape[axis].factor;
        const auto cut = [&](Value vector) { return builder.value("slice", {vector}, {{"axis", 0}, {"begin", begin}, {"end", end}}); };
        part = {cut(map.scale), map.shift ? cut(map.shift) : Value{}};
        begin = end;
      }
      operands.push_back(branches[k].apply(builder, part));
    }
    return rebuild(builder, node, "concat", operands, node.attributes);
  }};
}

}  // namespace

const std::map<std::string, ProducerRule>& producer_rules() {
  static const std::map<std::string, ProducerRule> rules = {
      {"matmul", into_matmul},   {"dense", into_dense},           {"bias", into_bias},          {"scale_shift", into_scale_shift},
      {"batch_norm", into_scale_shift}, {"mul", into_mul},        {"add", into_sum},            {"sub", into_sum},
      {"reshape", through_reshape}, {"flatten", through_reshape}, {"transpose", through_transpose}, {"slice", through_slice},
      {"reduce_mean", through_mean}, {"dropout", through_dropout}, {"concat", through_concat},
      {"average_pool", through_average_pool}, {"max_pool", through_max_pool}, {"reduce_max", through_reduce_max},
      {"resize", through_resize}, {"pad", through_pad}, {"convolution", into_convolution},
      {"convolution_input_gradient", into_transposed_convolution}, {"border_bias", into_border_bias},
  };
  return rules;
}

ProducerFolding fold_into_producer(const FoldScope& scope, Value value, int axis) {
  if (std::string reason = scope.too_far(); !reason.empty()) return kept_behind(std::move(reason));
  if (const std::string reason = scope.held_by(value); !reason.empty()) return kept_behind(reason);
  if (value.index != 0) return kept_behind(fmt::format("`{}` is a statistic of {}", value.name(), describe(*value.node)));
  const auto rule = producer_rules().find(value.node->op->name);
  return rule == producer_rules().end() ? kept_behind(why_no_rule(*value.node)) : rule->second(scope, *value.node, axis);
}

}  // namespace bnc
