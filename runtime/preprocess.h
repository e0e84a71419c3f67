// What the `preprocess` layers of a network learn from its training set.
#pragma once

#include <string>

#include "bnc/bnc.h"
#include "runtime/batch_loader.h"

namespace bnc {

// Measures on all examples of `data` what each `preprocess` of the network asks for, in one pass, in float64, and sets it in `weights`.
// `input` is what the data fill. CompileError where an operand is not computed from the input alone, or not finite.
void fit_preprocess(const Network& network, const std::string& input, const Dataset& data, BatchShape shape, WeightStore& weights);

}  // namespace bnc
