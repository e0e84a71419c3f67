#include <algorithm>

#include "ir/ops/common.h"

namespace bnc {

namespace {

std::vector<int> reduced_axis_of(const Node& node) { return {ops::axis_of(node)}; }

std::vector<TensorType> infer_argmax(const InferContext& cx) {
  ops::require_f32(cx, 1);
  const int axis = ops::checked_axis(cx, 2);
  return {TensorType{DType::i32, ops::reduced_shape(cx.type(0).shape, {axis}, cx.attribute("keep_dims").boolean())}};
}

std::vector<Tensor> evaluate_argmax(const EvaluateContext& cx) {
  const Tensor& x = cx.operand(0);
  const int axis = ops::axis_of(cx.node);
  const int64_t stride = ops::row_major_strides(x.dims)[axis], extent = x.dims[axis];
  Tensor y = cx.result();
  int64_t next = 0;
  for (int64_t first = 0; first < x.size(); ++first) {
    if (first / stride % extent != 0) continue;   // `first` begins a row along the axis
    int64_t best = 0;
    for (int64_t k = 1; k < extent; ++k) {
      const double largest = x.data[first + best * stride], element = x.data[first + k * stride];
      if (element > largest || (std::isnan(element) && !std::isnan(largest))) best = k;
    }
    y.data[next++] = static_cast<double>(best);
  }
  return {y};
}

}  // namespace

OpDefinition argmax_op() {
  return {
      .name = "argmax",
      .category = OpCategory::reduction,
      .summary = "Which element along an axis is the maximum.",
      .description = "The number, from 0 on, of the first of equal maxima along `axis`, or of the first NaN where there is one. It is a "
                     "constant for the backward pass.",
      .operands = {ops::fixed_operand("x", "at least one dimension")},
      .attributes = {ops::axis_attribute("along which the elements are compared"),
                     {.name = "keep_dims", .kind = AttributeKind::boolean, .fallback = false, .doc = "keep that dimension, with size 1"}},
      .results = {{"index", "i32, the shape of `x` without `axis`"}},
      .constraints = {"`x` is f32", "`axis` names a dimension of `x`"},
      .infer = infer_argmax,
      .evaluate = evaluate_argmax,
      .lowering = ReduceLowering{.kind = ReduceLowering::Kind::first_maximum,
                                 .axes = reduced_axis_of,
                                 .keep_dims = [](const Node& node) { return node.attribute("keep_dims").boolean(); }},
      .example = "argmax(x)",
      .example_inputs = "x: f32[N, 5]",
  };
}

}  // namespace bnc
