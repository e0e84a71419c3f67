#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

OpDefinition abs_op() {
  return ops::unary_map(
      {.name = "abs",
       .category = OpCategory::arithmetic,
       .summary = "Each element without its sign.",
       .description = "y = |x|. Gradient dy where x is above 0, -dy where it is below, 0 at 0.",
       .gradient = [](GradientContext& cx) { return std::vector{cx.builder.value("abs_gradient", {cx.gradient(), cx.operand(0)})}; }},
      [](const Node&, double x) { return std::fabs(x); },
      [](const Node&, Expr x) { return loops::unary(loops::UnaryOp::absolute, x); }, 1);
}

OpDefinition abs_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "abs_gradient",
       .summary = "Gradient of abs.",
       .description = "dx = dy where x > 0, -dy where x < 0, else x: 0, or NaN where it is NaN."},
      [](const Node&, double dy, double x) { return x > 0 ? dy : x < 0 ? -dy : x; },
      [](const Node&, Expr dy, Expr x) {
        return loops::select(x > real(0), dy, loops::select(x < real(0), loops::unary(loops::UnaryOp::negate, dy), x));
      },
      2);
}

}  // namespace bnc
