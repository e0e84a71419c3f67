// What the losses share: the attribute `reduction`, the operand `weights` and the division by what it averages over.
#pragma once

#include <utility>

#include "ir/ops/common.h"

namespace bnc::ops {

AttributeSpec reduction_attribute(const std::string& over);
bool averages(const Node& node);
// `sum` divided by the number of elements of `x` along `axes` (empty: all) where the node averages.
Value averaged(GraphBuilder& builder, const Node& node, Value sum, Value x, const IntList& axes = {});
// `sum` divided by `total`, the sum of all weights, where the node averages: 0 where that is not above 0, as when nothing counts.
Value averaged_by_weight(GraphBuilder& builder, const Node& node, Value sum, Value total);
// The same of numbers; a loss.
std::vector<Tensor> reduced_loss(const Node& node, double sum, double total);

OperandSpec weights_operand(const std::string& doc);
// Fails unless operand 2, where it is there, has the op's `weights_type`.
void require_weights(const InferContext& cx, int constraint);

// A loss of a prediction and a target of the same type: the reduced value of a function of their elements.
struct ElementwiseLoss {
  // Of the element at that row-major position.
  double (*evaluate)(const Node& node, int64_t position, double prediction, double target);
  Value (*element)(GraphBuilder& builder, const Node& node, Value prediction, Value target);
  // Of the prediction and of the target, both times `scale`, which broadcasts to them.
  std::pair<Value, Value> (*gradient)(GraphBuilder& builder, const Node& node, Value prediction, Value target, Value scale);
};
// Completes its definition; `infer` and `constraints`, where they are given, are of what the op has beside the others.
OpDefinition elementwise_loss(OpDefinition op, const ElementwiseLoss& loss);

}  // namespace bnc::ops
