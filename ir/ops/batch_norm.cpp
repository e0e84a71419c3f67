#include <algorithm>

#include "ir/number_range.h"
#include "ir/ops/common.h"
#include "ir/ops/statistics.h"

namespace bnc {

namespace {

enum Operand { x_operand, gamma_operand, beta_operand, mean_operand, variance_operand, count_operand };

bool trains(const AttributeMap& attributes) { return attributes.at("mode").symbol().name == "train"; }

// Whether `stats` depends on the number of steps so far.
bool counts_steps(const Symbol& stats) { return stats.name == "cumulative" || stats.flag("corrected"); }

OperandSpec channel_parameter(const char* name, const char* doc, ParameterRule::Kind kind, const char* initializer) {
  auto type = [](const InferContext& cx) { return TensorType{DType::f32, {cx.type(x_operand).shape[ops::channel_axis(cx, 2, {})]}}; };
  return {.name = name,
          .doc = doc,
          .differentiable = kind == ParameterRule::Kind::parameter,
          .parameter = ParameterRule{.kind = kind, .type = type, .initializer = {initializer, {}}}};
}

OperandSpec count_state() {
  return {.name = "count",
          .doc = "`f32[]`, the steps so far; only where `stats` is corrected or cumulative",
          .optional = true,
          .differentiable = false,
          .parameter = ParameterRule{.kind = ParameterRule::Kind::state,
                                     .type = [](const InferContext&) { return TensorType{}; },
                                     .initializer = {"zeros", {}},
                                     .wanted = [](const InferContext& cx) { return counts_steps(cx.attribute("stats").symbol()); }}};
}

void check_stats(const InferContext& cx) {
  const Symbol& stats = cx.attribute("stats").symbol();
  std::vector<std::string> known = stats.name == "ema" ? std::vector<std::string>{"decay", "corrected"} : std::vector<std::string>{};
  for (const auto& [argument, value] : stats.arguments) {
    if (std::find(known.begin(), known.end(), argument) != known.end()) continue;
    std::string near = nearest_name(argument, known);
    std::string help = !near.empty() ? fmt::format("did you mean `{}`?", near)
                       : argument == "momentum" ? "`decay` weighs the old value: decay = 1 - PyTorch's momentum" : "";
    ops::fail(cx, 5, fmt::format("`{}` has no argument `{}`", stats.name, argument), help);
  }
  constexpr NumberRange decays{.low = 0, .high = 1, .with_low = true, .with_high = true, .is_decay = true};
  const double decay = stats.number("decay", 0.9);
  if (!decays.holds(decay)) ops::fail(cx, 5, fmt::format("the decay must be {}, got {}", decays.text(), format_number(decay)));
  if (counts_steps(stats) && !cx.has(count_operand) && trains(cx.attributes))
    ops::fail(cx, 6, fmt::format("stats={} needs the operand `count`", to_string(cx.attribute("stats"))));
  if (cx.has(count_operand) && cx.type(count_operand) != TensorType{})
    ops::fail(cx, 6, fmt::format("`count` must be f32[], got {}", cx.show(cx.type(count_operand))));
}

std::vector<TensorType> infer_batch_norm(const InferContext& cx) {
  const TensorType& x = cx.type(x_operand);
  ops::require_f32(cx, 1);
  if (x.rank() < 2)
    ops::fail(cx, 2, fmt::format("`x` needs at least 2 dimensions, the channels and one to normalize over, got {}", cx.show(x)));
  int axis = ops::channel_axis(cx, 2, {gamma_operand, beta_operand, mean_operand, variance_operand});
  ops::require_epsilon(cx, 4);
  check_stats(cx);
  ops::refuse_single_element(cx, 7);
  if (const int64_t ghost = cx.attribute("ghost").integer(); ghost != 0) {
    if (ghost < 2)
      ops::fail(cx, 8, fmt::format("a ghost batch has at least 2 examples, got {}", ghost),
                "leave `ghost` out for statistics of the whole batch");
    if (!x.shape[0].batch || axis != x.rank() - 1)
      ops::fail(cx, 8,
                fmt::format("ghost batches are taken along the first dimension, with the channels last, but `x` is {} and `axis` {}",
                            cx.show(x), axis));
  }
  TensorType channels{DType::f32, {x.shape[axis]}};
  return {x, channels, channels};
}

std::vector<Value> batch_norm_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value x = cx.operand(x_operand), gamma = cx.operand(gamma_operand), mean = cx.result(1), variance = cx.result(2);
  const Attribute& epsilon = cx.node.attribute("epsilon");
  AttributeMap axis = {{"axis", cx.node.attribute("axis")}}, both = {{"axis", cx.node.attribute("axis")}, {"epsilon", epsilon}};
  Value dx, d_gamma, d_beta;
  if (Value dy = cx.gradient(0)) {
    Node* sums = b.create("batch_norm_gradient_sums", {dy, x, mean, variance}, both);
    d_beta = sums->result(0);
    d_gamma = sums->result(1);
    if (trains(cx.node.attributes)) {
      dx = b.value("batch_norm_input_gradient", {dy, x, gamma, mean, variance, d_beta, d_gamma}, both);
    } else {
      Value scale = b.mul(gamma, ops::reciprocal_deviation(b, variance, epsilon.number()));
      dx = b.mul(dy, ops::along_axis(b, scale, ops::axis_of(cx.node), x.type().rank()));
    }
  }
  if (trains(cx.node.attributes) && (cx.gradient(1) || cx.gradient(2))) {
    Value through_moments = b.value("moments_gradient", {x, mean, cx.gradient(1), cx.gradient(2)}, axis);
    dx = dx ? b.add(dx, through_moments) : through_moments;
  }
  return {dx, d_gamma, d_beta, {}, {}, {}};
}

std::vector<Tensor> evaluate_batch_norm(const EvaluateContext& cx) {
  const Tensor &x = cx.operand(x_operand), &gamma = cx.operand(gamma_operand), &beta = cx.operand(beta_operand);
  int axis = ops::axis_of(cx.node);
  double epsilon = cx.node.attribute("epsilon").number();
  Tensor y = cx.result(0), mean = cx.operand(mean_operand), variance = cx.operand(variance_operand);
  if (trains(cx.node.attributes)) {
    ops::Moments moments = ops::moments_of(x, axis);
    mean.data = moments.mean;
    variance.data = moments.variance;
  }
  ops::for_each_in_channel(x, axis, [&](int64_t p, int64_t c) {
    y.data[p] = gamma.data[c] * ((x.data[p] - mean.data[c]) / std::sqrt(variance.data[c] + epsilon)) + beta.data[c];
  });
  return {y, mean, variance};
}

std::vector<Value> rewrite_batch_norm(GraphBuilder& b, Node& node) {
  const auto& o = node.operands;
  const Attribute &axis = node.attribute("axis"), &epsilon = node.attribute("epsilon");
  if (!trains(node.attributes)) {
    const auto [scale, shift] = ops::frozen_batch_norm(b, node);
    return {b.value("scale_shift", {o[x_operand], scale, shift}, {{"axis", axis}}), o[mean_operand], o[variance_operand]};
  }
  Node* moments = b.create("moments", {o[x_operand]}, {{"axis", axis}});
  const Value mean = moments->result(0), variance = moments->result(1);
  const Value centered = b.sub(o[x_operand], ops::along_axis(b, mean, ops::axis_of(node), o[x_operand].type().rank()));
  const Value scale = b.mul(o[gamma_operand], ops::reciprocal_deviation(b, variance, epsilon.number()));
  return {b.value("scale_shift", {centered, scale, o[beta_operand]}, {{"axis", axis}}), mean, variance};
}

std::vector<AttributeSpec> batch_norm_attributes() {
  return {
      ops::epsilon_attribute(),
      {.name = "stats",
       .kind = AttributeKind::symbol,
       .fallback = Symbol{"ema", {{"decay", 0.9}}},
       .doc = "how training moves the stored statistics: `ema(decay=d)` s <- d*s + (1-d)*batch; `ema(decay=d, corrected)` the same average "
              "divided by 1 - d^t after t steps, so that the initial value has no weight; `cumulative` the plain average over all steps "
              "(bn-running)",
       .choices = {"ema", "cumulative"},
       .arguments = {{"ema", {{"decay", AttributeKind::number}, {"corrected", AttributeKind::boolean}}}}},
      {.name = "unbiased",
       .kind = AttributeKind::boolean,
       .fallback = true,
       .doc = "whether the stored variance is m/(m-1) times the biased one that normalizes (bn-variance)"},
      ops::axis_attribute("the channels"),
      {.name = "mode",
       .kind = AttributeKind::symbol,
       .fallback = "auto",
       .doc = "`infer` normalizes with the stored statistics, also inside training, where they then do not move (bn-frozen-grad); `train` "
              "with the batch's, and `auto` likewise in a training step, else as `infer`. The pass freeze makes `infer` of all, an "
              "explicit `train` too (bn-mode)",
       .choices = {"auto", "train", "infer"}},
      {.name = "ghost",
       .kind = AttributeKind::integer,
       .fallback = 0,
       .doc = "in training, how many examples share their statistics; 0: all of the batch (bn-ghost)"},
      ops::allow_single_attribute(),
  };
}

}  // namespace

ops::ScaleAndShift ops::frozen_batch_norm(GraphBuilder& b, const Node& node) {
  const auto& o = node.operands;
  const Value scale = b.mul(o[gamma_operand], reciprocal_deviation(b, o[variance_operand], node.attribute("epsilon").number()));
  return {scale, b.sub(o[beta_operand], b.mul(o[mean_operand], scale))};
}

OpDefinition batch_norm_op() {
  using Kind = ParameterRule::Kind;
  return {
      .name = "batch_norm",
      .category = OpCategory::normalization,
      .summary = "Batch normalization.",
      .description =
          "y = gamma*(x - mean)*rsqrt(variance + epsilon) + beta, for each channel over all other axes (Ioffe and Szegedy, \"Batch "
          "normalization\", 2015). In mode `train` mean and biased variance are those of the batch (bn-train), in modes `infer` and `auto` "
          "the stored ones (bn-infer). Gradients: with both terms through the statistics in training (bn-backward), affine otherwise "
          "(bn-frozen-grad); those that arrive at the results `mean` and `variance` of the batch reach `x` too.",
      .operands = {ops::tensor_operand("x", "at least 2 dimensions"),
                   channel_parameter("gamma", "`f32[C]`, the scale; 0 and negative values are legal", Kind::parameter, "ones"),
                   channel_parameter("beta", "`f32[C]`, the shift", Kind::parameter, "zeros"),
                   channel_parameter("mean", "`f32[C]`, stored", Kind::state, "zeros"),
                   channel_parameter("variance", "`f32[C]`, stored", Kind::state, "ones"), count_state()},
      .attributes = batch_norm_attributes(),
      .results = {{"y", "the type of `x`"},
                  {"mean", "`f32[C]`, what it normalized with"},
                  {"variance", "`f32[C]`, likewise, biased in training"}},
      .constraints = {"all operands are f32", "`x` has at least 2 dimensions, and `axis` names one that is not the batch",
                      ops::channels_constraint("`gamma`, `beta`, `mean` and `variance` are"), "`epsilon` is positive",
                      "`ema` takes `decay`, between 0 and 1, and `corrected`; `cumulative` takes nothing",
                      "`count` is f32[], and given in training where `stats` is corrected or cumulative",
                      "in training " + ops::single_element_constraint(),
                      "`ghost` is 0, or at least 2 where the first dimension of `x` is the batch and the last one the channels"},
      .infer = infer_batch_norm,
      .gradient = batch_norm_gradient,
      .evaluate = evaluate_batch_norm,
      .lowering = DecomposeLowering{rewrite_batch_norm},
      .example = "batch_norm(x, epsilon=0.001, stats=ema(decay=0.99))",
      .example_inputs = "x: f32[N, 5]",
  };
}

}  // namespace bnc
