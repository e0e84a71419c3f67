#include <numbers>

#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;
using loops::UnaryOp;

namespace {

constexpr double inverse_sqrt_2 = 1 / std::numbers::sqrt2;
constexpr double inverse_sqrt_2_pi = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
// Left of it gelu is 0 in every format used; keeps minus infinity, where the formula is -inf*0, at its limit.
constexpr double cutoff = -40;

Expr clamped(Expr x) { return loops::binary(loops::BinaryOp::maximum, x, real(cutoff)); }

// 1 + erf(x/sqrt(2)): twice the distribution function of the normal distribution.
Expr twice_distribution(Expr x) { return real(1) + loops::unary(UnaryOp::erf, x * real(inverse_sqrt_2)); }

}  // namespace

OpDefinition gelu_op() {
  return ops::unary_map(
      {.name = "gelu",
       .category = OpCategory::activation,
       .summary = "Gaussian error linear unit, exact.",
       .description = "y = x*P(x) with P the distribution function of the standard normal distribution, (1 + erf(x/sqrt(2)))/2 "
                      "(Hendrycks and Gimpel, \"Gaussian error linear units\", 2016); 0 at minus infinity.",
       .gradient = [](GradientContext& cx) { return std::vector{cx.builder.value("gelu_gradient", {cx.gradient(), cx.operand(0)})}; }},
      [](const Node&, double x) {
        x = ops::maximum(x, cutoff);
        return 0.5 * x * std::erfc(-x * inverse_sqrt_2);
      },
      [](const Node&, Expr x) {
        x = clamped(x);
        return real(0.5) * x * twice_distribution(x);
      },
      20);
}

OpDefinition gelu_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "gelu_gradient",
       .summary = "Gradient of gelu.",
       .description = "dx = dy*(P(x) + x*p(x)) with P and p the distribution and density functions of the standard normal distribution; "
                      "dy at infinity, 0 at minus infinity."},
      [](const Node&, double dy, double x) {
        x = -ops::maximum(-ops::maximum(x, cutoff), cutoff);
        return dy * (0.5 * std::erfc(-x * inverse_sqrt_2) + x * inverse_sqrt_2_pi * std::exp(-0.5 * x * x));
      },
      [](const Node&, Expr dy, Expr x) {
        x = loops::binary(loops::BinaryOp::minimum, clamped(x), real(-cutoff));
        Expr density = real(inverse_sqrt_2_pi) * loops::unary(UnaryOp::exp, real(-0.5) * x * x);
        return dy * (real(0.5) * twice_distribution(x) + x * density);
      },
      30);
}

}  // namespace bnc
