// Losses of a prediction [.., classes] whose rows count one by one: what they share.
#pragma once

#include <functional>

#include "ir/ops/loss.h"

namespace bnc::ops {

// Their operands and weights: i32 class numbers or f32 of the prediction's type, one weight a row.
TensorType labels_of_rows(const TensorType& prediction);
TensorType weights_of_rows(const TensorType& prediction);
OperandSpec row_weights_operand();
// Fails unless the prediction fits (constraint 1), the target has the op's `target_type` (2) and the weights their type (3).
void require_rows(const InferContext& cx, const std::string& target_help);

// Completes a loss of logits and a distribution of the same type, whose rows count alike or by `weights`.
OpDefinition loss_of_distributions(OpDefinition op);

// Labels that count for nothing, of which the op has a list.
AttributeSpec ignore_attribute();
void require_ignored(const InferContext& cx, int constraint);

int64_t classes_of_rows(const Node& node);
Value one_hot_labels(GraphBuilder& builder, const Node& node);
// 1 where the label of a row counts, else 0, as [.., 1]; nothing where no label is ignored.
Value kept_rows(GraphBuilder& builder, const Node& node);
// The operand `weights` as [.., 1]; nothing where it is absent.
Value weights_along_rows(GraphBuilder& builder, const Node& node);
// Sums over the classes, as [.., 1].
Value sum_over_classes(GraphBuilder& builder, Value x);
// The product of two values of which each may be nothing.
Value product_of_present(GraphBuilder& builder, Value a, Value b);
// `sum` divided by the sum of `counts` [.., 1], or by the number of rows where that is nothing, where the node averages.
Value averaged_over_rows(GraphBuilder& builder, const Node& node, Value sum, Value counts);

// The reduced value of rows [.., 1], times the weights where they are there; `counts` as above.
std::vector<Value> reduced_rows(GraphBuilder& builder, const Node& node, Value rows, Value weights, Value counts);
// What the gradient of such rows is multiplied by where their weights are all that counts: of the loss, or also [.., 1].
Value scale_of_rows(GradientContext& cx);
// sum of -t*log_softmax(logits) for targets t [.., classes]; what is not above 0 counts for nothing.
Value cross_entropy_rows(GraphBuilder& builder, Value logits, Value targets);
// Its gradient by the logits for targets of at least 0.
Value cross_entropy_slope(GraphBuilder& builder, Value logits, Value targets);

// log_softmax of a row of logits.
std::vector<double> log_softmax_of_row(const double* logits, int64_t classes);
struct RowLoss {
  double loss, count = 1;
};
// The reduced value of the rows' losses and counts, both times their weights.
std::vector<Tensor> evaluate_rows(const EvaluateContext& cx, const std::function<RowLoss(int64_t row, const double* prediction)>& of_row);

}  // namespace bnc::ops
