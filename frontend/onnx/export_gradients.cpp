// Parts of gradients, which a network may hold like other ops.
#include <cmath>

#include "frontend/onnx/exporter.h"
#include "ir/ops/common.h"

namespace bnc {

namespace {

double number_of(const Node& node, const char* attribute) { return node.attribute(attribute).number(); }

std::string where_at_most(OnnxExporter& out, const std::string& x, double bound, const std::string& below, const std::string& above) {
  return out.emit("Where", {out.emit("LessOrEqual", {x, out.scalar(bound)}), below, above});
}

std::string where_at_least(OnnxExporter& out, const std::string& x, double bound, const std::string& above, const std::string& below) {
  return out.emit("Where", {out.emit("GreaterOrEqual", {x, out.scalar(bound)}), above, below});
}

// dx from dy and x, element by element.
using OnnxSlope = std::string (*)(OnnxExporter&, const Node&, const std::string& dy, const std::string& x);

std::string gelu_slope(OnnxExporter& out, const Node&, const std::string& dy, const std::string& x) {
  const std::string erf = out.emit("Erf", {out.emit("Div", {x, out.scalar(std::sqrt(2.0))})});
  const std::string distribution = out.emit("Mul", {out.emit("Add", {erf, out.scalar(1)}), out.scalar(0.5)});
  const std::string exponent = out.emit("Mul", {out.emit("Mul", {x, x}), out.scalar(-0.5)});
  const std::string density = out.emit("Mul", {out.emit("Exp", {exponent}), out.scalar(1 / std::sqrt(2 * std::acos(-1.0)))});
  return out.emit("Mul", {dy, out.emit("Add", {distribution, out.emit("Mul", {x, density})})});
}

std::string hard_swish_slope(OnnxExporter& out, const Node&, const std::string& dy, const std::string& x) {
  const std::string line = out.emit("Div", {out.emit("Add", {out.emit("Mul", {x, out.scalar(2)}), out.scalar(3)}), out.scalar(6)});
  return where_at_most(out, x, -3, out.scalar(0), where_at_least(out, x, 3, dy, out.emit("Mul", {dy, line})));
}

std::string between(OnnxExporter& out, const std::string& x, double low, double high, const std::string& inside) {
  const std::string zero = out.scalar(0);
  return where_at_most(out, x, low, zero, where_at_least(out, x, high, zero, inside));
}

const std::map<std::string, OnnxSlope, std::less<>>& onnx_slopes() {
#define BNC_ONNX_SLOPE \
  [](OnnxExporter & out, [[maybe_unused]] const Node& node, const std::string& dy, const std::string& x) -> std::string
  static const std::map<std::string, OnnxSlope, std::less<>> slopes = {
      {"relu_gradient", BNC_ONNX_SLOPE { return where_at_most(out, x, 0, out.scalar(0), dy); }},
      {"abs_gradient", BNC_ONNX_SLOPE { return out.emit("Mul", {dy, out.emit("Sign", {x})}); }},
      {"leaky_relu_gradient", BNC_ONNX_SLOPE {
         return where_at_most(out, x, 0, out.emit("Mul", {dy, out.scalar(number_of(node, "slope"))}), dy);
       }},
      {"elu_gradient", BNC_ONNX_SLOPE {
         const std::string slope = out.emit("Mul", {out.emit("Exp", {x}), out.scalar(number_of(node, "alpha"))});
         return where_at_most(out, x, 0, out.emit("Mul", {dy, slope}), dy);
       }},
      {"gelu_gradient", gelu_slope},
      {"hard_sigmoid_gradient", BNC_ONNX_SLOPE { return between(out, x, -3, 3, out.emit("Div", {dy, out.scalar(6)})); }},
      {"hard_swish_gradient", hard_swish_slope},
      {"clip_gradient", BNC_ONNX_SLOPE { return between(out, x, number_of(node, "low"), number_of(node, "high"), dy); }},
  };
#undef BNC_ONNX_SLOPE
  return slopes;
}

void convert_slope(OnnxExporter& out, Node& node) {
  const Aligned operands = out.align(node, node.operands);
  out.set(node.result(), onnx_slopes().find(node.op->name)->second(out, node, operands.names[0], operands.names[1]), operands.order);
}

void convert_prelu_gradient(OnnxExporter& out, Node& node) {
  const Aligned operands = out.align(node, {node.operands[0], node.operands[1]});
  const std::string slope = out.channels(node.operands[2], ops::axis_of(node), operands.order), dy = operands.names[0];
  out.set(node.result(), where_at_most(out, operands.names[1], 0, out.emit("Mul", {dy, slope}), dy), operands.order);
}

void convert_reduce_max_gradient(OnnxExporter& out, Node& node) {
  const Aligned operands = out.align(node, node.operands);
  const std::string smaller = out.emit("Less", {operands.names[1], operands.names[2]});
  out.set(node.result(), out.emit("Where", {smaller, out.scalar(0), operands.names[0]}), operands.order);
}

// mean_gradient/m + variance_gradient*2*(x - mean)/m
void convert_moments_gradient(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0], of_mean = optional_operand(node, 2), of_variance = optional_operand(node, 3);
  const int axis = ops::axis_of(node);
  const AxisOrder order = out.order_of(x);
  const std::string name = out.tensor(x, order);
  const std::string count = out.count(x.type().shape, ops::other_axes(x.type().rank(), axis));
  const std::string distance = out.emit("Sub", {name, out.channels(node.operands[1], axis, order)});
  std::string sum;
  if (of_variance) {
    const std::string twice = out.emit("Mul", {distance, out.scalar(2)});
    sum = out.emit("Mul", {twice, out.channels(of_variance, axis, order)});
  }
  if (of_mean) {
    // Without the other part, zeros give it the shape of x.
    const std::string rest = sum.empty() ? out.emit("Mul", {distance, out.scalar(0)}) : sum;
    sum = out.emit("Add", {rest, out.channels(of_mean, axis, order)});
  }
  out.set(node.result(), out.emit("Div", {sum, count}), order);
}

// gamma*rsqrt(variance + epsilon)*(dy - beta_gradient/m - xhat*gamma_gradient/m)
void convert_batch_norm_input_gradient(OnnxExporter& out, Node& node) {
  const int axis = ops::axis_of(node);
  const Aligned operands = out.align(node, {node.operands[0], node.operands[1]});
  const auto channels = [&](size_t k) { return out.channels(node.operands[k], axis, operands.order); };
  const Value x = node.operands[1];
  const std::string count = out.count(x.type().shape, ops::other_axes(x.type().rank(), axis));
  const std::string variance = out.emit("Add", {channels(4), out.scalar(number_of(node, "epsilon"))});
  const std::string deviation = out.emit("Sqrt", {variance});
  const std::string normalized = out.emit("Div", {out.emit("Sub", {operands.names[1], channels(3)}), deviation});
  const std::string shift = out.emit("Div", {channels(5), count});
  const std::string slope = out.emit("Mul", {normalized, out.emit("Div", {channels(6), count})});
  const std::string rest = out.emit("Sub", {out.emit("Sub", {operands.names[0], shift}), slope});
  out.set(node.result(), out.emit("Mul", {rest, out.emit("Div", {channels(2), deviation})}), operands.order);
}

}  // namespace

const OnnxConverters& gradient_converters() {
  static const OnnxConverters converters = [] {
    OnnxConverters all = {{"prelu_gradient", convert_prelu_gradient},
                          {"reduce_max_gradient", convert_reduce_max_gradient},
                          {"moments_gradient", convert_moments_gradient},
                          {"batch_norm_input_gradient", convert_batch_norm_input_gradient}};
    for (const auto& [op, slope] : onnx_slopes()) all[op] = convert_slope;
    return all;
  }();
  return converters;
}

}  // namespace bnc
