#include "ir/ops/loss.h"
#include "ir/ops/numbers.h"

namespace bnc {

namespace {

double hinge_margin_of(const Node& node) { return node.attribute("margin").number(); }

// What is missing of the margin; it counts where it is above 0.
Value missing_margin(GraphBuilder& b, const Node& node, Value prediction, Value target) {
  return b.sub(b.constant(hinge_margin_of(node)), b.mul(prediction, target));
}

Value hinge_element(GraphBuilder& b, const Node& node, Value prediction, Value target) {
  return b.value("relu", {missing_margin(b, node, prediction, target)});
}

std::pair<Value, Value> hinge_gradient(GraphBuilder& b, const Node& node, Value prediction, Value target, Value scale) {
  Value missing = missing_margin(b, node, prediction, target);
  Value slope = b.mul(b.value("relu_gradient", {b.constant(-1, missing.type()), missing}), scale);
  return {b.mul(slope, target), b.mul(slope, prediction)};
}

}  // namespace

OpDefinition hinge_op() {
  return ops::elementwise_loss(
      {.name = "hinge",
       .summary = "How far a score falls short of a margin on its side of 0.",
       .description =
           "loss = mean (or sum) of max(0, margin - target*prediction) for targets -1 and 1 (Cortes and Vapnik, \"Support-vector "
           "networks\", 1995). Any other target is multiplied as it is. Gradient -target where the margin is missed, else 0, divided by "
           "what is averaged over.",
       .attributes = {{.name = "margin", .kind = AttributeKind::number, .fallback = 1.0, .doc = "the score that a loss of 0 takes"}},
       .constraints = {"`margin` is above 0"},
       .infer =
           [](const InferContext& cx) {
             ops::require_number(cx, 4, "margin", positive);
             return std::vector<TensorType>{};
           }},
      {.evaluate = [](const Node& node, int64_t, double prediction,
                      double target) { return ops::maximum(hinge_margin_of(node) - prediction * target, 0); },
       .element = hinge_element,
       .gradient = hinge_gradient});
}

}  // namespace bnc
