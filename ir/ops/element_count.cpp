#include "ir/ops/common.h"

namespace bnc {

OpDefinition element_count_op() {
  return {
      .name = "element_count",
      .category = OpCategory::reduction,
      .summary = "How many elements some axes span.",
      .description =
          "The product of the dimensions `axes` as a number, known only when the batch size is; rounded to f32. It does not look at the "
          "elements and has no gradient.",
      .operands = {ops::fixed_operand("x", "any type and shape")},
      .attributes = {{.name = "axes", .kind = AttributeKind::integers, .fallback = IntList{}, .doc = "the axes; none given are all"}},
      .results = {{"count", "`f32[]`"}},
      .constraints = {"`axes` are distinct axes of `x`"},
      .infer =
          [](const InferContext& cx) {
            ops::checked_axes(cx, 1, cx.type(0).rank());
            return std::vector{TensorType{}};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            int64_t count = ops::count_over(cx.node.operands[0].type().shape, ops::axes_of(cx.node), cx.batch_size);
            return std::vector{Tensor::filled(DType::f32, {}, static_cast<double>(count))};
          },
      .lowering = ElementLowering{[](ElementContext& cx, const Index&) {
        loops::Expr count(1);
        for (int axis : ops::axes_of(cx.node)) count = count * cx.extent(cx.node.operands[0].type().shape[axis]);
        return loops::cast(loops::Scalar::f32, count);
      }},
      .example = "element_count(x, axes=[0])",
      .example_inputs = "x: f32[N, 5]",
  };
}

}  // namespace bnc
