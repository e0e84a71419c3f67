// The loss of a train section, as a node.
#pragma once

#include "ir/graph.h"

namespace bnc {

// Appends the loss that `train` asks for of the network's first output, with its target as a new input unless the
// network has an input of that name. CompileError at the loss where it does not fit what the network returns.
void append_loss(Graph& graph, const TrainSection* train);

}  // namespace bnc
