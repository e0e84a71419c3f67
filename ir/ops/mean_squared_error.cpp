#include "ir/ops/loss.h"

namespace bnc {

namespace {

Value squared_error(GraphBuilder& b, const Node&, Value prediction, Value target) {
  Value difference = b.sub(prediction, target);
  return b.mul(difference, difference);
}

std::pair<Value, Value> squared_error_gradient(GraphBuilder& b, const Node&, Value prediction, Value target, Value scale) {
  Value twice = b.scale(scale, 2);
  Value d_prediction = b.mul(b.sub(prediction, target), twice);
  return {d_prediction, b.neg(d_prediction)};
}

}  // namespace

OpDefinition mean_squared_error_op() {
  return ops::elementwise_loss(
      {.name = "mean_squared_error",
       .summary = "Mean of squared differences.",
       .description =
           "loss = mean (or sum) of (prediction - target)^2. Gradient 2*(prediction - target), divided by what is averaged over."},
      {.evaluate = [](const Node&, int64_t, double prediction, double target) { return (prediction - target) * (prediction - target); },
       .element = squared_error,
       .gradient = squared_error_gradient});
}

}  // namespace bnc
