// group_norm and instance_norm: statistics of each example for itself, over its pixels and some or one of its channels.
#include <numeric>

#include "ir/ops/standardization.h"
#include "ir/ops/statistics.h"

namespace bnc {

namespace {

std::vector<int> axis_of_channels(const InferContext& cx) {
  const TensorType& x = cx.type(0);
  const int least = cx.op.name == "instance_norm" ? 3 : 2;
  if (x.rank() < least) ops::fail(cx, 2, fmt::format("`x` needs at least {} dimensions, got {}", least, cx.show(x)));
  for (size_t k = 1; k < x.shape.size(); ++k)
    if (x.shape[k].batch) ops::fail(cx, 2, fmt::format("dimension {} of {} is the batch, which must be the first", k, cx.show(x)));
  return {x.rank() - 1};
}

// The axes from 1 to `end`.
std::vector<int> axes_to(int end) {
  std::vector<int> axes(end - 1);
  std::iota(axes.begin(), axes.end(), 1);
  return axes;
}

OpDefinition over_pixels(OpDefinition op, const char* x) {
  op.operands = {ops::tensor_operand("x", x), ops::affine_parameter("gamma", "`f32[C]`, the scale", "ones", axis_of_channels),
                 ops::affine_parameter("beta", "`f32[C]`, the shift", "zeros", axis_of_channels)};
  op.attributes.push_back(ops::epsilon_attribute());
  op.attributes.push_back(ops::allow_single_attribute());
  op.constraints = {"all operands are f32", std::string("`x` is ") + x + ", of which only the first may be the batch",
                    ops::channels_constraint("`gamma` and `beta` are"), "`epsilon` is positive", ops::single_element_constraint()};
  return op;
}

void check(const InferContext& cx) {
  ops::require_f32(cx, 1);
  ops::check_affine(cx, 3, axis_of_channels(cx));
  ops::require_epsilon(cx, 4);
}

std::vector<TensorType> type_of_result(const InferContext& cx) {
  ops::refuse_single_element(cx, 5);
  return {cx.type(0)};
}

}  // namespace

OpDefinition group_norm_op() {
  OpDefinition op = over_pixels(
      {.name = "group_norm",
       .summary = "Group normalization.",
       .description = "y = gamma*(x - mean)*rsqrt(variance + epsilon) + beta, mean and biased variance those of each example and group of "
                      "neighbouring channels, over all pixels (Wu and He, \"Group normalization\", 2018). The channels are the last axis. "
                      "`gamma=false` and `beta=false` leave them out.",
       .attributes =
           {{.name = "groups", .kind = AttributeKind::integer, .fallback = {}, .doc = "how many groups the channels are divided into"}}},
      "`[N, .., C]`");
  op.constraints.push_back("`groups` is at least 1 and divides the number of channels");
  op.infer = [](const InferContext& cx) {
    check(cx);
    const int64_t groups = cx.attribute("groups").integer(), channels = cx.type(0).shape.back().factor;
    if (groups < 1 || channels % groups != 0)
      ops::fail(cx, 6, fmt::format("{} channels cannot be divided into {} groups", channels, groups));
    return type_of_result(cx);
  };
  op.example = "group_norm(x, 2)";
  op.example_inputs = "x: f32[N, 3, 6]";
  return ops::standardizing(std::move(op), [](const Node& node) {
    const int rank = node.operands[0].type().rank();
    return ops::Population{.axes = axes_to(rank), .groups = node.attribute("groups").integer(), .affine = {rank - 1}};
  });
}

OpDefinition instance_norm_op() {
  OpDefinition op = over_pixels(
      {.name = "instance_norm",
       .summary = "Instance normalization.",
       .description = "y = gamma*(x - mean)*rsqrt(variance + epsilon) + beta, mean and biased variance those of each channel of each "
                      "example, over its pixels (Ulyanov, Vedaldi and Lempitsky, \"Instance normalization\", 2016). The channels are the "
                      "last axis. `gamma=false` and `beta=false` leave them out, PyTorch's default."},
      "`[N, .., C]` with a pixel axis or more");
  op.infer = [](const InferContext& cx) {
    check(cx);
    return type_of_result(cx);
  };
  op.example = "instance_norm(x)";
  op.example_inputs = "x: f32[N, 3, 5]";
  return ops::standardizing(std::move(op), [](const Node& node) {
    const int rank = node.operands[0].type().rank();
    return ops::Population{.axes = axes_to(rank - 1), .affine = {rank - 1}};
  });
}

}  // namespace bnc
