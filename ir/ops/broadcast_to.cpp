#include "ir/ops/common.h"

namespace bnc {

OpDefinition broadcast_to_op() {
  return {
      .name = "broadcast_to",
      .category = OpCategory::shape,
      .summary = "Repeats along dimensions of size 1 and new leading ones.",
      .description = "NumPy's broadcasting to a given shape: aligned at the last dimension, a dimension of 1 or a missing one is repeated.",
      .operands = {ops::tensor_operand("x", "any type and shape")},
      .attributes = {{.name = "shape", .kind = AttributeKind::shape, .fallback = {}, .doc = "the shape to reach"}},
      .results = {{"y", "`shape`"}},
      .constraints = {"dimensions are at least 1", "each dimension of `x`, aligned at the last, is 1 or that of `shape`"},
      .infer =
          [](const InferContext& cx) {
            TensorType result{cx.type(0).dtype, cx.attribute("shape").shape()};
            ops::require_positive(cx, 1, result.shape);
            if (broadcast(cx.type(0).shape, result.shape) != result.shape)
              ops::fail(cx, 2, fmt::format("{} does not broadcast to {}", cx.show(cx.type(0)), cx.show(result)));
            return std::vector{result};
          },
      .gradient = [](GradientContext& cx) { return std::vector{cx.builder.sum_to(cx.gradient(), cx.operand(0).type())}; },
      .evaluate =
          [](const EvaluateContext& cx) { return ops::evaluate_pointwise(cx, [](const std::vector<double>& x) { return x[0]; }); },
      .lowering = ops::pointwise_lowering([](const Node&, const std::vector<loops::Expr>& x) { return x[0]; }, 0),
      .example = "broadcast_to(x, [N, 5])",
      .example_inputs = "x: f32[N, 1]",
  };
}

}  // namespace bnc
