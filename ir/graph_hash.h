// A number that tells graphs apart by what they compute.
#pragma once

#include <string>

#include "ir/graph.h"

namespace bnc {

// 16 hexadecimal digits over everything that the outputs are computed by: ops with their attributes and types, names of parameters and
// states, places of inputs and outputs. Names of other values, the order in which independent ops stand, initializers and ops that
// nothing reads are no part of it.
std::string graph_hash(const Graph& graph);

}  // namespace bnc
