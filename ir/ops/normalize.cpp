#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

namespace {

std::vector<Value> normalize_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value x = cx.operand(0), mean = cx.operand(1), variance = cx.operand(2), dy = cx.gradient();
  const Attribute &epsilon = cx.node.attribute("epsilon"), &axis = cx.node.attribute("axis");
  Node* sums = b.create("batch_norm_gradient_sums", {dy, x, mean, variance}, {{"epsilon", epsilon}, {"axis", axis}});
  Value r = ops::reciprocal_deviation(b, variance, epsilon.number());
  Value dx = b.mul(dy, ops::along_axis(b, r, ops::axis_of(cx.node), x.type().rank()));
  Value d_mean = b.neg(b.mul(r, sums->result(0)));
  Value d_variance = b.scale(b.mul(b.mul(r, r), sums->result(1)), -0.5);
  return {dx, d_mean, d_variance};
}

}  // namespace

OpDefinition normalize_op() {
  return {
      .name = "normalize",
      .category = OpCategory::normalization,
      .summary = "Shifts and scales each channel by given statistics.",
      .description =
          "y = (x - mean)*rsqrt(variance + epsilon) (bn-train, bn-infer). `mean` and `variance` are operands like any other: gradients "
          "reach them, and through moments what they were taken of.",
      .operands = {ops::tensor_operand("x", "at least one dimension"), ops::tensor_operand("mean", "`f32[C]`"),
                   ops::tensor_operand("variance", "`f32[C]`, biased")},
      .attributes = {ops::epsilon_attribute(), ops::axis_attribute("the channels")},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"all operands are f32", ops::axis_constraint, ops::channels_constraint("`mean` and `variance` are"),
                      "`epsilon` is positive"},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            ops::channel_axis(cx, 2, {1, 2});
            ops::require_epsilon(cx, 4);
            return std::vector{cx.type(0)};
          },
      .gradient = normalize_gradient,
      .evaluate =
          [](const EvaluateContext& cx) {
            Tensor y = cx.operand(0);
            double epsilon = cx.node.attribute("epsilon").number();
            ops::for_each_in_channel(y, ops::axis_of(cx.node), [&](int64_t p, int64_t c) {
              y.data[p] = (y.data[p] - cx.operand(1).data[c]) / std::sqrt(cx.operand(2).data[c] + epsilon);
            });
            return std::vector{y};
          },
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index& index) {
                                        int axis = ops::axis_of(cx.node);
                                        Expr mean = ops::channel_operand(cx, 1, index, axis);
                                        return (cx.operand(0, index) - mean) * ops::channel_reciprocal_deviation(cx, 2, index, axis);
                                      },
                                  .pointwise = true,
                                  .cost = 2},
      .example = "normalize(x, m, v, epsilon=0.001)",
      .example_inputs = "x: f32[N, 5], m: f32[5], v: f32[5]",
  };
}

}  // namespace bnc
