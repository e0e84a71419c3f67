#include "ir/ops/common.h"

namespace bnc {

OpDefinition sigmoid_op() {
  return ops::unary_map(
      {.name = "sigmoid",
       .category = OpCategory::activation,
       .summary = "Logistic function of each element.",
       .description = "y = 1/(1 + exp(-x)), saturating at 0 and 1. Gradient dy*y*(1 - y).",
       .gradient =
           [](GradientContext& cx) {
             GraphBuilder& b = cx.builder;
             Value y = cx.result();
             return std::vector{b.mul(cx.gradient(), b.mul(y, b.sub(b.constant(1), y)))};
           }},
      [](const Node&, double x) { return 1 / (1 + std::exp(-x)); },
      [](const Node&, loops::Expr x) { return loops::unary(loops::UnaryOp::sigmoid, x); }, 15);
}

}  // namespace bnc
