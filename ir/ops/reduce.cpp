// reduce_sum, reduce_mean, reduce_max and the gradient of the last.
#include <limits>

#include "ir/ops/reduce.h"

namespace bnc {

using Kind = ReduceLowering::Kind;

namespace {

bool keeps_dims(const Node& node) { return node.attribute("keep_dims").boolean(); }

// A value of the reduced shape, reshaped so that it broadcasts along the axes reduced over.
Value with_dims(GradientContext& cx, Value reduced) {
  return cx.builder.reshape(reduced, ops::reduced_shape(cx.operand(0).type().shape, ops::axes_of(cx.node), true));
}

Value broadcast_gradient(GradientContext& cx, Value dy) {
  return cx.builder.value("broadcast_to", {with_dims(cx, dy)}, {{"shape", cx.operand(0).type().shape}});
}

std::vector<Value> sum_gradient(GradientContext& cx) { return {broadcast_gradient(cx, cx.gradient())}; }

std::vector<Value> mean_gradient(GradientContext& cx) {
  Value count = cx.builder.value("element_count", {cx.operand(0)}, {{"axes", cx.node.attribute("axes")}});
  return {broadcast_gradient(cx, cx.builder.div(cx.gradient(), count))};
}

std::vector<Value> max_gradient(GradientContext& cx) {
  return {
      ops::gradient_of_maximum(cx.builder, cx.operand(0), with_dims(cx, cx.result()), with_dims(cx, cx.gradient()), ops::axes_of(cx.node))};
}

std::vector<Tensor> evaluate_reduction(const EvaluateContext& cx, Kind kind) {
  const Tensor& x = cx.operand(0);
  std::vector<int> axes = ops::axes_of(cx.node);
  Tensor y = cx.result();
  if (kind == Kind::maximum) y.data.assign(y.data.size(), -std::numeric_limits<double>::infinity());
  std::vector<int64_t> kept_dims = x.dims;
  for (int axis : axes) kept_dims[axis] = 1;
  ops::for_each_index(x.dims, [&](const std::vector<int64_t>& index, int64_t p) {
    double& target = y.data[ops::broadcast_position(index, kept_dims)];
    target = kind == Kind::maximum ? ops::maximum(target, x.data[p]) : target + x.data[p];
  });
  if (kind == Kind::mean)
    for (double& value : y.data) value /= static_cast<double>(x.size() / y.size());
  return {y};
}

OpDefinition reduction_op(Kind kind, const char* name, const char* summary, const char* description,
                          std::vector<Value> (*gradient)(GradientContext&)) {
  return {
      .name = name,
      .category = OpCategory::reduction,
      .summary = summary,
      .description = description,
      .operands = {ops::tensor_operand("x", "any shape")},
      .attributes =
          {{.name = "axes", .kind = AttributeKind::integers, .fallback = IntList{}, .doc = "the axes to reduce over; none given are all"},
           {.name = "keep_dims", .kind = AttributeKind::boolean, .fallback = false, .doc = "keep those dimensions, with size 1"}},
      .results = {{"y", "the shape of `x` without `axes`"}},
      .constraints = {"`x` is f32", "`axes` are distinct axes of `x`"},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            const TensorType& x = cx.type(0);
            return std::vector{TensorType{
                DType::f32, ops::reduced_shape(x.shape, ops::checked_axes(cx, 2, x.rank()), cx.attribute("keep_dims").boolean())}};
          },
      .gradient = gradient,
      .evaluate = [kind](const EvaluateContext& cx) { return evaluate_reduction(cx, kind); },
      .lowering = ReduceLowering{.kind = kind, .axes = ops::axes_of, .keep_dims = keeps_dims},
      .example = std::string(name) + "(x, axes=[-1], keep_dims=true)",
      .example_inputs = "x: f32[N, 5]",
  };
}

std::vector<TensorType> infer_max_gradient(const InferContext& cx) {
  ops::require_f32(cx, 1);
  const TensorType &dy = cx.type(0), &x = cx.type(1), &maximum = cx.type(2);
  if (dy != maximum || broadcast(maximum.shape, x.shape) != x.shape)
    ops::fail(cx, 2, fmt::format("`dy` {} and `maximum` {} must be alike and broadcast to `x` {}", cx.show(dy), cx.show(maximum),
                                 cx.show(x)));
  return {x};
}

}  // namespace

Value ops::gradient_of_maximum(GraphBuilder& b, Value x, Value maximum, Value maximum_gradient, const std::vector<int>& axes) {
  const Value marks = b.value("reduce_max_gradient", {b.constant(1, maximum.type()), x, maximum});
  const Value count = b.value("reduce_sum", {marks}, {{"axes", to_attribute(axes)}, {"keep_dims", true}});
  return b.value("reduce_max_gradient", {b.div(maximum_gradient, count), x, maximum});
}

OpDefinition reduce_sum_op() {
  return reduction_op(
      Kind::sum, "reduce_sum", "Sum over some axes.",
      "y = sum of x over `axes`. Generated code adds in fixed parts, merged in a fixed tree, whatever the number of threads.",
      sum_gradient);
}

OpDefinition reduce_mean_op() {
  return reduction_op(Kind::mean, "reduce_mean", "Mean over some axes.",
                      "y = sum of x over `axes`, divided by the number of elements they span.", mean_gradient);
}

OpDefinition reduce_max_op() {
  return reduction_op(Kind::maximum, "reduce_max", "Maximum over some axes.",
                      "y = maximum of x over `axes`; NaN where one of them is NaN. Equal maxima share the gradient evenly.", max_gradient);
}

OpDefinition reduce_max_gradient_op() {
  return {
      .name = "reduce_max_gradient",
      .category = OpCategory::gradient,
      .summary = "Passes a gradient to the elements that are the maximum.",
      .description = "dx = 0 where x < maximum, else dy; `dy` and `maximum` have kept dimensions and are broadcast.",
      .operands = {ops::fixed_operand("dy", "gradient of the maximum, dimensions kept"), ops::fixed_operand("x", "what was reduced"),
                   ops::fixed_operand("maximum", "the maximum, dimensions kept")},
      .results = {{"dx", "the type of `x`"}},
      .constraints = {"all operands are f32", "`dy` and `maximum` have the same type, whose shape broadcasts to that of `x`"},
      .infer = infer_max_gradient,
      .evaluate =
          [](const EvaluateContext& cx) {
            return ops::evaluate_pointwise(cx, [](const std::vector<double>& x) { return x[1] < x[2] ? 0 : x[0]; });
          },
      .lowering = ops::pointwise_lowering(
          [](const Node&, const std::vector<loops::Expr>& x) { return loops::select(x[1] < x[2], loops::real(0), x[0]); }, 1),
      .example = "reduce_max_gradient(dy, x, m)",
      .example_inputs = "dy: f32[N, 1], x: f32[N, 5], m: f32[N, 1]",
  };
}

}  // namespace bnc
