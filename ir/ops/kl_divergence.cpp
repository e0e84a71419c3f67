#include "ir/ops/row_loss.h"

namespace bnc {

namespace {

// log t - log_softmax(logits), which is not finite where t is not above 0.
Value logarithm_of_ratio(GraphBuilder& b, Value logits, Value target) {
  return b.sub(b.value("log", {target}), b.value("log_softmax", {logits}));
}

std::vector<Value> divergence_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const Value logits = cx.operand(0), target = cx.operand(1);
  const Value scale = ops::scale_of_rows(cx);
  const Value slope = ops::cross_entropy_slope(b, logits, b.value("relu", {target}));
  const Value by_target = b.value("relu_gradient", {b.add(logarithm_of_ratio(b, logits, target), b.constant(1)), target});
  const Value d_logits = b.mul(slope, scale);
  return {d_logits, b.mul(by_target, scale), Value{}};
}

std::vector<Value> rewrite_divergence(GraphBuilder& b, Node& node) {
  const Value target = node.operands[1], weights = ops::weights_along_rows(b, node);
  const Value terms = b.value("relu_gradient", {b.mul(target, logarithm_of_ratio(b, node.operands[0], target)), target});
  return ops::reduced_rows(b, node, ops::sum_over_classes(b, terms), weights, weights);
}

std::vector<Tensor> evaluate_divergence(const EvaluateContext& cx) {
  const int64_t classes = cx.operand(0).dims.back();
  return ops::evaluate_rows(cx, [&](int64_t row, const double* logits) {
    const std::vector<double> logarithms = ops::log_softmax_of_row(logits, classes);
    ops::RowLoss result{0};
    for (int64_t c = 0; c < classes; ++c)
      if (const double t = cx.operand(1).data[row * classes + c]; !(t <= 0)) result.loss += t * (std::log(t) - logarithms[c]);
    return result;
  });
}

}  // namespace

OpDefinition kl_divergence_op() {
  return ops::loss_of_distributions(
      {.name = "kl_divergence",
       .summary = "Kullback-Leibler divergence of the softmax of logits from a distribution.",
       .description =
           "loss = mean (or sum) over all rows of the sum of t*(log t - log_softmax(prediction)) for targets t (Kullback and Leibler, \"On "
           "information and sufficiency\", 1951), as torch.nn.functional.kl_div of log_softmax(prediction); the mean over rows is what "
           "`batchmean` is there for two dimensions. Gradients softmax(prediction)*sum of t - t and log t + 1 - log_softmax(prediction), "
           "divided by the number of rows for the mean. A class whose t is 0 (or below) counts for nothing, whatever its logit, and passes "
           "no gradient to t.",
       .gradient = divergence_gradient,
       .evaluate = evaluate_divergence,
       .lowering = DecomposeLowering{rewrite_divergence}});
}

}  // namespace bnc
