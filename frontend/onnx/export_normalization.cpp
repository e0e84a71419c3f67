// Normalization.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/onnx/exporter.h"
#include "ir/ops/common.h"

namespace bnc {

namespace {

double epsilon_of(const Node& node) { return node.attribute("epsilon").number(); }

// Axes of a value as they are stored, in ascending order.
OnnxNumbers stored_axes(const AxisOrder& order, const std::vector<int>& axes) {
  OnnxNumbers stored;
  for (const int axis : axes) stored.push_back(stored_axis(order, axis));
  std::sort(stored.begin(), stored.end());
  return stored;
}

std::string mean_over(OnnxExporter& out, const std::string& x, const OnnxNumbers& axes, bool keep_dims = true) {
  if (axes.empty()) return x;
  return out.emit("ReduceMean", {x}, {{"axes", axes}, {"keepdims", int64_t{keep_dims}}});
}

// x/sqrt(variance + epsilon)
std::string over_deviation(OnnxExporter& out, const std::string& x, const std::string& variance, double epsilon) {
  return out.emit("Div", {x, out.emit("Sqrt", {out.emit("Add", {variance, out.scalar(epsilon)})})});
}

// The order in which a batch norm of these channels takes what is there, best without a transposition.
AxisOrder batch_norm_order(const OnnxExporter& out, Value x, int axis) {
  const AxisOrder order = out.order_of(x);
  return order.size() > 1 && order[1] == axis ? order : axis_second(x.type().rank(), axis);
}

// ONNX's momentum weighs the old value, as the decay of `ema` does.
float momentum_of(OnnxExporter& out, const Node& node) {
  const Symbol& stats = node.attribute("stats").symbol();
  const bool is_plain = stats.name == "ema" && !stats.flag("corrected");
  if (!is_plain && node.attribute("mode") != Attribute("infer"))
    out.note(fmt::format("ONNX has no word for `stats={}`: in training, these running statistics would move as with `ema(decay={})`",
                         to_string(node.attribute("stats")), stats.number("decay", 0.9)));
  return static_cast<float>(stats.name == "ema" ? stats.number("decay", 0.9) : 0.9);
}

void convert_batch_norm(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const int axis = ops::axis_of(node);
  const OnnxNumbers image = out.image_of(x);
  const AxisOrder order = image.empty() ? batch_norm_order(out, x, axis) : logical_order(2);
  std::vector<std::string> inputs = {image.empty() ? out.tensor(x, order) : out.columns(x)};
  for (size_t k = 1; k <= 4; ++k) {
    LeafForm form;
    if (!image.empty()) form.image_axis = 0, form.image = image;
    inputs.push_back(out.is_leaf(node.operands[k]) ? out.leaf(node.operands[k], form) : out.tensor(node.operands[k]));
  }
  const OnnxAttributes attributes = {{"epsilon", static_cast<float>(epsilon_of(node))}, {"momentum", momentum_of(out, node)}};
  out.set(node.result(), out.emit("BatchNormalization", inputs, attributes), order, image);
  for (int k = 1; k <= 2; ++k)   // in inference it normalizes with what is stored
    if (out.uses().count(node.result(k)) > 0) out.alias(node.result(k), node.operands[static_cast<size_t>(k) + 2]);
}

// A scale or shift with the dimensions of x along `axes`, as x is stored; empty where there is none.
std::string along(OnnxExporter& out, Value value, const std::vector<int>& axes, const AxisOrder& order) {
  if (!value) return "";
  AxisOrder own;
  for (const int axis : order)
    if (const int k = stored_axis(axes, axis); k < static_cast<int>(axes.size())) own.push_back(k);
  return out.tensor(value, own);
}

void convert_layer_norm(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const int rank = x.type().rank();
  const std::vector<int> axes = ops::axes_of(node);
  AxisOrder order = out.order_of(x);
  const size_t first = order.size() - axes.size();
  const auto is_normalized = [&](int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); };
  if (!std::all_of(order.begin() + static_cast<ptrdiff_t>(first), order.end(), is_normalized)) order = axes_last(rank, axes);
  std::string scale = along(out, optional_operand(node, 1), axes, order);
  if (scale.empty()) {   // ONNX wants one
    OnnxNumbers dims;
    for (size_t k = first; k < order.size(); ++k) dims.push_back(x.type().shape[static_cast<size_t>(order[k])].factor);
    int64_t count = 1;
    for (const int64_t dim : dims) count *= dim;
    scale = out.floats(OnnxConstants(static_cast<size_t>(count), 1), dims);
  }
  std::vector<std::string> inputs = {out.tensor(x, order), scale};
  if (const std::string shift = along(out, optional_operand(node, 2), axes, order); !shift.empty()) inputs.push_back(shift);
  const OnnxAttributes attributes = {{"axis", static_cast<int64_t>(first)}, {"epsilon", static_cast<float>(epsilon_of(node))}};
  out.set(node.result(), out.emit("LayerNormalization", inputs, attributes), order);
}

void convert_rms_norm(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const std::vector<int> axes = ops::axes_of(node);
  const AxisOrder order = out.order_of(x);
  const std::string name = out.tensor(x, order);
  std::string result = over_deviation(out, name, mean_over(out, out.emit("Mul", {name, name}), stored_axes(order, axes)), epsilon_of(node));
  if (const Value gamma = optional_operand(node, 1)) {
    Shape kept;   // in the order of the axes, with ones for the others
    for (const int axis : order) {
      const bool is_kept = std::find(axes.begin(), axes.end(), axis) != axes.end();
      kept.push_back(is_kept ? x.type().shape[static_cast<size_t>(axis)] : Dim{1});
    }
    const std::string scale = along(out, gamma, axes, order);
    result = out.emit("Mul", {result, static_cast<int>(kept.size()) == gamma.type().rank() ? scale : out.reshape(scale, kept)});
  }
  out.set(node.result(), result, order);
}

// One number a channel, or ones or zeros.
std::string channel_numbers(OnnxExporter& out, Value value, int64_t channels, double otherwise) {
  return value ? out.tensor(value) : out.floats(OnnxConstants(static_cast<size_t>(channels), otherwise), {channels});
}

void convert_instance_norm(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const AxisOrder order = channels_first(x.type().rank());
  const int64_t channels = x.type().shape.back().factor;
  out.set(node.result(),
          out.emit("InstanceNormalization",
                   {out.tensor(x, order), channel_numbers(out, optional_operand(node, 1), channels, 1),
                    channel_numbers(out, optional_operand(node, 2), channels, 0)},
                   {{"epsilon", static_cast<float>(epsilon_of(node))}}),
          order);
}

// Each group is a channel of an instance norm, whose pixels are those of all its channels.
void convert_group_norm(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const int rank = x.type().rank();
  const Shape& shape = x.type().shape;
  const AxisOrder order = channels_first(rank);
  const int64_t groups = node.attribute("groups").integer();
  Shape stored;
  for (const int axis : order) stored.push_back(shape[static_cast<size_t>(axis)]);
  const std::string grouped = out.emit("Reshape", {out.tensor(x, order), out.numbers({0, groups, -1})});
  const OnnxConstants ones(static_cast<size_t>(groups), 1), zeros(static_cast<size_t>(groups), 0);
  const std::string normalized = out.emit("InstanceNormalization", {grouped, out.floats(ones, {groups}), out.floats(zeros, {groups})},
                                          {{"epsilon", static_cast<float>(epsilon_of(node))}});
  std::string result = out.reshape(normalized, stored);
  if (const Value gamma = optional_operand(node, 1)) result = out.emit("Mul", {result, out.channels(gamma, rank - 1, order)});
  if (const Value beta = optional_operand(node, 2)) result = out.emit("Add", {result, out.channels(beta, rank - 1, order)});
  out.set(node.result(), result, order);
}

void convert_standardize(OnnxExporter& out, Node& node) {
  const AxisOrder order = out.order_of(node.operands[0]);
  const OnnxNumbers axes = stored_axes(order, ops::axes_of(node));
  const std::string x = out.tensor(node.operands[0], order);
  const std::string centered = out.emit("Sub", {x, mean_over(out, x, axes)});
  const std::string variance = mean_over(out, out.emit("Mul", {centered, centered}), axes);
  out.set(node.result(), over_deviation(out, centered, variance, epsilon_of(node)), order);
}

void convert_moments(OnnxExporter& out, Node& node) {
  const AxisOrder order = out.order_of(node.operands[0]);
  const OnnxNumbers axes = stored_axes(order, ops::other_axes(static_cast<int>(order.size()), ops::axis_of(node)));
  const std::string x = out.tensor(node.operands[0], order), mean = mean_over(out, x, axes);
  const std::string centered = out.emit("Sub", {x, mean});
  const std::string variance = mean_over(out, out.emit("Mul", {centered, centered}), axes, false);
  out.set(node.result(0), out.reshape(mean, node.results[0].type.shape));
  out.set(node.result(1), variance);
}

void convert_normalize(OnnxExporter& out, Node& node) {
  const int axis = ops::axis_of(node);
  const AxisOrder order = out.order_of(node.operands[0]);
  const std::string mean = out.channels(node.operands[1], axis, order), variance = out.channels(node.operands[2], axis, order);
  const std::string centered = out.emit("Sub", {out.tensor(node.operands[0], order), mean});
  out.set(node.result(), over_deviation(out, centered, variance, epsilon_of(node)), order);
}

void convert_scale_shift(OnnxExporter& out, Node& node) {
  const int axis = ops::axis_of(node);
  const Aligned x = out.align(node, {node.operands[0]});
  const std::string scaled = out.emit("Mul", {x.names[0], out.channels(node.operands[1], axis, x.order, x.image)});
  out.set(node.result(), out.emit("Add", {scaled, out.channels(node.operands[2], axis, x.order, x.image)}), x.order, x.image);
}

void convert_preprocess(OnnxExporter& out, Node& node) {
  const Aligned x = out.align(node, node.operands);
  out.set(node.result(), out.emit("Div", {out.emit("Sub", {x.names[0], x.names[1]}), x.names[2]}), x.order);
}

}  // namespace

const OnnxConverters& normalization_converters() {
  static const OnnxConverters converters = {
      {"batch_norm", convert_batch_norm},       {"layer_norm", convert_layer_norm}, {"rms_norm", convert_rms_norm},
      {"group_norm", convert_group_norm},       {"moments", convert_moments},       {"instance_norm", convert_instance_norm},
      {"standardize", convert_standardize},     {"normalize", convert_normalize},   {"scale_shift", convert_scale_shift},
      {"preprocess", convert_preprocess},
  };
  return converters;
}

}  // namespace bnc
