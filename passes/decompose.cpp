#include "ir/op.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace bnc {

// A part may decompose further.
bool decompose(Graph& graph, PassContext&) {
  const auto split = [&](Node& node) -> Replacements {
    const auto* lowering = node.op->lowering_as<DecomposeLowering>();
    if (!lowering) return {};
    GraphBuilder builder = GraphBuilder::before(graph, &node);
    return lowering->rewrite(builder, node);
  };
  bool changed = false;
  while (sweep(graph, split)) changed = true;
  return changed;
}

}  // namespace bnc
