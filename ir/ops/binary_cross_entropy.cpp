#include "ir/number_range.h"
#include "ir/ops/loss.h"

namespace bnc {

namespace {

NumberList positive_weights(const Node& node) { return node.attribute("positive_weight").numbers(); }

bool weighs_positives(const Node& node) { return positive_weights(node) != NumberList{1}; }

// What multiplies the loss of a target of 1, less 1: one number, or one along the last dimension.
Value positive_excess(GraphBuilder& b, const Node& node) {
  NumberList excess = positive_weights(node);
  for (double& each : excess) each -= 1;
  if (excess.size() == 1) return b.constant(excess[0]);
  return b.constant(Tensor{DType::f32, {static_cast<int64_t>(excess.size())}, excess});
}

// softplus(-x), the loss of logit x and target 1, is relu(-x) + log1p(exp(-|x|)); |x| = relu(x) + relu(-x).
struct LogitParts {
  Value positive, negative, rest;
};

LogitParts parts_of_logit(GraphBuilder& b, Value x) {
  Value positive = b.value("relu", {x}), negative = b.value("relu", {b.neg(x)});
  return {positive, negative, b.value("softplus", {b.neg(b.add(positive, negative))})};
}

double evaluate_binary_entropy(const Node& node, int64_t position, double x, double t) {
  const NumberList weights = positive_weights(node);
  const double excess = weights[static_cast<size_t>(position) % weights.size()] - 1, rest = std::log1p(std::exp(-std::fabs(x)));
  const double loss = ops::maximum(x, 0) - x * t + rest;
  return excess == 0 ? loss : loss + excess * t * (ops::maximum(-x, 0) + rest);
}

Value binary_entropy(GraphBuilder& b, const Node& node, Value x, Value t) {
  const auto [positive, negative, rest] = parts_of_logit(b, x);
  Value loss = b.add(b.sub(positive, b.mul(x, t)), rest);
  if (!weighs_positives(node)) return loss;
  return b.add(loss, b.mul(b.mul(t, positive_excess(b, node)), b.add(negative, rest)));
}

std::pair<Value, Value> binary_entropy_gradient(GraphBuilder& b, const Node& node, Value x, Value t, Value scale) {
  Value slope = b.sub(b.value("sigmoid", {x}), t);
  if (!weighs_positives(node)) {
    Value d_x = b.mul(slope, scale);
    return {d_x, b.neg(b.mul(x, scale))};
  }
  // The slope of softplus(-x) is -sigmoid(-x).
  Value excess = positive_excess(b, node);
  Value d_x = b.mul(b.sub(slope, b.mul(b.mul(t, excess), b.value("sigmoid", {b.neg(x)}))), scale);
  const LogitParts parts = parts_of_logit(b, x);
  return {d_x, b.mul(b.sub(b.mul(b.add(parts.negative, parts.rest), excess), x), scale)};
}

std::vector<TensorType> check_positive_weight(const InferContext& cx) {
  const NumberList weights = cx.attribute("positive_weight").numbers();
  const Shape& shape = cx.type(0).shape;
  if (weights.size() != 1 && (shape.empty() || shape.back() != Dim{static_cast<int64_t>(weights.size())}))
    ops::fail(cx, 4, fmt::format("{} positive weights do not fit the last dimension of {}", weights.size(), cx.show(cx.type(0))));
  for (const double weight : weights)
    if (!not_negative.holds(weight))
      ops::fail(cx, 5, fmt::format("a positive weight must be {}, got {}", not_negative.text(), as_computed_with(weight)));
  return {};
}

}  // namespace

OpDefinition binary_cross_entropy_with_logits_op() {
  return ops::elementwise_loss(
      {.name = "binary_cross_entropy_with_logits",
       .summary = "Cross-entropy of two classes, from the logit of one.",
       .description = "loss = mean (or sum) of max(x, 0) - x*t + log1p(exp(-|x|)) for logit x and target t in [0, 1], which is "
                      "-t*log(sigmoid(x)) - (1 - t)*log(1 - sigmoid(x)) without overflow or cancellation. Gradient sigmoid(x) - t. A "
                      "`positive_weight` p multiplies the first term, that of targets of 1, but not what the mean divides by, as "
                      "`pos_weight` of torch.nn.BCEWithLogitsLoss; then the gradient is sigmoid(x) - t - (p - 1)*t*sigmoid(-x).",
       .attributes = {{.name = "positive_weight",
                       .kind = AttributeKind::numbers,
                       .fallback = 1.0,
                       .doc = "how often a target of 1 counts; one number, or one for each index of the last dimension"}},
       .constraints = {"`positive_weight` is one number, or as many as the last dimension of `prediction`", "each is at least 0"},
       .infer = check_positive_weight},
      {.evaluate = evaluate_binary_entropy, .element = binary_entropy, .gradient = binary_entropy_gradient});
}

}  // namespace bnc
