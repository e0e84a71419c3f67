#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

namespace {

std::vector<TensorType> infer_moments(const InferContext& cx) {
  ops::require_f32(cx, 1);
  if (cx.type(0).rank() < 2)
    ops::fail(cx, 3, fmt::format("`x` needs at least 2 dimensions, the channels and one to average over, got {}", cx.show(cx.type(0))));
  int axis = ops::channel_axis(cx, 2, {});
  TensorType channels{DType::f32, {cx.type(0).shape[axis]}};
  return {channels, channels};
}

std::vector<Tensor> evaluate_moments(const EvaluateContext& cx) {
  ops::Moments moments = ops::moments_of(cx.operand(0), ops::axis_of(cx.node));
  Tensor mean = cx.result(0), variance = cx.result(1);
  mean.data = moments.mean;
  variance.data = moments.variance;
  return {mean, variance};
}

std::vector<TensorType> infer_moments_gradient(const InferContext& cx) {
  ops::require_f32(cx, 1);
  ops::channel_axis(cx, 2, {1, 2, 3});
  if (!cx.has(2) && !cx.has(3)) ops::fail(cx, 4, "neither the gradient of the mean nor that of the variance is given");
  return {cx.type(0)};
}

std::vector<Tensor> evaluate_moments_gradient(const EvaluateContext& cx) {
  const Tensor& x = cx.operand(0);
  int axis = ops::axis_of(cx.node);
  double m = static_cast<double>(ops::elements_per_channel(x, axis));
  Tensor dx = cx.result();
  ops::for_each_in_channel(x, axis, [&](int64_t p, int64_t c) {
    if (cx.has(2)) dx.data[p] += cx.operand(2).data[c] / m;
    if (cx.has(3)) dx.data[p] += cx.operand(3).data[c] * 2 * (x.data[p] - cx.operand(1).data[c]) / m;
  });
  return {dx};
}

Expr moments_gradient_element(ElementContext& cx, const Index& index) {
  int axis = ops::axis_of(cx.node);
  Expr sum;
  if (cx.node.operands[3]) {
    Expr difference = cx.operand(0, index) - ops::channel_operand(cx, 1, index, axis);
    sum = difference * (real(2) * ops::channel_operand(cx, 3, index, axis) * ops::reciprocal_channel_count(cx, 0, axis));
  }
  if (cx.node.operands[2]) {
    Expr share = ops::channel_operand(cx, 2, index, axis) * ops::reciprocal_channel_count(cx, 0, axis);
    sum = sum ? sum + share : share;
  }
  return sum;
}

}  // namespace

OpDefinition moments_op() {
  return {
      .name = "moments",
      .category = OpCategory::normalization,
      .summary = "Mean and biased variance of each channel.",
      .description =
          "mean = sum x/m, variance = sum (x - mean)^2/m over the m elements of a channel, that is over all axes but `axis` (bn-train). "
          "Generated code merges (count, mean, variance) of fixed parts in a fixed tree (Chan, Golub and LeVeque, \"Updating formulae and "
          "a pairwise algorithm for computing sample variances\", 1979); nothing cancels, and equal elements give variance 0 exactly.",
      .operands = {ops::tensor_operand("x", "at least 2 dimensions")},
      .attributes = {ops::axis_attribute("the channels")},
      .results = {{"mean", "`f32[C]`"}, {"variance", "`f32[C]`, biased"}},
      .constraints = {"`x` is f32", ops::axis_constraint, "`x` has at least 2 dimensions"},
      .infer = infer_moments,
      .gradient =
          [](GradientContext& cx) {
            return std::vector{cx.builder.value("moments_gradient", {cx.operand(0), cx.result(0), cx.gradient(0), cx.gradient(1)},
                                                {{"axis", cx.node.attribute("axis")}})};
          },
      .evaluate = evaluate_moments,
      .lowering = ReduceLowering{
          .kind = ReduceLowering::Kind::moments,
          .axes = [](const Node& node) { return ops::other_axes(node.operands[0].type().rank(), ops::axis_of(node)); },
          .keep_dims = [](const Node&) { return false; }},
      .example = "moments(x)",
      .example_inputs = "x: f32[N, 5]",
  };
}

OpDefinition moments_gradient_op() {
  return {
      .name = "moments_gradient",
      .category = OpCategory::gradient,
      .summary = "Gradient of moments.",
      .description = "dx = mean_gradient/m + variance_gradient*2*(x - mean)/m; an absent gradient counts as 0 (bn-backward).",
      .operands = {ops::fixed_operand("x", "what the moments were taken of"), ops::fixed_operand("mean", "`f32[C]`, their mean"),
                   {.name = "mean_gradient", .doc = "`f32[C]`", .optional = true, .differentiable = false},
                   {.name = "variance_gradient", .doc = "`f32[C]`", .optional = true, .differentiable = false}},
      .attributes = {ops::axis_attribute("the channels")},
      .results = {{"dx", "the type of `x`"}},
      .constraints = {"all operands are f32", ops::axis_constraint,
                      ops::channels_constraint("`mean`, `mean_gradient` and `variance_gradient` are"), "one of the two gradients is given"},
      .infer = infer_moments_gradient,
      .evaluate = evaluate_moments_gradient,
      .lowering = ElementLowering{.element = moments_gradient_element, .pointwise = true, .cost = 4},
      .example = "moments_gradient(x, m, dm, dv)",
      .example_inputs = "x: f32[N, 5], m: f32[5], dm: f32[5], dv: f32[5]",
  };
}

}  // namespace bnc
