#pragma once

#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

// Erases the nodes that no output is computed from, and their weights where these are given. Inputs stay.
void erase_unread(Graph& graph, Weights* weights = nullptr);

}  // namespace bnc
