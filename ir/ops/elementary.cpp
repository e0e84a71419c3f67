// exp, log, erf, sqrt, rsqrt and neg: functions of one number that differ in one row of a table.
#include <numbers>

#include "ir/ops/common.h"

namespace bnc {

namespace {

struct Elementary {
  const char* name;
  const char* summary;
  const char* description;
  double (*function)(double);
  loops::UnaryOp lowered;
  int cost;
  Value (*gradient)(GraphBuilder& b, Value dy, Value x, Value y);
};

OpDefinition elementary_op(const Elementary& row) {
  return ops::unary_map({.name = row.name,
                         .category = OpCategory::arithmetic,
                         .summary = row.summary,
                         .description = row.description,
                         .gradient = [gradient = row.gradient](GradientContext& cx) {
                           return std::vector{gradient(cx.builder, cx.gradient(), cx.operand(0), cx.result())};
                         }},
                        [function = row.function](const Node&, double x) { return function(x); },
                        [lowered = row.lowered](const Node&, loops::Expr x) { return loops::unary(lowered, x); }, row.cost);
}

}  // namespace

OpDefinition exp_op() {
  return elementary_op({"exp", "Exponential function of each element.", "y = exp(x). Gradient dy*y.",
                        [](double x) { return std::exp(x); }, loops::UnaryOp::exp, 12,
                        [](GraphBuilder& b, Value dy, Value, Value y) { return b.mul(dy, y); }});
}

OpDefinition log_op() {
  return elementary_op({"log", "Natural logarithm of each element.", "y = log(x); minus infinity at 0, NaN below. Gradient dy/x.",
                        [](double x) { return std::log(x); }, loops::UnaryOp::log, 15,
                        [](GraphBuilder& b, Value dy, Value x, Value) { return b.div(dy, x); }});
}

OpDefinition erf_op() {
  return elementary_op({"erf", "Error function of each element.",
                        "y = erf(x), 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x. Gradient dy*2/sqrt(pi)*exp(-x^2).",
                        [](double x) { return std::erf(x); }, loops::UnaryOp::erf, 18,
                        [](GraphBuilder& b, Value dy, Value x, Value) {
                          return b.mul(dy, b.scale(b.value("exp", {b.neg(b.mul(x, x))}), 2 * std::numbers::inv_sqrtpi));
                        }});
}

OpDefinition sqrt_op() {
  return elementary_op({"sqrt", "Square root of each element.", "y = sqrt(x); NaN below 0. Gradient dy/(2*y).",
                        [](double x) { return std::sqrt(x); }, loops::UnaryOp::sqrt, 6,
                        [](GraphBuilder& b, Value dy, Value, Value y) { return b.scale(b.div(dy, y), 0.5); }});
}

OpDefinition rsqrt_op() {
  return elementary_op({"rsqrt", "Reciprocal square root of each element.", "y = 1/sqrt(x). Gradient -dy*y^3/2.",
                        [](double x) { return 1 / std::sqrt(x); }, loops::UnaryOp::reciprocal_sqrt, 8,
                        [](GraphBuilder& b, Value dy, Value, Value y) { return b.mul(dy, b.scale(b.mul(y, b.mul(y, y)), -0.5)); }});
}

OpDefinition neg_op() {
  return elementary_op({"neg", "Each element negated.", "y = -x.", [](double x) { return -x; }, loops::UnaryOp::negate, 1,
                        [](GraphBuilder& b, Value dy, Value, Value) { return b.neg(dy); }});
}

}  // namespace bnc
