// What rewriting passes share.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/builder.h"

namespace bnc {

// What takes the place of a node: a value for each of its results; none at all keeps the node.
using Replacements = std::vector<Value>;

// Offers each node to `rewrite`, in order; one that is replaced is erased, and a replacement without a name of its own
// takes over the node's. Operands are up to date when a node is offered; nodes that `rewrite` inserts before it are not
// offered. Takes time linear in the size of the graph. Returns whether anything was replaced.
bool sweep(Graph& graph, const std::function<Replacements(Node&)>& rewrite);

// The one number that fills a constant; empty when the value is no constant or has different elements.
std::optional<double> uniform_constant(Value value);
inline bool is_constant(Value value, double number) { return uniform_constant(value) == number; }

// 1 - share as its decimals say: 0.1 where share is 0.9, not 0.09999999999999998.
double rest_of(double share);

// A name that Graph::insert made up: t1, t2 ...
bool is_made_up(const std::string& name);

// The layer a node belongs to, from the names of its parameters: `stage1.batch_norm_1`; empty where it has none.
std::string layer_path(const Node& node);

}  // namespace bnc
