#include "ir/ops/loss.h"

namespace bnc {

namespace {

Value absolute_error(GraphBuilder& b, const Node&, Value prediction, Value target) {
  return b.value("abs", {b.sub(prediction, target)});
}

std::pair<Value, Value> absolute_error_gradient(GraphBuilder& b, const Node&, Value prediction, Value target, Value scale) {
  Value difference = b.sub(prediction, target);
  Value sign = b.value("abs_gradient", {b.constant(1, difference.type()), difference});
  Value d_prediction = b.mul(sign, scale);
  return {d_prediction, b.neg(d_prediction)};
}

}  // namespace

OpDefinition mean_absolute_error_op() {
  return ops::elementwise_loss(
      {.name = "mean_absolute_error",
       .summary = "Mean of absolute differences, the L1 loss.",
       .description = "loss = mean (or sum) of |prediction - target|, as torch.nn.L1Loss. Gradient 1 where the prediction is larger, -1 "
                      "where it is smaller, 0 where both are equal, divided by what is averaged over."},
      {.evaluate = [](const Node&, int64_t, double prediction, double target) { return std::fabs(prediction - target); },
       .element = absolute_error,
       .gradient = absolute_error_gradient});
}

}  // namespace bnc
