// Functions of each element that networks put behind their layers.
#include <algorithm>
#include <cmath>

#include "frontend/onnx/import/node_import.h"

namespace bnc::onnx {

namespace {

// An op of bnc of the same meaning.
template <const char* const& op>
void import_as(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.value(op, {x}); });
}

constexpr const char *relu = "relu", *sigmoid = "sigmoid", *tanh_op = "tanh", *softplus = "softplus", *hard_swish = "hard_swish",
                     *erf_op = "erf";

void import_leaky_relu(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.value("leaky_relu", {x}, {{"slope", cx.number("alpha", 0.01)}}); });
}

void import_elu(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.value("elu", {x}, {{"alpha", cx.number("alpha", 1)}}); });
}

void import_selu(NodeImport& cx) {
  const double alpha = cx.number("alpha", 1.6732632), gamma = cx.number("gamma", 1.050701);
  cx.elementwise([&](Value x) { return cx.build.scale(cx.build.value("elu", {x}, {{"alpha", alpha}}), gamma); });
}

// max(0, x) + min(0, alpha*(exp(x/alpha) - 1)).
void import_celu(NodeImport& cx) {
  const double alpha = cx.number("alpha", 1);
  if (alpha == 0) cx.fail("its `alpha` is 0");
  cx.elementwise([&](Value x) {
    if (alpha == 1) return cx.build.value("elu", {x});
    return cx.build.scale(cx.build.value("elu", {cx.build.scale(x, 1 / alpha)}), alpha);
  });
}

void import_hard_sigmoid(NodeImport& cx) {
  const double alpha = cx.number("alpha", 0.2), beta = cx.number("beta", 0.5);
  const bool usual = std::abs(alpha - 1.0 / 6) < 1e-6 && beta == 0.5;
  cx.elementwise([&](Value x) {
    if (usual) return cx.build.value("hard_sigmoid", {x});
    return cx.build.value("clip", {cx.build.add(cx.build.scale(x, alpha), cx.build.constant(beta))});
  });
}

void import_softsign(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.div(x, cx.build.add(cx.build.value("abs", {x}), cx.build.constant(1))); });
}

void import_mish(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.mul(x, cx.build.value("tanh", {cx.build.value("softplus", {x})})); });
}

void import_swish(NodeImport& cx) {
  const double alpha = cx.number("alpha", 1);
  cx.elementwise([&](Value x) {
    return cx.build.mul(x, cx.build.value("sigmoid", {alpha == 1 ? x : cx.build.scale(x, alpha)}));
  });
}

void import_gelu(NodeImport& cx) {
  const bool by_tanh = cx.text("approximate", "none") == "tanh";
  cx.elementwise([&](Value x) {
    if (!by_tanh) return cx.build.value("gelu", {x});
    // x/2 * (1 + tanh(sqrt(2/pi)*(x + 0.044715*x^3))), Hendrycks and Gimpel 2016.
    const Value cube = cx.build.scale(cx.build.mul(x, cx.build.mul(x, x)), 0.044715);
    const Value inner = cx.build.value("tanh", {cx.build.scale(cx.build.add(x, cube), 0.7978845608028654)});
    return cx.build.mul(cx.build.scale(x, 0.5), cx.build.add(inner, cx.build.constant(1)));
  });
}

void import_shrink(NodeImport& cx) {
  const double threshold = cx.number("lambd", 0.5);
  if (cx.number("bias", 0) != threshold) cx.fail("its result jumps at its threshold, which no op of bnc does");
  cx.elementwise([&](Value x) {
    const Value over = cx.build.value("relu", {cx.build.sub(x, cx.build.constant(threshold))});
    const Value under = cx.build.value("relu", {cx.build.sub(cx.build.neg(x), cx.build.constant(threshold))});
    return cx.build.sub(over, under);
  });
}

// 1 at the first of the largest elements along an axis, 0 elsewhere.
void import_hardmax(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t axis = axis_of(cx.node, cx.integer("axis", cx.opset < 13 ? 1 : -1), x.rank());
  const int64_t extent = cx.fixed(0, axis, "the dimension it looks along");
  if (cx.opset < 13 && axis != x.rank() - 1) cx.fail("it takes several dimensions as one");
  IntList order = identity_order(x.rank());   // the axis last, as that of classes is
  std::rotate(order.begin() + axis, order.begin() + axis + 1, order.end());
  const Value places = cx.build.value("argmax", {cx.importer.in_order(x, order)}, {{"axis", x.rank() - 1}});
  cx.give(cx.build.value("one_hot", {places}, {{"classes", extent}}), order);
}

void import_thresholded_relu(NodeImport& cx) {
  const double threshold = cx.number("alpha", 1);
  cx.elementwise([&](Value x) { return cx.build.value("relu_gradient", {x, cx.build.sub(x, cx.build.constant(threshold))}); });
}

// A slope for each channel, or as the slopes broadcast.
void import_prelu(NodeImport& cx) {
  Imported &x = cx.operand(0), &given = cx.operand(1);
  // Before opset 7 a vector of slopes was one for each channel, which is dimension 1.
  const bool by_channel = cx.opset < 7 && given.rank() == 1 && x.rank() > 2;
  const ImportedPointer slopes = by_channel ? cx.with_ones(given, x.rank() - 2) : cx.shared_operand(1);
  Imported& slope = *slopes;
  if (slope.known && slope.known->size() == 1)
    return cx.elementwise([&](Value value) {
      return cx.build.value("prelu", {value, cx.importer.parameter(slope, identity_order(slope.rank()), {.stem = "alpha"}, {1})});
    });
  cx.give(cx.combined(x, slope, [&](Value value, Value alpha) {
    if (alpha.type().shape.size() == 1 && value.type().rank() > 1 && alpha.type().shape[0] == value.type().shape.back())
      return cx.build.value("prelu", {value, alpha});
    const Value below = cx.build.value("relu", {cx.build.neg(value)});
    return cx.build.sub(cx.build.value("relu", {value}), cx.build.mul(alpha, below));
  }));
}

}  // namespace

const std::vector<OpRule>& activation_rules() {
  static const std::vector<OpRule> rules = {{"Celu", import_celu},
                                            {"Elu", import_elu},
                                            {"Erf", import_as<erf_op>},
                                            {"Gelu", import_gelu},
                                            {"Hardmax", import_hardmax},
                                            {"HardSigmoid", import_hard_sigmoid},
                                            {"HardSwish", import_as<hard_swish>},
                                            {"LeakyRelu", import_leaky_relu},
                                            {"Mish", import_mish},
                                            {"PRelu", import_prelu},
                                            {"Relu", import_as<relu>},
                                            {"Selu", import_selu},
                                            {"Shrink", import_shrink},
                                            {"Sigmoid", import_as<sigmoid>},
                                            {"Softplus", import_as<softplus>},
                                            {"Softsign", import_softsign},
                                            {"Swish", import_swish},
                                            {"Tanh", import_as<tanh_op>},
                                            {"ThresholdedRelu", import_thresholded_relu}};
  return rules;
}

}  // namespace bnc::onnx
