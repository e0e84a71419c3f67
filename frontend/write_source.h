// A graph as a person would have written it: layers that make their parameters, blocks and loops for what repeats.
#pragma once

#include <map>
#include <string>

#include "ir/graph.h"

namespace bnc {

struct SourceOptions {
  // Lines that stand above everything, as comments: where the network comes from.
  std::string comment;
  // Initializers of parameters that a layer makes are written where they differ from the layer's own. Without, only `trainable=false` is.
  bool initializers = true;
  // Repeated parts become blocks and loops.
  bool blocks = true;
  // Columns up to which calls are nested in one line.
  int width = 100;
};

// Names of parameters and states in the graph, and what the written text calls them.
using SourceNames = std::map<std::string, std::string>;

// Text that parses back to the same graph but for names; the same graph gives the same text. Fills `names` where it is given.
std::string write_source(const Graph& graph, const SourceOptions& options = {}, SourceNames* names = nullptr);

// A copy whose parameters and states, and the outputs that name them, are called as `names` says.
Graph renamed(const Graph& graph, const SourceNames& names);

}  // namespace bnc
