// What rewriting passes share.
#pragma once

#include <optional>
#include <vector>

#include "ir/builder.h"

namespace bnc {

// Puts `replacements` (one a result) in the place of a node and erases it. A replacement that had no name of its own
// takes over the node's.
void replace_node(Graph& graph, Node& node, const std::vector<Value>& replacements);

// The one number that fills a constant; empty when the value is no constant or has different elements.
std::optional<double> uniform_constant(Value value);
inline bool is_constant(Value value, double number) { return uniform_constant(value) == number; }

// The layer a node belongs to, from the names of its parameters: `stage1.batch_norm_1`; empty where it has none.
std::string layer_path(const Node& node);

}  // namespace bnc
