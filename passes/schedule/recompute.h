// What is cheaper to compute again than to store.
#pragma once

#include <unordered_set>

#include "passes/pass.h"

namespace bnc {

// Scalar arithmetic, and cheap elementwise chains over the rows of images or tall matrices (normalize, scale and shift, an
// activation, its mask): each reader gets a copy of its own and computes it where it reads it, so that of a normalized
// activation only the raw values are ever stored. Returns the copies; each has one reader.
//
// A chain is copied where it reads at most two stored tensors of that size, and a few operations compute it. With one
// tensor that costs no traffic. With two, R readers read R tensors more, while storing would write one, read two and spare
// nothing else: copies pay up to R = 3, not counting products so large that they hide the reading. What is computed
// from a stored value that nobody else reads, a product's result above all, is stored in its place.
std::unordered_set<const Node*> recompute(Graph& graph, const PassContext& context);

// Scalars that take so long to compute, with what they are computed from, that a step does it once and stores them.
std::unordered_set<const Node*> long_scalars(const Graph& graph);

}  // namespace bnc
