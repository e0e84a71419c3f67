#include "ir/ops/common.h"

namespace bnc {

OpDefinition bias_op() {
  return {
      .name = "bias",
      .category = OpCategory::linear,
      .summary = "Adds one number a channel.",
      .description = "y = x + bias[channel]; the channels are the dimension `axis`.",
      .operands = {ops::tensor_operand("x", "at least one dimension"), ops::tensor_operand("bias", "`f32[C]`")},
      .attributes = {ops::axis_attribute("the channels")},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"`x` is f32", ops::axis_constraint, ops::channels_constraint("`bias` is")},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            ops::channel_axis(cx, 2, {1});
            return std::vector{cx.type(0)};
          },
      .gradient =
          [](GradientContext& cx) {
            return std::vector{cx.gradient(), ops::sum_to_channels(cx.builder, cx.gradient(), ops::axis_of(cx.node))};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            Tensor y = cx.operand(0);
            ops::for_each_in_channel(y, ops::axis_of(cx.node), [&](int64_t p, int64_t c) { y.data[p] += cx.operand(1).data[c]; });
            return std::vector{y};
          },
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index& index) {
                                        return cx.operand(0, index) + ops::channel_operand(cx, 1, index, ops::axis_of(cx.node));
                                      },
                                  .pointwise = true},
      .example = "bias(x, b)",
      .example_inputs = "x: f32[N, 5], b: f32[5]",
  };
}

}  // namespace bnc
