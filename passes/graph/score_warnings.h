// Losses that take scores, but are given what a softmax or sigmoid has already made of them: training runs, and learns badly.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace bnc {

// A warning for each such loss of a graph, at what is too much.
std::vector<Diagnostic> warnings_of_scores(const Graph& graph);

}  // namespace bnc
