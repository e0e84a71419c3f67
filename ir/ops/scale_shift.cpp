#include "ir/ops/common.h"

namespace bnc {

OpDefinition scale_shift_op() {
  return {
      .name = "scale_shift",
      .category = OpCategory::normalization,
      .summary = "Multiplies each channel by one number and adds another.",
      .description = "y = x*scale + shift, the affine part of a batch norm (bn-train, bn-infer).",
      .operands = {ops::tensor_operand("x", "at least one dimension"), ops::tensor_operand("scale", "`f32[C]`"),
                   ops::tensor_operand("shift", "`f32[C]`")},
      .attributes = {ops::axis_attribute("the channels")},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"`x` is f32", ops::axis_constraint, ops::channels_constraint("`scale` and `shift` are")},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            ops::channel_axis(cx, 2, {1, 2});
            return std::vector{cx.type(0)};
          },
      .gradient =
          [](GradientContext& cx) {
            GraphBuilder& b = cx.builder;
            Value x = cx.operand(0), dy = cx.gradient();
            int axis = ops::axis_of(cx.node);
            Value dx = b.mul(dy, ops::along_axis(b, cx.operand(1), axis, x.type().rank()));
            return std::vector{dx, ops::sum_to_channels(b, b.mul(dy, x), axis), ops::sum_to_channels(b, dy, axis)};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            Tensor y = cx.operand(0);
            ops::for_each_in_channel(y, ops::axis_of(cx.node), [&](int64_t p, int64_t c) {
              y.data[p] = y.data[p] * cx.operand(1).data[c] + cx.operand(2).data[c];
            });
            return std::vector{y};
          },
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index& index) {
                                        int axis = ops::axis_of(cx.node);
                                        return cx.operand(0, index) * ops::channel_operand(cx, 1, index, axis) +
                                               ops::channel_operand(cx, 2, index, axis);
                                      },
                                  .pointwise = true,
                                  .cost = 2},
      .example = "scale_shift(x, s, t)",
      .example_inputs = "x: f32[N, 5], s: f32[5], t: f32[5]",
  };
}

}  // namespace bnc
