#include "ir/ops/loss.h"
#include "ir/ops/numbers.h"

namespace bnc {

namespace {

double delta_of(const Node& node) { return node.attribute("delta").number(); }

double evaluate_huber(const Node& node, int64_t, double prediction, double target) {
  const double size = std::fabs(prediction - target), delta = delta_of(node);
  return size < delta ? size * size / 2 : delta * (size - delta / 2);
}

// c*(size - c/2) with c the lesser of size and delta.
Value huber_element(GraphBuilder& b, const Node& node, Value prediction, Value target) {
  Value size = b.value("abs", {b.sub(prediction, target)});
  Value bounded = b.value("clip", {size}, {{"low", 0.0}, {"high", delta_of(node)}});
  return b.mul(bounded, b.sub(size, b.scale(bounded, 0.5)));
}

std::pair<Value, Value> huber_gradient(GraphBuilder& b, const Node& node, Value prediction, Value target, Value scale) {
  Value difference = b.sub(prediction, target);
  Value slope = b.value("clip", {difference}, {{"low", -delta_of(node)}, {"high", delta_of(node)}});
  Value d_prediction = b.mul(slope, scale);
  return {d_prediction, b.neg(d_prediction)};
}

}  // namespace

OpDefinition huber_op() {
  return ops::elementwise_loss(
      {.name = "huber",
       .summary = "Squared differences where they are small, absolute ones where they are large.",
       .description = "loss = mean (or sum) of d^2/2 where |d| < `delta`, else delta*(|d| - delta/2), with d = prediction - target (Huber, "
                      "\"Robust estimation of a location parameter\", 1964), as torch.nn.HuberLoss. Gradient d, cut off at -delta and "
                      "delta, divided by what is averaged over.",
       .attributes = {{.name = "delta", .kind = AttributeKind::number, .fallback = 1.0, .doc = "where the loss becomes a straight line"}},
       .constraints = {"`delta` is above 0"},
       .infer =
           [](const InferContext& cx) {
             ops::require_number(cx, 4, "delta", positive);
             return std::vector<TensorType>{};
           },
       .example = "huber(x, y, delta=0.5)"},
      {.evaluate = evaluate_huber, .element = huber_element, .gradient = huber_gradient});
}

}  // namespace bnc
