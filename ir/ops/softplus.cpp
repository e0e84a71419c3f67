#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;
using loops::UnaryOp;

OpDefinition softplus_op() {
  return ops::unary_map(
      {.name = "softplus",
       .category = OpCategory::activation,
       .summary = "Smooth positive part of each element.",
       .description = "y = log(1 + exp(x)), formed as max(x, 0) + log1p(exp(-|x|)), which neither overflows nor cancels. "
                      "Gradient dy*sigmoid(x).",
       .gradient =
           [](GradientContext& cx) {
             return std::vector{cx.builder.mul(cx.gradient(), cx.builder.value("sigmoid", {cx.operand(0)}))};
           }},
      [](const Node&, double x) { return ops::maximum(x, 0) + std::log1p(std::exp(-std::fabs(x))); },
      [](const Node&, Expr x) {
        Expr decay = loops::unary(UnaryOp::exp, -loops::unary(UnaryOp::absolute, x));
        return loops::binary(loops::BinaryOp::maximum, x, real(0)) + loops::unary(UnaryOp::log1p, decay);
      },
      30);
}

}  // namespace bnc
