#include <algorithm>

#include "ir/ops/common.h"
#include "passes/graph/rewrite.h"
#include "passes/graph/single_element.h"
#include "passes/passes.h"

namespace bnc {

// Frozen inference reads the stored statistics and changes nothing (bn-infer).
bool freeze(Graph& graph, PassContext& cx) {
  const size_t before = graph.outputs.size();
  std::erase_if(graph.outputs, [](const Output& output) { return output.role != Output::Role::output; });
  bool changed = graph.outputs.size() != before;
  const Attribute mode(cx.batch_statistics ? "train" : "infer");
  for (Node* node : graph.nodes_of("batch_norm")) {
    if (node->attribute("mode") == mode || node->attribute("mode") == Attribute("infer")) continue;
    node->attributes["mode"] = mode;
    changed = true;
  }
  refuse_single_elements(graph, cx.batch, false);
  changed |= sweep(graph, [&](Node& node) {
    if (node.is("dropout")) return Replacements{node.operands[0]};
    GraphBuilder builder = GraphBuilder::before(graph, &node);
    return node.is("preprocess") ? ops::frozen_preprocess(builder, node) : Replacements{};
  });
  return changed;
}

}  // namespace bnc
