// What the losses share: the attribute `reduction` and the division by what it averages over.
#pragma once

#include "ir/ops/common.h"

namespace bnc::ops {

AttributeSpec reduction_attribute(const std::string& over);
bool averages(const Node& node);
// `sum` divided by the number of elements of `x` along `axes` (empty: all) where the node averages.
Value averaged(GraphBuilder& builder, const Node& node, Value sum, Value x, const IntList& axes = {});

// Completes a loss of a prediction and a target of the same type: the reduced value of f(prediction, target).
OpDefinition elementwise_loss(OpDefinition op, double (*evaluate)(double prediction, double target));

}  // namespace bnc::ops
