#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;

namespace {

std::vector<TensorType> infer_concat(const InferContext& cx) {
  TensorType result = cx.type(0);
  int axis = ops::checked_axis(cx, 1);
  for (size_t k = 0; k < cx.operands.size(); ++k) {
    const TensorType& x = cx.type(static_cast<int>(k));
    TensorType alike = x;
    if (x.rank() == result.rank()) alike.shape[axis] = result.shape[axis];
    if (alike != result)
      ops::fail(cx, 2, fmt::format("{} and {} differ in more than axis {}", cx.show(cx.type(0)), cx.show(x), axis));
    if (x.shape[axis].batch) ops::fail(cx, 1, fmt::format("axis {} of {} is the batch", axis, cx.show(x)));
    if (k > 0 && __builtin_add_overflow(result.shape[axis].factor, x.shape[axis].factor, &result.shape[axis].factor))
      ops::fail(cx, 3, fmt::format("the extents of axis {} sum to more than 2^62", axis));
  }
  return {result};
}

std::vector<Value> concat_gradient(GradientContext& cx) {
  int axis = ops::axis_of(cx.node);
  int64_t begin = 0;
  std::vector<Value> gradients;
  for (Value x : cx.node.operands) {
    int64_t end = begin + x.type().shape[axis].factor;
    gradients.push_back(cx.builder.value("slice", {cx.gradient()}, {{"axis", axis}, {"begin", begin}, {"end", end}}));
    begin = end;
  }
  return gradients;
}

std::vector<Tensor> evaluate_concat(const EvaluateContext& cx) {
  int axis = ops::axis_of(cx.node);
  Tensor y = cx.result();
  int64_t begin = 0;
  for (const Tensor* x : cx.operands) {
    ops::for_each_index(x->dims, [&](std::vector<int64_t> index, int64_t p) {
      index[axis] += begin;
      y.data[ops::position_of(index, y.dims)] = x->data[p];
    });
    begin += x->dims[axis];
  }
  return {y};
}

// Where the operands join, along the last axis.
std::vector<int64_t> concat_breaks(const Node& node) {
  std::vector<int64_t> breaks;
  if (ops::axis_of(node) != node.results[0].type.rank() - 1) return breaks;
  for (const Value& x : node.operands) breaks.push_back((breaks.empty() ? 0 : breaks.back()) + x.type().shape.back().factor);
  breaks.pop_back();
  return breaks;
}

// Selects by position, as far as that is not known; each operand's read is kept within its bounds everywhere.
Expr concat_element(ElementContext& cx, const Index& index) {
  int axis = ops::axis_of(cx.node);
  int64_t begin = cx.node.results[0].type.shape[axis].factor;
  Expr element;
  for (size_t k = cx.node.operands.size(); k-- > 0;) {
    int64_t extent = cx.node.operands[k].type().shape[axis].factor, end = begin;
    begin -= extent;
    if (loops::is_constant(index[axis] < Expr(begin), 1)) continue;
    if (loops::is_constant(index[axis] < Expr(end), 0)) break;
    Index source = index;
    source[axis] = ops::clamp(index[axis] - Expr(begin), 0, extent - 1);
    Expr x = cx.operand(static_cast<int>(k), source);
    element = element ? loops::select(index[axis] < Expr(end), x, element) : x;
  }
  return element;
}

}  // namespace

OpDefinition concat_op() {
  return {
      .name = "concat",
      .category = OpCategory::shape,
      .summary = "Joins tensors along one axis.",
      .description = "The operands one behind the other along `axis`, which must not be the batch.",
      .operands = {{.name = "xs", .doc = "one or more, alike but for `axis`", .variadic = true}},
      .attributes = {ops::axis_attribute("where they are joined")},
      .results = {{"y", "`axis` has the sum of the operands' extents"}},
      .constraints = {"`axis` names a dimension of every operand that is not the batch", "the operands are alike but for `axis`",
                      "the extents sum to at most 2^62"},
      .infer = infer_concat,
      .gradient = concat_gradient,
      .evaluate = evaluate_concat,
      .lowering = ElementLowering{.element = concat_element, .cost = 3, .breaks = concat_breaks},
      .example = "concat(x, y)",
      .example_inputs = "x: f32[N, 5], y: f32[N, 3]",
  };
}

}  // namespace bnc
