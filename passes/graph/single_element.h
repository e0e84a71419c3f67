// bn-one at a batch size that is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ir/graph.h"

namespace bnc {

// Throws a CompileError at the first node whose statistics are of one element each with a batch of that many examples. Nothing known of
// the batch counts as more than one. Inference leaves out batch norms, which take statistics of their own there only to show what comes
// of it (`eval --stats batch`).
void refuse_single_elements(const Graph& graph, std::optional<int64_t> batch, bool batch_norms = true);
// What that would say of one example in inference; empty where it is accepted.
std::string refusal_of_one_example(const Graph& graph);

}  // namespace bnc
