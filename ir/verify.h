// Structural invariants of a graph. A violation is a bug in a pass: InternalError, naming the node.
#pragma once

#include "ir/graph.h"

namespace bnc {

// Operands stand before their users, belong to the graph, and match the op's definition; attributes are complete and of
// the right kind; the result types are those the shape rule gives; names are unique; outputs exist; updates and
// gradients name a parameter or state of the same type.
void verify(const Graph& graph);

}  // namespace bnc
