#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

OpDefinition hard_swish_op() {
  return ops::unary_map(
      {.name = "hard_swish",
       .category = OpCategory::activation,
       .summary = "Each element times its hard_sigmoid.",
       .description = "y = 0 where x < -3, x where x > 3, else x*(x + 3)/6 (Howard et al., \"Searching for MobileNetV3\", 2019). NaN stays "
                      "NaN. The gradient at -3 is 0, at 3 it is 1.",
       .gradient =
           [](GradientContext& cx) { return std::vector{cx.builder.value("hard_swish_gradient", {cx.gradient(), cx.operand(0)})}; }},
      [](const Node&, double x) { return x < -3  ? 0
                                         : x > 3 ? x
                                                 : x * (x + 3) / 6; },
      [](const Node&, Expr x) {
        Expr parabola = x * ((x + real(3)) * real(1.0 / 6));
        return loops::select(x < real(-3), real(0), loops::select(x > real(3), x, parabola));
      },
      5);
}

OpDefinition hard_swish_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "hard_swish_gradient",
       .summary = "Gradient of hard_swish.",
       .description = "dx = 0 where x <= -3, dy where x >= 3, else dy*(2*x + 3)/6."},
      [](const Node&, double dy, double x) { return x <= -3 ? 0 : x >= 3 ? dy : dy * (2 * x + 3) / 6; },
      [](const Node&, Expr dy, Expr x) {
        Expr slope = x * real(1.0 / 3) + real(0.5);
        return loops::select(x <= real(-3), real(0), loops::select(x >= real(3), dy, dy * slope));
      },
      5);
}

}  // namespace bnc
