#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;
using loops::real;

namespace {

std::vector<AttributeSpec> bounds() {
  return {{.name = "low", .kind = AttributeKind::number, .fallback = 0.0, .doc = "the least result"},
          {.name = "high", .kind = AttributeKind::number, .fallback = 1.0, .doc = "the greatest result"}};
}

double low_of(const Node& node) { return node.attribute("low").number(); }
double high_of(const Node& node) { return node.attribute("high").number(); }

}  // namespace

OpDefinition clip_op() {
  OpDefinition op = ops::unary_map(
      {.name = "clip",
       .category = OpCategory::activation,
       .summary = "Each element, cut off below and above.",
       .description = "y = low where x < low, high where x > high, else x: with low=0 and high=6 it is what MobileNet calls ReLU6. NaN "
                      "stays NaN. The gradient at both bounds is 0.",
       .attributes = bounds(),
       .infer =
           [](const InferContext& cx) {
             double low = cx.attribute("low").number(), high = cx.attribute("high").number();
             if (!(low <= high)) ops::fail(cx, 2, fmt::format("low is {}, but high is {}", low, high));
             if (low < high && static_cast<float>(low) == static_cast<float>(high))
               ops::fail(
                   cx, 2,
                   fmt::format("low is {} and high is {}, which are the same number as f32", format_number(low), format_number(high)));
             return std::vector<TensorType>{};
           },
       .gradient =
           [](GradientContext& cx) {
             AttributeMap bounds = {{"low", cx.node.attribute("low")}, {"high", cx.node.attribute("high")}};
             return std::vector{cx.builder.value("clip_gradient", {cx.gradient(), cx.operand(0)}, bounds)};
           },
       .example = "clip(x, low=-1, high=2)"},
      [](const Node& node, double x) { return x < low_of(node)    ? low_of(node)
                                              : x > high_of(node) ? high_of(node)
                                                                  : x; },
      [](const Node& node, Expr x) {
        Expr low = real(low_of(node)), high = real(high_of(node));
        return loops::select(x < low, low, loops::select(x > high, high, x));
      },
      2);
  op.constraints.push_back("`low` is at most `high`; where they differ, they differ as f32");
  return op;
}

OpDefinition clip_gradient_op() {
  return ops::unary_map_gradient(
      {.name = "clip_gradient",
       .summary = "Gradient of clip.",
       .description = "dx = 0 where x <= low or x >= high, else dy.",
       .attributes = bounds()},
      [](const Node& node, double dy, double x) { return x <= low_of(node) || x >= high_of(node) ? 0 : dy; },
      [](const Node& node, Expr dy, Expr x) {
        return loops::select(x <= real(low_of(node)), real(0), loops::select(x >= real(high_of(node)), real(0), dy));
      },
      2);
}

}  // namespace bnc
