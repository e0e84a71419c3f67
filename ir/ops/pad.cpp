#include "ir/ops/common.h"

namespace bnc {

using loops::BinaryOp;
using loops::Expr;

namespace {

int64_t below(const Node& node, size_t axis) { return node.attribute("low").integers()[axis]; }

std::vector<TensorType> infer_pad(const InferContext& cx) {
  ops::require_f32(cx, 1);
  TensorType y = cx.type(0);
  const IntList &low = cx.attribute("low").integers(), &high = cx.attribute("high").integers();
  for (const auto& [name, list] : {std::pair{"low", &low}, std::pair{"high", &high}})
    if (list->size() != y.shape.size())
      ops::fail(cx, 2, fmt::format("`{}` has {} numbers for the {} dimensions of {}", name, list->size(), y.rank(), cx.show(y)));
  for (int k = 0; k < y.rank(); ++k) {
    if (low[k] < 0 || high[k] < 0)
      ops::fail(cx, 3, fmt::format("axis {} of {} cannot be padded by {} and {}", k, cx.show(y), low[k], high[k]),
                "to cut off, use `slice`");
    if (y.shape[k].batch && (low[k] || high[k]))
      ops::fail(cx, 4, fmt::format("axis {} of {} is the batch and cannot be padded", k, cx.show(y)));
    int64_t& extent = y.shape[k].factor;
    if (__builtin_add_overflow(extent, low[k], &extent) || __builtin_add_overflow(extent, high[k], &extent))
      ops::fail(cx, 5,
                fmt::format("axis {} of {} padded by {} and {} has more than 2^62 elements", k, cx.show(cx.type(0)), low[k], high[k]));
  }
  return {y};
}

// The part of dy that lies over x.
std::vector<Value> pad_gradient(GradientContext& cx) {
  Value dx = cx.gradient();
  const Shape& shape = cx.operand(0).type().shape;
  for (size_t k = 0; k < shape.size(); ++k) {
    if (dx.type().shape[k] == shape[k]) continue;
    const int64_t begin = below(cx.node, k);
    dx = cx.builder.value("slice", {dx}, {{"axis", static_cast<int64_t>(k)}, {"begin", begin}, {"end", begin + shape[k].factor}});
  }
  return {dx};
}

std::vector<Tensor> evaluate_pad(const EvaluateContext& cx) {
  const Tensor& x = cx.operand(0);
  Tensor y = cx.result();
  y.data.assign(y.data.size(), cx.node.attribute("value").number());
  ops::for_each_index(x.dims, [&](std::vector<int64_t> index, int64_t p) {
    for (size_t k = 0; k < index.size(); ++k) index[k] += below(cx.node, k);
    y.data[ops::position_of(index, y.dims)] = x.data[p];
  });
  return {y};
}

// The ends of x within the last axis.
std::vector<int64_t> pad_breaks(const Node& node) {
  if (node.results[0].type.shape.empty()) return {};
  const size_t last = node.results[0].type.shape.size() - 1;
  const Dim inner = node.operands[0].type().shape[last];
  if (inner == node.results[0].type.shape[last]) return {};
  return {below(node, last), below(node, last) + inner.factor};
}

// The read of x is kept within its bounds everywhere.
Expr pad_element(ElementContext& cx, const Index& index) {
  const TensorType& x = cx.node.operands[0].type();
  Index source = index;
  Expr inside;
  for (size_t k = 0; k < index.size(); ++k) {
    if (cx.node.results[0].type.shape[k] == x.shape[k]) continue;
    const int64_t low = below(cx.node, k), last = x.shape[k].factor - 1;
    const Expr here = loops::binary(BinaryOp::logical_and, index[k] >= Expr(low), index[k] <= Expr(low + last));
    inside = inside ? loops::binary(BinaryOp::logical_and, inside, here) : here;
    source[k] = ops::clamp(index[k] - Expr(low), 0, last);
  }
  if (inside && loops::is_constant(inside, 0)) return loops::real(cx.node.attribute("value").number());
  const Expr element = cx.operand(0, source);
  return inside ? loops::select(inside, element, loops::real(cx.node.attribute("value").number())) : element;
}

}  // namespace

OpDefinition pad_op() {
  return {
      .name = "pad",
      .category = OpCategory::shape,
      .summary = "Surrounds a tensor with a constant.",
      .description = "y[i + low] = x[i]; elements of y outside of that are `value`.",
      .operands = {ops::tensor_operand("x", "any shape")},
      .attributes = {{.name = "low",
                      .kind = AttributeKind::integers,
                      .fallback = {},
                      .doc = "how many elements to add in front, one number a dimension"},
                     {.name = "high",
                      .kind = AttributeKind::integers,
                      .fallback = {},
                      .doc = "how many elements to add behind, one number a dimension"},
                     {.name = "value", .kind = AttributeKind::number, .fallback = 0.0, .doc = "what to add"}},
      .results = {{"y", "`x` with low + high more elements along each dimension"}},
      .constraints = {"`x` is f32", "`low` and `high` have one number for each dimension of `x`",
                      "no number in `low` and `high` is negative", "the batch is not padded", "no dimension gets more than 2^62 elements"},
      .infer = infer_pad,
      .gradient = pad_gradient,
      .evaluate = evaluate_pad,
      .lowering = ElementLowering{.element = pad_element, .cost = 3, .breaks = pad_breaks},
      .example = "pad(x, low=[0, 1, 0, 0], high=[0, 2, 1, 0])",
      .example_inputs = "x: f32[N, 4, 3, 5]",
  };
}

}  // namespace bnc
