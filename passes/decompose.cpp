#include "ir/op.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace bnc {

static bool decompose_once(Graph& graph) {
  bool changed = false;
  for (auto place = graph.nodes().begin(); place != graph.nodes().end();) {
    Node& node = **place++;
    const auto* lowering = node.op->lowering_as<DecomposeLowering>();
    if (!lowering) continue;
    GraphBuilder builder = GraphBuilder::before(graph, &node);
    replace_node(graph, node, lowering->rewrite(builder, node));
    changed = true;
  }
  return changed;
}

// A part may decompose further.
bool decompose(Graph& graph, PassContext&) {
  bool changed = false;
  while (decompose_once(graph)) changed = true;
  return changed;
}

}  // namespace bnc
