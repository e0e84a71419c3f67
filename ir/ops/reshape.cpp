#include "ir/ops/common.h"

namespace bnc {

namespace {

std::vector<TensorType> infer_reshape(const InferContext& cx) {
  const TensorType& x = cx.type(0);
  TensorType result{x.dtype, cx.attribute("shape").shape()};
  ops::require_positive(cx, 1, result.shape);
  std::optional<Dim> from = element_count(x.shape), to = element_count(result.shape);
  if (!to)
    ops::fail(cx, 2,
              fmt::format("{} to {}: the new shape has more than 2^62 elements, or the batch size twice", cx.show(x), cx.show(result)));
  if (from != to) {
    auto elements = [&](Dim d) { return to_string(d, cx.batch_symbol); };
    ops::fail(cx, 3, fmt::format("{} cannot become {}: they have {} and {} elements", cx.show(x), cx.show(result), elements(*from),
                                 elements(*to)));
  }
  return {result};
}

}  // namespace

OpDefinition reshape_op() {
  return {
      .name = "reshape",
      .category = OpCategory::shape,
      .summary = "The same elements in another shape.",
      .description = "The elements keep their row-major order. The batch size may move into a product: f32[N, 4, 8] is f32[4*N, 8] too.",
      .operands = {ops::tensor_operand("x", "any type and shape")},
      .attributes = {{.name = "shape", .kind = AttributeKind::shape, .fallback = {}, .doc = "the new shape"}},
      .results = {{"y", "`shape`"}},
      .constraints = {"dimensions are at least 1", "`shape` has at most 2^62 elements and the batch size at most once",
                      "`shape` has as many elements as `x`"},
      .infer = infer_reshape,
      .gradient = [](GradientContext& cx) { return std::vector{cx.builder.reshape(cx.gradient(), cx.operand(0).type().shape)}; },
      .evaluate = ops::same_elements,
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index& index) {
                                        const Shape &from = cx.node.results[0].type.shape, &to = cx.node.operands[0].type().shape;
                                        return cx.operand(0, ops::reindex(cx, index, from, to));
                                      },
                                  .cost = 0},
      .example = "reshape(x, [N, 4, 2])",
      .example_inputs = "x: f32[N, 8]",
  };
}

}  // namespace bnc
