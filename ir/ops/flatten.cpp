#include "ir/ops/common.h"

namespace bnc {

namespace {

Shape flat_shape(const Shape& shape) {
  std::optional<Dim> rest = element_count(Shape(shape.begin() + 1, shape.end()));
  BNC_CHECK(rest, "the rest of an accepted type");
  return {shape[0], *rest};
}

}  // namespace

OpDefinition flatten_op() {
  return {
      .name = "flatten",
      .category = OpCategory::shape,
      .summary = "Merges all dimensions but the first.",
      .description = "[N, a, b, ..] becomes [N, a*b*..]; elements keep their row-major order.",
      .operands = {ops::tensor_operand("x", "at least one dimension")},
      .results = {{"y", "`[N, rest]`"}},
      .constraints = {"`x` has at least one dimension"},
      .infer =
          [](const InferContext& cx) {
            if (cx.type(0).rank() < 1) ops::fail(cx, 1, fmt::format("{} has no dimension to keep", cx.show(cx.type(0))));
            return std::vector{TensorType{cx.type(0).dtype, flat_shape(cx.type(0).shape)}};
          },
      .gradient = [](GradientContext& cx) { return std::vector{cx.builder.reshape(cx.gradient(), cx.operand(0).type().shape)}; },
      .evaluate = ops::same_elements,
      .lowering = DecomposeLowering{[](GraphBuilder& b, Node& node) {
                                      return std::vector{b.reshape(node.operands[0], node.results[0].type.shape)};
                                    },
                                    /*canonical=*/true},
      .example = "flatten(x)",
      .example_inputs = "x: f32[N, 4, 2]",
  };
}

}  // namespace bnc
