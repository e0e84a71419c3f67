// Numbers among the attributes of ops.
#pragma once

#include <string>

#include "ir/number_range.h"
#include "ir/op.h"

namespace bnc::ops {

// Fails unless that attribute lies in the range.
void require_number(const InferContext& cx, int constraint, const std::string& attribute, const NumberRange& range,
                    const std::string& help = "");

}  // namespace bnc::ops
