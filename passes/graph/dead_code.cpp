#include <unordered_set>

#include "passes/passes.h"

namespace bnc {

// Inputs stay: they are the network's signature. So do parameters and states that an output names.
bool dead_code(Graph& graph, PassContext&) {
  std::unordered_set<const Node*> live;
  std::unordered_set<std::string> named;
  for (const Output& output : graph.outputs) {
    live.insert(output.value.node);
    if (output.role == Output::Role::gradient || output.role == Output::Role::update) named.insert(output.name);
  }
  bool changed = false;
  for (auto place = graph.nodes().end(); place != graph.nodes().begin();) {
    Node* node = (--place)->get();
    if (live.count(node) || node->is("input") || named.count(node->results[0].name)) {
      for (const Value& operand : node->operands) live.insert(operand.node);
      continue;
    }
    ++place;
    graph.erase(node);
    changed = true;
  }
  return changed;
}

}  // namespace bnc
