// The loss of a train section, as nodes.
#pragma once

#include "ir/graph.h"

namespace bnc {

// Appends the loss that `train` asks for, with a new input for each of its targets that is no input of the network. CompileError at the
// loss where it does not fit what the network returns.
void append_loss(Graph& graph, const TrainSection* train);

}  // namespace bnc
