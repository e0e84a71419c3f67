// The gradient of maxima, for ops that are made of them.
#pragma once

#include "ir/ops/common.h"

namespace bnc::ops {

// The gradient of x from that of `maximum`, its maximum over `axes` with dimensions kept. Equal maxima share it evenly.
Value gradient_of_maximum(GraphBuilder& b, Value x, Value maximum, Value maximum_gradient, const std::vector<int>& axes);

}  // namespace bnc::ops
