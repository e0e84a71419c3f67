#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

OpDefinition relu_op() {
  return ops::unary_map(
      {.name = "relu",
       .category = OpCategory::activation,
       .summary = "The positive part of each element.",
       .description = "y = x where x >= 0, else 0. NaN stays NaN. The gradient at 0 is 0.",
       .gradient = [](GradientContext& cx) { return std::vector{cx.builder.value("relu_gradient", {cx.gradient(), cx.operand(0)})}; }},
      [](const Node&, double x) { return x < 0 ? 0 : x; },
      [](const Node&, Expr x) { return loops::select(x < real(0), real(0), x); }, 1);
}

OpDefinition relu_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "relu_gradient",
       .summary = "Gradient of relu.",
       .description = "dx = 0 where x <= 0, else dy (also where x is NaN)."},
      [](const Node&, double dy, double x) { return x <= 0 ? 0 : dy; },
      [](const Node&, Expr dy, Expr x) { return loops::select(x <= real(0), real(0), dy); }, 1);
}

}  // namespace bnc
