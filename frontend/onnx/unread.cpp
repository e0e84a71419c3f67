#include "frontend/onnx/unread.h"

#include <unordered_set>
#include <vector>

namespace bnc {

void erase_unread(Graph& graph, Weights* weights) {
  std::unordered_set<const Node*> read;
  for (const Output& output : graph.outputs) read.insert(output.value.node);
  std::vector<Node*> unread;   // those that read others before these
  for (auto at = graph.nodes().rbegin(); at != graph.nodes().rend(); ++at) {
    if (!read.contains(at->get())) {
      if (!(*at)->is("input")) unread.push_back(at->get());
      continue;
    }
    for (const Value& operand : (*at)->operands)
      if (operand) read.insert(operand.node);
  }
  for (Node* node : unread) {
    if (weights) weights->erase(node->results[0].name);
    graph.erase(node);
  }
}

}  // namespace bnc
