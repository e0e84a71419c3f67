// Activations, and dropout, which in inference is the identity.
#include <cmath>

#include "frontend/onnx/exporter.h"
#include "ir/ops/common.h"

namespace bnc {

namespace {

// What a map makes of the tensor of that name.
using OnnxMap = std::string (*)(OnnxExporter&, const Node&, const std::string& x);

const std::map<std::string, OnnxMap, std::less<>>& unary_maps() {
#define BNC_ONNX_MAP [](OnnxExporter & out, [[maybe_unused]] const Node& node, const std::string& x) -> std::string
  static const std::map<std::string, OnnxMap, std::less<>> maps = {
      {"relu", BNC_ONNX_MAP { return out.emit("Relu", {x}); }},
      {"leaky_relu", BNC_ONNX_MAP {
         return out.emit("LeakyRelu", {x}, {{"alpha", static_cast<float>(node.attribute("slope").number())}});
       }},
      {"elu", BNC_ONNX_MAP { return out.emit("Elu", {x}, {{"alpha", static_cast<float>(node.attribute("alpha").number())}}); }},
      {"sigmoid", BNC_ONNX_MAP { return out.emit("Sigmoid", {x}); }},
      {"tanh", BNC_ONNX_MAP { return out.emit("Tanh", {x}); }},
      {"softplus", BNC_ONNX_MAP { return out.emit("Softplus", {x}); }},
      {"gelu", BNC_ONNX_MAP {  // Gelu is younger than the opset
         const std::string erf = out.emit("Erf", {out.emit("Div", {x, out.scalar(std::sqrt(2.0))})});
         return out.emit("Mul", {out.emit("Mul", {x, out.emit("Add", {erf, out.scalar(1)})}), out.scalar(0.5)});
       }},
      {"hard_sigmoid", BNC_ONNX_MAP { return out.emit("HardSigmoid", {x}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}}); }},
      {"hard_swish", BNC_ONNX_MAP { return out.emit("HardSwish", {x}); }},
      {"clip", BNC_ONNX_MAP {
         return out.emit("Clip", {x, out.scalar(node.attribute("low").number()), out.scalar(node.attribute("high").number())});
       }},
      {"dropout", BNC_ONNX_MAP { return out.emit("Dropout", {x, out.scalar(node.attribute("rate").number())}); }},
      {"neg", BNC_ONNX_MAP { return out.emit("Neg", {x}); }},
      {"abs", BNC_ONNX_MAP { return out.emit("Abs", {x}); }},
      {"exp", BNC_ONNX_MAP { return out.emit("Exp", {x}); }},
      {"log", BNC_ONNX_MAP { return out.emit("Log", {x}); }},
      {"sqrt", BNC_ONNX_MAP { return out.emit("Sqrt", {x}); }},
      {"rsqrt", BNC_ONNX_MAP { return out.emit("Reciprocal", {out.emit("Sqrt", {x})}); }},
  };
#undef BNC_ONNX_MAP
  return maps;
}

void convert_unary_map(OnnxExporter& out, Node& node) {
  const Aligned x = out.align(node, {node.operands[0]});
  out.set(node.result(), unary_maps().find(node.op->name)->second(out, node, x.names[0]), x.order, x.image);
}

void convert_prelu(OnnxExporter& out, Node& node) {
  const Aligned x = out.align(node, {node.operands[0]});
  const std::string slope = out.channels(node.operands[1], ops::axis_of(node), x.order);
  out.set(node.result(), out.emit("PRelu", {x.names[0], slope}), x.order);
}

template <bool logarithm>
void convert_softmax(OnnxExporter& out, Node& node) {
  const Aligned x = out.align(node, {node.operands[0]});
  const int64_t axis = stored_axis(x.order, ops::axis_of(node));
  out.set(node.result(), out.emit(logarithm ? "LogSoftmax" : "Softmax", {x.names[0]}, {{"axis", axis}}), x.order);
}

}  // namespace

bool is_unary_map(const Node& node) { return unary_maps().contains(node.op->name); }

const OnnxConverters& activation_converters() {
  static const OnnxConverters converters = [] {
    OnnxConverters all = {{"prelu", convert_prelu}, {"softmax", convert_softmax<false>}, {"log_softmax", convert_softmax<true>}};
    for (const auto& [op, map] : unary_maps()) all[op] = convert_unary_map;
    return all;
  }();
  return converters;
}

}  // namespace bnc
