// The flat form of a graph: one op a line with its type, every parameter named. It is legal .bn.
#pragma once

#include <string>

#include "ir/graph.h"

namespace bnc {

std::string print(const Graph& graph);
std::string print(const bnc::Module& module);
std::string print(const TrainSection& train);

}  // namespace bnc
