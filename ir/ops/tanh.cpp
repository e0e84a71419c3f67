#include "ir/ops/common.h"

namespace bnc {

OpDefinition tanh_op() {
  return ops::unary_map(
      {.name = "tanh",
       .category = OpCategory::activation,
       .summary = "Hyperbolic tangent of each element.",
       .description = "y = tanh(x). Gradient dy*(1 - y*y).",
       .gradient =
           [](GradientContext& cx) {
             GraphBuilder& b = cx.builder;
             Value y = cx.result();
             return std::vector{b.mul(cx.gradient(), b.sub(b.constant(1), b.mul(y, y)))};
           }},
      [](const Node&, double x) { return std::tanh(x); },
      [](const Node&, loops::Expr x) { return loops::unary(loops::UnaryOp::tanh, x); }, 15);
}

}  // namespace bnc
