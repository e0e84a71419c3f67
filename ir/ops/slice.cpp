#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;

namespace {

int64_t integer(const Node& node, const char* name) { return node.attribute(name).integer(); }

AttributeSpec integer_attribute(const char* name, const char* doc) {
  return {.name = name, .kind = AttributeKind::integer, .fallback = {}, .doc = doc};
}

AttributeSpec step_attribute() {
  return {.name = "step", .kind = AttributeKind::integer, .fallback = 1, .doc = "the distance between elements taken"};
}

void require_step(const InferContext& cx, int constraint) {
  if (int64_t step = cx.attribute("step").integer(); step < 1)
    ops::fail(cx, constraint, fmt::format("step must be at least 1, got {}", step));
}

std::vector<TensorType> infer_slice(const InferContext& cx) {
  TensorType result = cx.type(0);
  int axis = ops::channel_axis(cx, 1, {});
  int64_t begin = cx.attribute("begin").integer(), end = cx.attribute("end").integer(), extent = result.shape[axis].factor;
  require_step(cx, 3);
  if (begin < 0 || begin >= end || end > extent)
    ops::fail(
        cx, 2,
        fmt::format("[{}, {}) is not a range within the {} elements of axis {} of {}", begin, end, extent, axis, cx.show(cx.type(0))));
  result.shape[axis].factor = (end - begin - 1) / cx.attribute("step").integer() + 1;
  return {result};
}

std::vector<TensorType> infer_slice_gradient(const InferContext& cx) {
  ops::require_f32(cx, 1);
  TensorType result = cx.type(0);
  int axis = ops::channel_axis(cx, 2, {});
  require_step(cx, 3);
  int64_t begin = cx.attribute("begin").integer(), extent = cx.attribute("extent").integer(), step = cx.attribute("step").integer();
  int64_t taken = result.shape[axis].factor;
  if (begin < 0 || begin >= extent || (extent - 1 - begin) / step < taken - 1)
    ops::fail(cx, 4,
              fmt::format("the {} elements of {}, {} apart from {} on, do not fit in an extent of {}", taken, cx.show(cx.type(0)), step,
                          begin, extent));
  result.shape[axis].factor = extent;
  return {result};
}

std::vector<Tensor> evaluate_slice(const EvaluateContext& cx) {
  const Tensor& x = cx.operand(0);
  int axis = ops::axis_of(cx.node);
  return ops::evaluate_elements(cx, [&](std::vector<int64_t> index) {
    index[axis] = integer(cx.node, "begin") + index[axis] * integer(cx.node, "step");
    return x.data[ops::position_of(index, x.dims)];
  });
}

std::vector<Tensor> evaluate_slice_gradient(const EvaluateContext& cx) {
  const Tensor& dy = cx.operand(0);
  int axis = ops::axis_of(cx.node);
  Tensor dx = cx.result();
  ops::for_each_index(dy.dims, [&](std::vector<int64_t> index, int64_t p) {
    index[axis] = integer(cx.node, "begin") + index[axis] * integer(cx.node, "step");
    dx.data[ops::position_of(index, dx.dims)] = dy.data[p];
  });
  return {dx};
}

Expr slice_element(ElementContext& cx, const Index& index) {
  Index source = index;
  Expr& at = source[ops::axis_of(cx.node)];
  at = at * Expr(integer(cx.node, "step")) + Expr(integer(cx.node, "begin"));
  return cx.operand(0, source);
}

// The ends of the range that was taken, along the last axis.
std::vector<int64_t> slice_gradient_breaks(const Node& node) {
  if (ops::axis_of(node) != node.results[0].type.rank() - 1) return {};
  const int64_t begin = integer(node, "begin");
  return {begin, begin + (node.operands[0].type().shape.back().factor - 1) * integer(node, "step") + 1};
}

// dy where the position was taken, else 0; the read of dy is kept within bounds everywhere.
Expr slice_gradient_element(ElementContext& cx, const Index& index) {
  int axis = ops::axis_of(cx.node);
  int64_t step = integer(cx.node, "step"), taken = cx.node.operands[0].type().shape[axis].factor;
  Expr offset = index[axis] - Expr(integer(cx.node, "begin"));
  Expr last((taken - 1) * step);
  Expr inside = loops::binary(loops::BinaryOp::logical_and, offset >= Expr(0), offset <= last);
  if (loops::is_constant(inside, 0)) return loops::real(0);
  if (step > 1) inside = loops::binary(loops::BinaryOp::logical_and, inside, offset % Expr(step) == Expr(0));
  Index source = index;
  source[axis] = ops::clamp(offset, 0, (taken - 1) * step) / Expr(step);
  return loops::select(inside, cx.operand(0, source), loops::real(0));
}

}  // namespace

OpDefinition slice_op() {
  return {
      .name = "slice",
      .category = OpCategory::shape,
      .summary = "Every `step`-th element of a range along one axis.",
      .description = "y[.., i, ..] = x[.., begin + i*step, ..] as long as begin + i*step < end.",
      .operands = {ops::tensor_operand("x", "at least one dimension")},
      .attributes = {integer_attribute("axis", "the axis; negative counts from the end"), integer_attribute("begin", "the first element"),
                     integer_attribute("end", "one past the last element"), step_attribute()},
      .results = {{"y", "`x` with ceil((end - begin)/step) elements along `axis`"}},
      .constraints = {ops::axis_constraint, "0 <= begin < end <= the extent of `axis`", "`step` is at least 1"},
      .infer = infer_slice,
      .gradient =
          [](GradientContext& cx) {
            int axis = ops::axis_of(cx.node);
            return std::vector{cx.builder.value("slice_gradient", {cx.gradient()},
                                                {{"axis", axis},
                                                 {"begin", cx.node.attribute("begin")},
                                                 {"step", cx.node.attribute("step")},
                                                 {"extent", cx.operand(0).type().shape[axis].factor}})};
          },
      .evaluate = evaluate_slice,
      .lowering = ElementLowering{.element = slice_element, .cost = 0},
      .example = "slice(x, axis=1, begin=1, end=6, step=2)",
      .example_inputs = "x: f32[N, 8]",
  };
}

OpDefinition slice_gradient_op() {
  return {
      .name = "slice_gradient",
      .category = OpCategory::gradient,
      .summary = "Gradient of slice: its elements where they were taken from, 0 elsewhere.",
      .description = "dx[.., begin + i*step, ..] = dy[.., i, ..] in a tensor of `extent` elements along `axis`.",
      .operands = {ops::tensor_operand("dy", "gradient of the slice")},
      .attributes = {integer_attribute("axis", "the axis; negative counts from the end"), integer_attribute("begin", "the first element"),
                     step_attribute(), integer_attribute("extent", "the elements along `axis` of what was sliced")},
      .results = {{"dx", "`dy` with `extent` elements along `axis`"}},
      .constraints = {"`dy` is f32", "`axis` names a dimension of `dy` that is not the batch", "`step` is at least 1",
                      "the elements of `dy`, `step` apart from `begin` on, lie within `extent`"},
      .infer = infer_slice_gradient,
      .gradient =
          [](GradientContext& cx) {
            int axis = ops::axis_of(cx.node);
            int64_t begin = integer(cx.node, "begin"), step = integer(cx.node, "step"), taken = cx.operand(0).type().shape[axis].factor;
            return std::vector{cx.builder.value(
                "slice", {cx.gradient()},
                {{"axis", axis}, {"begin", begin}, {"end", begin + (taken - 1) * step + 1}, {"step", step}})};
          },
      .evaluate = evaluate_slice_gradient,
      .lowering = ElementLowering{.element = slice_gradient_element, .cost = 3, .breaks = slice_gradient_breaks},
      .example = "slice_gradient(dy, axis=1, begin=1, step=2, extent=8)",
      .example_inputs = "dy: f32[N, 3]",
  };
}

}  // namespace bnc
