// Ghost batch norm (bn-ghost): statistics over parts of the batch.
#pragma once

#include <cstdint>
#include <vector>

#include "passes/pass.h"

namespace bnc {

// How many examples the ghost batches of all training batch norms fit into: the least common multiple of their sizes; 1 without any.
int64_t ghost_batch_size(const Graph& graph);

// From here on the graph's symbolic batch size counts so many examples, and so does the context's: N becomes `size`*N in all shapes.
void count_batch_by(Graph& graph, PassContext& cx, int64_t size);

// A batch norm whose statistics are those of each ghost batch, out of plain ops: its results, and what moves its stored statistics.
struct GhostBatchNorm {
  Value y, mean, variance;   // of the statistics the means over all ghost batches, `f32[C]`
  Value batches;             // how many there are, `f32[]`
  int64_t elements = 0;      // of a channel in each
};
GhostBatchNorm split_into_ghost_batches(Graph& graph, const Node& batch_norm);

}  // namespace bnc
