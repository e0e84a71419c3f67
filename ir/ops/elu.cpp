#include "ir/ops/common.h"
#include "ir/ops/numbers.h"

namespace bnc {

using loops::Expr;
using loops::real;
using loops::UnaryOp;

namespace {

AttributeSpec alpha_attribute() {
  return {.name = "alpha", .kind = AttributeKind::number, .fallback = 1.0, .doc = "the negated limit towards minus infinity"};
}

double alpha_of(const Node& node) { return node.attribute("alpha").number(); }

}  // namespace

OpDefinition elu_op() {
  OpDefinition op = ops::unary_map(
      {.name = "elu",
       .category = OpCategory::activation,
       .summary = "Exponential linear unit.",
       .description =
           "y = x where x >= 0, else alpha*(exp(x) - 1) (Clevert et al., \"Fast and accurate deep network learning by exponential linear "
           "units\", 2015). exp(x) - 1 is formed as 2t/(1 - t) with t = tanh(x/2), which does not cancel near 0.",
       .attributes = {alpha_attribute()},
       .infer =
           [](const InferContext& cx) {
             ops::require_number(cx, 2, "alpha", any_finite);
             return std::vector<TensorType>{};
           },
       .gradient =
           [](GradientContext& cx) {
             return std::vector{cx.builder.value("elu_gradient", {cx.gradient(), cx.operand(0)}, {{"alpha", cx.node.attribute("alpha")}})};
           },
       .example = "elu(x, alpha=0.5)"},
      [](const Node& node, double x) { return x < 0 ? alpha_of(node) * std::expm1(x) : x; },
      [](const Node& node, Expr x) {
        Expr t = loops::unary(UnaryOp::tanh, real(0.5) * x);
        return loops::select(x < real(0), real(2 * alpha_of(node)) * t / (real(1) - t), x);
      },
      20);
  op.constraints.push_back("`alpha` is finite");
  return op;
}

OpDefinition elu_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "elu_gradient",
       .summary = "Gradient of elu.",
       .description = "dx = dy*alpha*exp(x) where x <= 0, else dy.",
       .attributes = {alpha_attribute()}},
      [](const Node& node, double dy, double x) { return x <= 0 ? dy * alpha_of(node) * std::exp(x) : dy; },
      [](const Node& node, Expr dy, Expr x) {
        return loops::select(x <= real(0), dy * (real(alpha_of(node)) * loops::unary(UnaryOp::exp, x)), dy);
      },
      15);
}

}  // namespace bnc
