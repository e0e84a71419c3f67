// What layer, group, instance and RMS normalization and standardization are one form of: y = (x - mean)*rsqrt(variance + epsilon) over
// elements that belong together, then a scale and a shift.
#pragma once

#include "ir/ops/common.h"

namespace bnc::ops {

// Which elements share their statistics, and how.
struct Population {
  std::vector<int> axes;      // all elements along these, ascending
  int64_t groups = 1;         // the last axis, where it is among them, counts as so many equal parts, each with its own statistics
  bool centered = true;       // false: nothing is subtracted, and the mean square takes the place of the variance
  std::vector<int> affine = {};  // gamma and beta have the dimensions of x along these, ascending
};
using PopulationOf = std::function<Population(const Node&)>;

// Completes an op whose operands are x and, where it has them, gamma and beta, and whose result is y: gradient, evaluation, lowering.
// The attribute `epsilon` is the node's. Statistics are those of Chan, Golub and LeVeque's corrected two-pass algorithm ("Algorithms for
// computing the sample variance", 1983): a mean far larger than the deviation costs no digits of y.
OpDefinition standardizing(OpDefinition op, PopulationOf population);

// An optional parameter that lies along some axes of x; `axes` checks the attributes it looks at.
OperandSpec affine_parameter(const char* name, const char* doc, const char* initializer,
                             std::function<std::vector<int>(const InferContext&)> axes);
// Fails unless gamma and beta, where present, have the dimensions of x along `axes`.
void check_affine(const InferContext& cx, int constraint, const std::vector<int>& axes);

}  // namespace bnc::ops
