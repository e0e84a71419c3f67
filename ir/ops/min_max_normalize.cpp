#include "ir/ops/reduce.h"
#include "ir/ops/statistics.h"

namespace bnc {

namespace {

// The maximum, dimensions kept. The last axis comes after the others, along it run vectors.
Value maximum(GraphBuilder& b, Value x, std::vector<int> axes) {
  const int last = x.type().rank() - 1;
  auto reduce = [&](Value value, const std::vector<int>& over) {
    return over.empty() ? value : b.value("reduce_max", {value}, {{"axes", ops::to_attribute(over)}, {"keep_dims", true}});
  };
  if (std::erase(axes, last) == 0) return reduce(x, axes);
  return reduce(reduce(x, axes), {last});
}

// y = (x - minimum)/(maximum - minimum), out of plain ops; the divisor is 1 where all elements are equal.
struct Parts {
  Value negated, highest, negated_lowest, divisor, result;

  Parts(GraphBuilder& b, const Node& node) {
    const Value x = node.operands[0];
    const std::vector<int> axes = ops::axes_of(node);
    negated = b.neg(x);
    highest = maximum(b, x, axes);
    negated_lowest = maximum(b, negated, axes);
    const Value range = b.add(highest, negated_lowest), one = b.constant(1, range.type());
    divisor = b.add(range, b.sub(one, b.value("relu_gradient", {one, range})));
    result = b.div(b.add(x, negated_lowest), divisor);
  }
};

// dL/dx directly, and through the extremes: dL/dminimum = sum of dy*(y - 1)/range, dL/dmaximum = -sum of dy*y/range.
std::vector<Value> min_max_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const Parts parts(b, cx.node);
  const std::vector<int> axes = ops::axes_of(cx.node);
  const Value direct = b.div(cx.gradient(), parts.divisor), scaled = b.mul(direct, parts.result);
  auto sum = [&](Value value) { return b.value("reduce_sum", {value}, {{"axes", ops::to_attribute(axes)}, {"keep_dims", true}}); };
  const Value of_scaled = sum(scaled);
  const Value through_highest = ops::gradient_of_maximum(b, cx.operand(0), parts.highest, b.neg(of_scaled), axes);
  const Value through_lowest = ops::gradient_of_maximum(b, parts.negated, parts.negated_lowest, b.sub(of_scaled, sum(direct)), axes);
  return {b.add(direct, b.add(through_highest, through_lowest))};
}

std::vector<Tensor> evaluate_min_max(const EvaluateContext& cx) {
  Tensor y = cx.operand(0);
  std::vector<int64_t> kept = y.dims;
  for (int axis : ops::axes_of(cx.node)) kept[axis] = 1;
  std::vector<double> highest(bnc::element_count(kept), -INFINITY), lowest = highest;
  ops::for_each_index(y.dims, [&](const std::vector<int64_t>& index, int64_t p) {
    const int64_t g = ops::broadcast_position(index, kept);
    highest[g] = ops::maximum(highest[g], y.data[p]);
    lowest[g] = ops::maximum(lowest[g], -y.data[p]);
  });
  ops::for_each_index(y.dims, [&](const std::vector<int64_t>& index, int64_t p) {
    const int64_t g = ops::broadcast_position(index, kept);
    const double range = highest[g] + lowest[g];
    y.data[p] = (y.data[p] + lowest[g]) / (range == 0 ? 1 : range);
  });
  return {y};
}

}  // namespace

OpDefinition min_max_normalize_op() {
  return {
      .name = "min_max_normalize",
      .category = OpCategory::normalization,
      .summary = "Maps the smallest element to 0 and the largest to 1.",
      .description =
          "y = (x - minimum)/(maximum - minimum), both over `axes`: all elements of the batch together, or with axes=[0] each feature for "
          "itself. Equal elements become 0. The gradient reaches the extremes too; equal ones share it evenly. The extremes are those of "
          "the batch at hand, also in inference; those of a training set are kept by `preprocess`.",
      .operands = {ops::tensor_operand("x", "any shape")},
      .attributes = {{.name = "axes",
                      .kind = AttributeKind::integers,
                      .fallback = IntList{},
                      .doc = "the axes whose elements are mapped together; none given are all"},
                     ops::allow_single_attribute()},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"`x` is f32", "`axes` are distinct axes of `x`", ops::single_element_constraint()},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            ops::checked_axes(cx, 2, cx.type(0).rank());
            ops::refuse_single_element(cx, 3);
            return std::vector{cx.type(0)};
          },
      .gradient = min_max_gradient,
      .evaluate = evaluate_min_max,
      .lowering = DecomposeLowering{[](GraphBuilder& b, Node& node) { return std::vector{Parts(b, node).result}; }},
      .example = "min_max_normalize(x, axes=[0])",
      .example_inputs = "x: f32[N, 5]",
  };
}

}  // namespace bnc
