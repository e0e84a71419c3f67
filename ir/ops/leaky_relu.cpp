#include "ir/ops/common.h"
#include "ir/ops/numbers.h"

namespace bnc {

using loops::Expr;
using loops::real;

namespace {

AttributeSpec slope_attribute() {
  return {.name = "slope", .kind = AttributeKind::number, .fallback = 0.01, .doc = "the slope left of 0"};
}

double slope_of(const Node& node) { return node.attribute("slope").number(); }

}  // namespace

OpDefinition leaky_relu_op() {
  OpDefinition op = ops::unary_map(
      {.name = "leaky_relu",
       .category = OpCategory::activation,
       .summary = "Each element, negative ones times `slope`.",
       .description = "y = x where x >= 0, else slope*x. NaN stays NaN. The gradient at 0 is `slope`.",
       .attributes = {slope_attribute()},
       .infer =
           [](const InferContext& cx) {
             ops::require_number(cx, 2, "slope", any_finite);
             return std::vector<TensorType>{};
           },
       .gradient =
           [](GradientContext& cx) {
             return std::vector{
                 cx.builder.value("leaky_relu_gradient", {cx.gradient(), cx.operand(0)}, {{"slope", cx.node.attribute("slope")}})};
           },
       .example = "leaky_relu(x, slope=0.1)"},
      [](const Node& node, double x) { return x < 0 ? slope_of(node) * x : x; },
      [](const Node& node, Expr x) { return loops::select(x < real(0), real(slope_of(node)) * x, x); }, 2);
  op.constraints.push_back("`slope` is finite");
  return op;
}

OpDefinition leaky_relu_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "leaky_relu_gradient",
       .summary = "Gradient of leaky_relu.",
       .description = "dx = slope*dy where x <= 0, else dy.",
       .attributes = {slope_attribute()}},
      [](const Node& node, double dy, double x) { return x <= 0 ? slope_of(node) * dy : dy; },
      [](const Node& node, Expr dy, Expr x) { return loops::select(x <= real(0), real(slope_of(node)) * dy, dy); }, 2);
}

}  // namespace bnc
