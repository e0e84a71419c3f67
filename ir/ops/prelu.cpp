#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

namespace {

const char* const slopes_constraint = "`alpha` is f32 with one slope for each channel of `x`, or f32[1]";

bool is_shared(const Node& node, int alpha) { return node.operands[alpha].type().shape[0].is_one(); }

// The checked axis of the channels; `alpha` is operand number `alpha`.
int slopes_axis(const InferContext& cx, int constraint, int alpha) {
  const bool shared = cx.has(alpha) && cx.type(alpha) == TensorType{DType::f32, {Dim{1}}};
  return ops::channel_axis(cx, constraint, shared ? std::vector<int>{} : std::vector<int>{alpha});
}

Expr slope(ElementContext& cx, int alpha, const Index& index) {
  return is_shared(cx.node, alpha) ? cx.operand(alpha, {Expr(0)}) : ops::channel_operand(cx, alpha, index, ops::axis_of(cx.node));
}

// y = f(x, slope), for each element of operand 0.
std::vector<Tensor> evaluate_with_slopes(const EvaluateContext& cx, int x, int alpha, double (*f)(double dy, double x, double slope)) {
  Tensor y = cx.operand(0);
  const bool shared = is_shared(cx.node, alpha);
  ops::for_each_in_channel(y, ops::axis_of(cx.node), [&](int64_t p, int64_t c) {
    y.data[p] = f(cx.operand(0).data[p], cx.operand(x).data[p], cx.operand(alpha).data[shared ? 0 : c]);
  });
  return {y};
}

TensorType new_slopes(const InferContext& cx) {
  const int axis = ops::channel_axis(cx, 2, {});
  return {DType::f32, {cx.attribute("shared").boolean() ? Dim{1} : cx.type(0).shape[axis]}};
}

// dx as prelu_gradient has it; dalpha = sum of dy*min(x, 0).
std::vector<Value> prelu_gradients(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const Value dy = cx.gradient(), x = cx.operand(0), alpha = cx.operand(1);
  const Value dx = b.value("prelu_gradient", {dy, x, alpha}, {{"axis", cx.node.attribute("axis")}});
  const Value terms = b.mul(dy, b.neg(b.value("relu", {b.neg(x)})));
  if (!is_shared(cx.node, 1)) return {dx, ops::sum_to_channels(b, terms, ops::axis_of(cx.node))};
  return {dx, b.reshape(b.value("reduce_sum", {terms}), alpha.type().shape)};
}

}  // namespace

OpDefinition prelu_op() {
  return {
      .name = "prelu",
      .category = OpCategory::activation,
      .summary = "Each element, negative ones times a learned slope.",
      .description =
          "y = x where x >= 0, else alpha[channel]*x; the channels are the dimension `axis`. NaN stays NaN. The gradient of `x` at 0 is "
          "that of the negative side (He et al. 2015).",
      .operands = {ops::tensor_operand("x", "at least one dimension"),
                   {.name = "alpha",
                    .doc = "`f32[C]`, or `f32[1]` for all channels",
                    .parameter = ParameterRule{.type = new_slopes, .initializer = {"constant", {{"value", 0.25}}}}}},
      .attributes =
          {ops::axis_attribute("the channels"),
           {.name = "shared", .kind = AttributeKind::boolean, .fallback = false, .doc = "one slope for all channels", .layer_only = true}},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"`x` is f32", ops::axis_constraint, slopes_constraint},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            slopes_axis(cx, 2, 1);
            return std::vector{cx.type(0)};
          },
      .gradient = prelu_gradients,
      .evaluate =
          [](const EvaluateContext& cx) {
            return evaluate_with_slopes(cx, 0, 1, [](double, double x, double a) { return x < 0 ? a * x : x; });
          },
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index& index) {
                                        const Expr x = cx.operand(0, index);
                                        return loops::select(x < real(0), slope(cx, 1, index) * x, x);
                                      },
                                  .pointwise = true,
                                  .cost = 2},
      .example = "prelu(x, alpha)",
      .example_inputs = "x: f32[N, 5], alpha: f32[5]",
  };
}

OpDefinition prelu_gradient_op() {
  return {
      .name = "prelu_gradient",
      .category = OpCategory::gradient,
      .summary = "Gradient of prelu by its input.",
      .description = "dx = alpha[channel]*dy where x <= 0, else dy.",
      .operands = {ops::fixed_operand("dy", "gradient of the result"), ops::fixed_operand("x", "what prelu was applied to"),
                   ops::fixed_operand("alpha", "`f32[C]` or `f32[1]`")},
      .attributes = {ops::axis_attribute("the channels")},
      .results = {{"dx", "the type of `x`"}},
      .constraints = {"all operands are f32", "`dy` and `x` have the same shape", ops::axis_constraint, slopes_constraint},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            if (cx.type(0) != cx.type(1))
              ops::fail(cx, 2, fmt::format("`dy` {} and `x` {} must have the same type", cx.show(cx.type(0)), cx.show(cx.type(1))));
            slopes_axis(cx, 3, 2);
            return std::vector{cx.type(0)};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            return evaluate_with_slopes(cx, 1, 2, [](double dy, double x, double a) { return x <= 0 ? a * dy : dy; });
          },
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index& index) {
                                        const Expr dy = cx.operand(0, index);
                                        return loops::select(cx.operand(1, index) <= real(0), slope(cx, 2, index) * dy, dy);
                                      },
                                  .pointwise = true,
                                  .cost = 2},
      .example = "prelu_gradient(dy, x, alpha)",
      .example_inputs = "dy: f32[N, 5], x: f32[N, 5], alpha: f32[5]",
  };
}

}  // namespace bnc
