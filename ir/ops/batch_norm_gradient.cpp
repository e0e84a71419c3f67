// The two halves of a training batch norm's gradient: the sums that need the whole batch, and what is left per element.
#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;

namespace {

// Calls visit(position, channel, xhat) for every element, xhat = (x - mean)*rsqrt(variance + epsilon).
void for_each_normalized(const Node& node, const Tensor& x, const Tensor& mean, const Tensor& variance,
                         const std::function<void(int64_t, int64_t, double)>& visit) {
  double epsilon = node.attribute("epsilon").number();
  ops::for_each_in_channel(x, ops::axis_of(node, 1), [&](int64_t p, int64_t c) {
    visit(p, c, (x.data[p] - mean.data[c]) / std::sqrt(variance.data[c] + epsilon));
  });
}

// The checks both ops share: dy like x, per-channel operands `channels`. Returns the channels' type.
TensorType check(const InferContext& cx, const std::vector<int>& channels) {
  ops::require_f32(cx, 1);
  if (cx.type(0) != cx.type(1))
    ops::fail(cx, 2, fmt::format("`dy` {} and `x` {} must have the same type", cx.show(cx.type(0)), cx.show(cx.type(1))));
  int axis = ops::channel_axis(cx, 3, channels, 1);
  ops::require_epsilon(cx, 5);
  return {DType::f32, {cx.type(1).shape[axis]}};
}

std::vector<std::string> constraints(const std::string& channels) {
  return {"all operands are f32", "`dy` and `x` have the same type", ops::axis_constraint, ops::channels_constraint(channels),
          "`epsilon` is positive"};
}

std::vector<Value> rewrite_sums(GraphBuilder& b, Node& node) {
  const auto& o = node.operands;
  int axis = ops::axis_of(node, 1);
  Value normalized = b.value("normalize", {o[1], o[2], o[3]}, {{"epsilon", node.attribute("epsilon")}, {"axis", axis}});
  return {ops::sum_to_channels(b, o[0], axis), ops::sum_to_channels(b, b.mul(o[0], normalized), axis)};
}

std::vector<Tensor> evaluate_sums(const EvaluateContext& cx) {
  const Tensor& dy = cx.operand(0);
  Tensor beta_gradient = cx.result(0), gamma_gradient = cx.result(1);
  for_each_normalized(cx.node, cx.operand(1), cx.operand(2), cx.operand(3), [&](int64_t p, int64_t c, double normalized) {
    beta_gradient.data[c] += dy.data[p];
    gamma_gradient.data[c] += dy.data[p] * normalized;
  });
  return {beta_gradient, gamma_gradient};
}

std::vector<Tensor> evaluate_input_gradient(const EvaluateContext& cx) {
  const Tensor &dy = cx.operand(0), &x = cx.operand(1), &gamma = cx.operand(2), &variance = cx.operand(4);
  const Tensor &beta_gradient = cx.operand(5), &gamma_gradient = cx.operand(6);
  double m = static_cast<double>(ops::elements_per_channel(x, ops::axis_of(cx.node, 1)));
  double epsilon = cx.node.attribute("epsilon").number();
  Tensor dx = cx.result();
  for_each_normalized(cx.node, x, cx.operand(3), variance, [&](int64_t p, int64_t c, double normalized) {
    double hard_terms = beta_gradient.data[c] / m + normalized * gamma_gradient.data[c] / m;
    dx.data[p] = gamma.data[c] / std::sqrt(variance.data[c] + epsilon) * (dy.data[p] - hard_terms);
  });
  return {dx};
}

Expr input_gradient_element(ElementContext& cx, const Index& index) {
  int axis = ops::axis_of(cx.node, 1);
  auto channel = [&](int k) { return ops::channel_operand(cx, k, index, axis); };
  Expr r = ops::channel_reciprocal_deviation(cx, 4, index, axis);
  Expr share = ops::reciprocal_channel_count(cx, 1, axis);
  // Grouped so that what depends on the channel alone can be computed once a channel.
  Expr through_mean = channel(5) * share, through_variance = (cx.operand(1, index) - channel(3)) * (r * (channel(6) * share));
  return (channel(2) * r) * (cx.operand(0, index) - through_mean - through_variance);
}

}  // namespace

OpDefinition batch_norm_gradient_sums_op() {
  return {
      .name = "batch_norm_gradient_sums",
      .category = OpCategory::gradient,
      .summary = "Gradients of a batch norm's shift and scale.",
      .description =
          "beta_gradient = sum dy, gamma_gradient = sum dy*xhat over all axes but `axis`, with xhat = (x - mean)*rsqrt(variance + epsilon) "
          "(bn-backward; Ioffe and Szegedy, \"Batch normalization\", 2015).",
      .operands = {ops::fixed_operand("dy", "gradient of the batch norm's result"), ops::fixed_operand("x", "what it was applied to"),
                   ops::fixed_operand("mean", "`f32[C]`, what it normalized with"), ops::fixed_operand("variance", "`f32[C]`, likewise")},
      .attributes = {ops::epsilon_attribute(), ops::axis_attribute("the channels")},
      .results = {{"beta_gradient", "`f32[C]`"}, {"gamma_gradient", "`f32[C]`"}},
      .constraints = constraints("`mean` and `variance` are"),
      .infer =
          [](const InferContext& cx) {
            TensorType channels = check(cx, {2, 3});
            return std::vector{channels, channels};
          },
      .evaluate = evaluate_sums,
      .lowering = DecomposeLowering{rewrite_sums},
      .example = "batch_norm_gradient_sums(dy, x, m, v)",
      .example_inputs = "dy: f32[N, 5], x: f32[N, 5], m: f32[5], v: f32[5]",
  };
}

OpDefinition batch_norm_input_gradient_op() {
  return {
      .name = "batch_norm_input_gradient",
      .category = OpCategory::gradient,
      .summary = "Gradient of a training batch norm by its input.",
      .description =
          "dx = gamma*rsqrt(variance + epsilon)*(dy - beta_gradient/m - xhat*gamma_gradient/m) with xhat = (x - mean)*rsqrt(variance + "
          "epsilon) and m the elements of a channel: the mean and the variance move with x, which the last two terms account for "
          "(bn-backward). Nothing divides by gamma.",
      .operands = {ops::fixed_operand("dy", "gradient of the batch norm's result"), ops::fixed_operand("x", "what it was applied to"),
                   ops::fixed_operand("gamma", "`f32[C]`"), ops::fixed_operand("mean", "`f32[C]`, of the batch"),
                   ops::fixed_operand("variance", "`f32[C]`, of the batch, biased"),
                   ops::fixed_operand("beta_gradient", "`f32[C]`, sum dy"), ops::fixed_operand("gamma_gradient", "`f32[C]`, sum dy*xhat")},
      .attributes = {ops::epsilon_attribute(), ops::axis_attribute("the channels")},
      .results = {{"dx", "the type of `x`"}},
      .constraints = constraints("`gamma`, `mean`, `variance`, `beta_gradient` and `gamma_gradient` are"),
      .infer =
          [](const InferContext& cx) {
            check(cx, {2, 3, 4, 5, 6});
            return std::vector{cx.type(1)};
          },
      .evaluate = evaluate_input_gradient,
      .lowering = ElementLowering{.element = input_gradient_element, .pointwise = true, .cost = 6},
      .example = "batch_norm_input_gradient(dy, x, gamma, m, v, db, dg)",
      .example_inputs = "dy: f32[N, 5], x: f32[N, 5], gamma: f32[5], m: f32[5], v: f32[5], db: f32[5], dg: f32[5]",
  };
}

}  // namespace bnc
