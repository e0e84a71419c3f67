#include "ir/ops/standardization.h"
#include "ir/ops/statistics.h"

namespace bnc {

OpDefinition standardize_op() {
  return ops::standardizing(
      {.name = "standardize",
       .summary = "Mean 0 and variance 1.",
       .description = "y = (x - mean)*rsqrt(variance + epsilon), mean and biased variance over `axes`: all elements of the batch together, "
                      "or with axes=[0] each feature for itself, as a training batch norm with gamma 1 and beta 0 does. The statistics are "
                      "those of the batch at hand, also in inference; those of a training set are kept by `preprocess`.",
       .operands = {ops::tensor_operand("x", "any shape")},
       .attributes = {{.name = "axes",
                       .kind = AttributeKind::integers,
                       .fallback = IntList{},
                       .doc = "the axes whose elements are standardized together; none given are all"},
                      ops::epsilon_attribute(),
                      ops::allow_single_attribute()},
       .constraints = {"`x` is f32", "`axes` are distinct axes of `x`", "`epsilon` is positive", ops::single_element_constraint()},
       .infer =
           [](const InferContext& cx) {
             ops::require_f32(cx, 1);
             ops::checked_axes(cx, 2, cx.type(0).rank());
             ops::require_epsilon(cx, 3);
             ops::refuse_single_element(cx, 4);
             return std::vector{cx.type(0)};
           },
       .example = "standardize(x, axes=[0])",
       .example_inputs = "x: f32[N, 5]"},
      [](const Node& node) { return ops::Population{.axes = ops::axes_of(node)}; });
}

}  // namespace bnc
