#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

OpDefinition trust_ratio_op() {
  return {
      .name = "trust_ratio",
      .category = OpCategory::arithmetic,
      .summary = "By how much LAMB scales the step of a layer.",
      .description =
          "weights/step where both norms are above 0, else 1 (You et al., \"Large batch optimization for deep learning\", 2020). It has no "
          "gradient.",
      .operands = {ops::fixed_operand("weights", "norm of the layer's weights, f32"), ops::fixed_operand("step", "norm of the step, f32")},
      .results = {{"ratio", "the type of both"}},
      .constraints = {"both operands are f32", "both operands have the same shape"},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            return std::vector{ops::same_type(cx, 2)};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            return ops::evaluate_pointwise(cx, [](const std::vector<double>& x) { return x[0] <= 0 || x[1] <= 0 ? 1 : x[0] / x[1]; });
          },
      .lowering = ops::pointwise_lowering(
          [](const Node&, const std::vector<Expr>& x) {
            return loops::select(x[0] <= real(0), real(1), loops::select(x[1] <= real(0), real(1), x[0] / x[1]));
          },
          6),
      .example = "trust_ratio(w, u)",
      .example_inputs = "w: f32[], u: f32[]",
  };
}

}  // namespace bnc
