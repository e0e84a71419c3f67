// layer_norm and rms_norm: statistics of each example for itself, over its last axes.
#include "ir/ops/standardization.h"
#include "ir/ops/statistics.h"

namespace bnc {

namespace {

std::vector<int> normalized_axes(const InferContext& cx) {
  const TensorType& x = cx.type(0);
  const std::vector<int> axes = ops::checked_axes(cx, 2, x.rank());
  if (cx.attribute("axes").integers().empty()) ops::fail(cx, 2, "`axes` names no axis", "leave it out for the last one");
  for (int axis : axes)
    if (x.shape[axis].batch)
      ops::fail(cx, 2, fmt::format("axis {} of {} is the batch: examples are normalized each for itself", axis, cx.show(x)),
                "batch_norm and standardize take statistics over the batch");
  return axes;
}

OpDefinition over_features(OpDefinition op, bool centered) {
  op.operands = {ops::tensor_operand("x", "at least one dimension"),
                 ops::affine_parameter("gamma", "the dimensions of `x` along `axes`; the scale", "ones", normalized_axes)};
  if (centered) op.operands.push_back(ops::affine_parameter("beta", "likewise, the shift", "zeros", normalized_axes));
  op.attributes = {ops::epsilon_attribute(),
                   {.name = "axes",
                    .kind = AttributeKind::integers,
                    .fallback = IntList{-1},
                    .doc = "the axes normalized over; negative ones count from the end"},
                   ops::allow_single_attribute()};
  op.constraints = {
      "all operands are f32", "`axes` are distinct axes of `x`, at least one and not the batch",
      centered ? "`gamma` and `beta` have the dimensions of `x` along `axes`" : "`gamma` has the dimensions of `x` along `axes`",
      "`epsilon` is positive", ops::single_element_constraint()};
  op.infer = [](const InferContext& cx) {
    ops::require_f32(cx, 1);
    ops::check_affine(cx, 3, normalized_axes(cx));
    ops::require_epsilon(cx, 4);
    ops::refuse_single_element(cx, 5);
    return std::vector{cx.type(0)};
  };
  op.example = op.name + "(x)";
  op.example_inputs = "x: f32[N, 5]";
  return ops::standardizing(std::move(op), [centered](const Node& node) {
    return ops::Population{.axes = ops::axes_of(node), .centered = centered, .affine = ops::axes_of(node)};
  });
}

}  // namespace

OpDefinition layer_norm_op() {
  return over_features({.name = "layer_norm",
                        .summary = "Layer normalization.",
                        .description = "y = gamma*(x - mean)*rsqrt(variance + epsilon) + beta, mean and biased variance those of each "
                                       "example over `axes` (Ba, Kiros and Hinton, \"Layer normalization\", 2016). Training and inference "
                                       "are the same. `gamma=false` and `beta=false` leave them out."},
                       true);
}

OpDefinition rms_norm_op() {
  return over_features({.name = "rms_norm",
                        .summary = "Root mean square normalization.",
                        .description = "y = gamma*x*rsqrt(mean of x^2 + epsilon), the mean over `axes` of each example (Zhang and "
                                       "Sennrich, \"Root mean square layer normalization\", 2019). `gamma=false` leaves the scale out."},
                       false);
}

}  // namespace bnc
