#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

OpDefinition hard_sigmoid_op() {
  return ops::unary_map(
      {.name = "hard_sigmoid",
       .category = OpCategory::activation,
       .summary = "Piecewise linear approximation of sigmoid.",
       .description = "y = (x + 3)/6, cut off at 0 and 1 (Howard et al., \"Searching for MobileNetV3\", 2019). NaN stays NaN. The gradient "
                      "at the corners is 0.",
       .gradient =
           [](GradientContext& cx) { return std::vector{cx.builder.value("hard_sigmoid_gradient", {cx.gradient(), cx.operand(0)})}; }},
      [](const Node&, double x) { return x < -3  ? 0
                                         : x > 3 ? 1
                                                 : (x + 3) / 6; },
      [](const Node&, Expr x) {
        Expr line = (x + real(3)) * real(1.0 / 6);
        return loops::select(x < real(-3), real(0), loops::select(x > real(3), real(1), line));
      },
      4);
}

OpDefinition hard_sigmoid_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "hard_sigmoid_gradient",
       .summary = "Gradient of hard_sigmoid.",
       .description = "dx = 0 where x <= -3 or x >= 3, else dy/6."},
      [](const Node&, double dy, double x) { return x <= -3 || x >= 3 ? 0 : dy / 6; },
      [](const Node&, Expr dy, Expr x) {
        return loops::select(x <= real(-3), real(0), loops::select(x >= real(3), real(0), dy * real(1.0 / 6)));
      },
      3);
}

}  // namespace bnc
