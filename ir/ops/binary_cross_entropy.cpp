#include "ir/ops/loss.h"

namespace bnc {

namespace {

std::vector<Value> gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value x = cx.operand(0), t = cx.operand(1);
  Value scale = ops::averaged(b, cx.node, cx.gradient(), x);
  return {b.mul(b.sub(b.value("sigmoid", {x}), t), scale), b.neg(b.mul(x, scale))};
}

// softplus(-|x|) is log1p(exp(-|x|)); |x| = relu(x) + relu(-x).
std::vector<Value> rewrite(GraphBuilder& b, Node& node) {
  Value x = node.operands[0], t = node.operands[1];
  Value positive = b.value("relu", {x}), negative = b.value("relu", {b.neg(x)});
  Value rest = b.value("softplus", {b.neg(b.add(positive, negative))});
  Value sum = b.value("reduce_sum", {b.add(b.sub(positive, b.mul(x, t)), rest)});
  return {ops::averaged(b, node, sum, x)};
}

}  // namespace

OpDefinition binary_cross_entropy_with_logits_op() {
  return ops::elementwise_loss(
      {.name = "binary_cross_entropy_with_logits",
       .summary = "Cross-entropy of two classes, from the logit of one.",
       .description = "loss = mean (or sum) of max(x, 0) - x*t + log1p(exp(-|x|)) for logit x and target t in [0, 1], which is "
                      "-t*log(sigmoid(x)) - (1 - t)*log(1 - sigmoid(x)) without overflow or cancellation. Gradient sigmoid(x) - t.",
       .gradient = gradient,
       .lowering = DecomposeLowering{rewrite}},
      [](double x, double t) { return ops::maximum(x, 0) - x * t + std::log1p(std::exp(-std::fabs(x))); });
}

}  // namespace bnc
