#include "ir/ops/row_loss.h"

namespace bnc {

namespace {

std::vector<Value> probability_entropy_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const Value logits = cx.operand(0), target = cx.operand(1);
  const Value scale = ops::scale_of_rows(cx);
  const Value slope = ops::cross_entropy_slope(b, logits, b.value("relu", {target}));
  const Value by_target = b.value("relu_gradient", {b.neg(b.value("log_softmax", {logits})), target});
  const Value d_logits = b.mul(slope, scale);
  return {d_logits, b.mul(by_target, scale), Value{}};
}

std::vector<Value> rewrite_probability_entropy(GraphBuilder& b, Node& node) {
  const Value weights = ops::weights_along_rows(b, node);
  return ops::reduced_rows(b, node, ops::cross_entropy_rows(b, node.operands[0], node.operands[1]), weights, weights);
}

std::vector<Tensor> evaluate_probability_entropy(const EvaluateContext& cx) {
  const int64_t classes = cx.operand(0).dims.back();
  return ops::evaluate_rows(cx, [&](int64_t row, const double* logits) {
    const std::vector<double> logarithms = ops::log_softmax_of_row(logits, classes);
    ops::RowLoss result{0};
    for (int64_t c = 0; c < classes; ++c)
      if (const double t = cx.operand(1).data[row * classes + c]; !(t <= 0)) result.loss -= t * logarithms[c];
    return result;
  });
}

}  // namespace

OpDefinition softmax_cross_entropy_with_probabilities_op() {
  return ops::loss_of_distributions(
      {.name = "softmax_cross_entropy_with_probabilities",
       .summary = "Cross-entropy of a probability for each class, from logits.",
       .description =
           "loss = mean (or sum) over all rows of -sum of t*log_softmax(prediction) for targets t, as torch.nn.functional.cross_entropy "
           "of probabilities. Each t is at least 0; they need not sum to 1. Gradients softmax(prediction)*sum of t - t and "
           "-log_softmax(prediction), divided by the number of rows for the mean. A class whose t is 0 (or below) counts for nothing, "
           "whatever its logit, and passes no gradient to t.",
       .gradient = probability_entropy_gradient,
       .evaluate = evaluate_probability_entropy,
       .lowering = DecomposeLowering{rewrite_probability_entropy}});
}

}  // namespace bnc
