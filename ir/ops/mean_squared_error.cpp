#include "ir/ops/loss.h"

namespace bnc {

OpDefinition mean_squared_error_op() {
  return ops::elementwise_loss(
      {.name = "mean_squared_error",
       .summary = "Mean of squared differences.",
       .description =
           "loss = mean (or sum) of (prediction - target)^2. Gradient 2*(prediction - target), divided by what is averaged over.",
       .gradient =
           [](GradientContext& cx) {
             GraphBuilder& b = cx.builder;
             Value scale = b.scale(ops::averaged(b, cx.node, cx.gradient(), cx.operand(0)), 2);
             Value d_prediction = b.mul(b.sub(cx.operand(0), cx.operand(1)), scale);
             return std::vector{d_prediction, b.neg(d_prediction)};
           },
       .lowering = DecomposeLowering{[](GraphBuilder& b, Node& node) {
         Value difference = b.sub(node.operands[0], node.operands[1]);
         Value sum = b.value("reduce_sum", {b.mul(difference, difference)});
         return std::vector{ops::averaged(b, node, sum, node.operands[0])};
       }}},
      [](double prediction, double target) { return (prediction - target) * (prediction - target); });
}

}  // namespace bnc
