// Stored variances as files really hold them: some are slightly below zero (bn-stored-variance).
#pragma once

#include <vector>

#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

// Checks the stored variance of every batch norm that is not in training mode. A negative one with variance + epsilon
// <= 0 has no square root: CompileError naming tensor, channel and value. Any other negative one is set to 0 in
// `weights`, and a warning says so. NaN is left alone: it shows in the output.
std::vector<Diagnostic> check_running_variances(const Graph& graph, Weights& weights);

}  // namespace bnc
