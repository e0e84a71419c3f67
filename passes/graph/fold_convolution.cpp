// Rules for convolutions (bn-fold-producer, bn-fold-consumer, bn-fold-border): channels are the last axis of the images, and
// of the weight [kh, kw, C/groups, O] the third for what a group reads and the last for what it computes.
#include <algorithm>

#include <fmt/format.h>

#include "ir/integers.h"
#include "ir/ops/convolution_form.h"
#include "passes/graph/channels.h"
#include "passes/graph/fold_rules.h"

namespace bnc {

namespace {

constexpr int channel_axis = 3;

// One number for each of the C channels of the image as it stands in the weight: [C/groups, O], in each filter those of its group.
Value along_inputs(GraphBuilder& builder, Value channels, const Node& node) {
  const Shape& weight = node.operands[1].type().shape;
  const int64_t groups = node.attribute("groups").integer(), in = weight[2].factor, out = weight[3].factor;
  if (groups == 1) return builder.reshape(channels, {{in}, {1}});
  const Value by_group = builder.value("transpose", {builder.reshape(channels, {{groups}, {in}})});
  const Value spread = builder.value("broadcast_to", {builder.reshape(by_group, {{in}, {groups}, {1}})},
                                     {{"shape", Shape{{in}, {groups}, {out / groups}}}});
  return builder.reshape(spread, {{in}, {out}});
}

std::string why_not_weights(const FoldScope& scope, const Node& node, int axis) {
  if (!scope.is_constant(node.operands[1])) return fmt::format("the weight of {} is computed from the network's input", describe(node));
  if (axis != channel_axis)
    return fmt::format("the scale runs along axis {}, the channels of {} are on axis {}", axis, describe(node), channel_axis);
  return {};
}

// Along one axis the pixels whose window lies within the image get the same shift; those before and behind them a shift each.
struct Border {
  int64_t interior;   // how many pixels precede the inner ones
  int64_t count;      // pixels before and behind, and one for the inner ones
  int64_t image;      // the extent of an image whose convolution has just these pixels
};

Border border_of(const ops::Window& window) {
  const int64_t output = window.output();
  const int64_t before = std::min(output, divide_up(window.before, window.stride));
  const int64_t room = window.input + window.before - (window.span() - 1);   // the first place at which the window ends behind the image
  const int64_t behind = output - std::clamp<int64_t>(divide_up(std::max<int64_t>(room, 0), window.stride), 0, output);
  if (before + behind >= output) return {std::min(before, output - 1), output, window.input};
  const int64_t count = before + 1 + behind;
  return {before, count, window.input - window.stride * (output - count)};
}

// What becomes of a constant image with `shift` in each channel: the sum of the taps that lie within it. Taps are summed over
// their channels first; then a convolution of the smallest image of ones that has every kind of border gives the table.
Value shift_table(GraphBuilder& builder, const Node& node, Value shift, const Border& rows, const Border& columns) {
  const Value taps = builder.value("reduce_sum", {builder.mul(node.operands[1], along_inputs(builder, shift, node))},
                                   {{"axes", IntList{2}}, {"keep_dims", true}});
  AttributeMap window = ops::window_attributes(node);
  window["groups"] = 1;
  const Value ones = builder.constant(1, {DType::f32, {Dim{1}, {rows.image}, {columns.image}, Dim{1}}});
  return builder.value("convolution", {ones, taps}, window);
}

}  // namespace

ProducerFolding into_convolution(const FoldScope& scope, Node& node, int axis) {
  if (std::string reason = why_not_weights(scope, node, axis); !reason.empty()) return {reason, {}, {}};
  return {{}, describe(node), [&node](GraphBuilder& builder, const Affine& map) {
    const Value weight = builder.mul(node.operands[1], map.scale);
    return add_shift(builder, rebuild(builder, node, node.op->name, {node.operands[0], weight}, node.attributes), map.shift, channel_axis);
  }};
}

ProducerFolding into_transposed_convolution(const FoldScope& scope, Node& node, int axis) {
  if (std::string reason = why_not_weights(scope, node, axis); !reason.empty()) return {reason, {}, {}};
  return {{}, describe(node), [&node](GraphBuilder& builder, const Affine& map) {
    const Value weight = builder.mul(node.operands[1], along_inputs(builder, map.scale, node));
    return add_shift(builder, rebuild(builder, node, node.op->name, {node.operands[0], weight}, node.attributes), map.shift, channel_axis);
  }};
}

// (x + table) * s + t = x * s + (table * s + t), where x must take up the scale.
ProducerFolding into_border_bias(const FoldScope& scope, Node& node, int axis) {
  if (axis != channel_axis)
    return {fmt::format("the scale runs along axis {}, the channels of {} are on axis {}", axis, describe(node), channel_axis), {}, {}};
  if (!scope.is_constant(node.operands[1]))
    return {fmt::format("the table of {} is computed from the network's input", describe(node)), {}, {}};
  ProducerFolding inner = fold_into_producer(scope, node.operands[0], axis);
  if (!inner.refusal.empty()) return inner;
  return {{}, inner.place, [&node, inner](GraphBuilder& builder, const Affine& map) {
    const Value x = inner.apply(builder, {map.scale, {}});
    Value table = builder.mul(node.operands[1], map.scale);
    if (map.shift) table = builder.add(table, map.shift);
    return rebuild(builder, node, "border_bias", {x, table}, node.attributes);
  }};
}

ConsumerFolding into_convolution_behind(const FoldScope& scope, Node& node, int operand, int axis) {
  if (operand != 0) return {fmt::format("it is the weight of {}", describe(node)), {}, {}};
  if (std::string reason = why_not_weights(scope, node, axis); !reason.empty()) return {reason, {}, {}};
  Node* bias = bias_behind(scope, node);
  return {{}, describe(node), [&node, bias](Graph& graph, Value x, const Affine& map) {
    GraphBuilder builder = GraphBuilder::before(graph, bias ? bias : &node);
    builder.at(node.range);
    const Value scaled = builder.mul(node.operands[1], along_inputs(builder, map.scale, node));
    const auto [height, width] = ops::convolution_of(node.operands[0].type().shape, node.operands[1].type().shape, node.attributes).windows;
    const Border rows = border_of(height), columns = border_of(width);
    const Value table = shift_table(builder, node, map.shift, rows, columns);
    const Value raw = rebuild(builder, node, "convolution", {x, scaled}, node.attributes);
    if (rows.count == 1 && columns.count == 1)
      return put_shift_behind(graph, builder, node, raw, bias, builder.reshape(table, {raw.type().shape[channel_axis]}));
    put_shift_behind(graph, builder, node, raw, bias, table, "border_bias", {{"interior", IntList{rows.interior, columns.interior}}});
  }};
}

// Which taps fall on a pixel depends on its phase in the stride, so that a shift would become an image of its own.
ConsumerFolding into_transposed_convolution_behind(const FoldScope&, Node& node, int, int) {
  return {fmt::format("the pixels of {} are sums over different taps, so that the shift would differ from pixel to pixel", describe(node)),
          {},
          {}};
}

}  // namespace bnc
