// fold-batch-norm: inference-mode batch norms vanish into the layers around them (bn-fold-producer, bn-fold-consumer, bn-fold-fixpoint).
#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/check_variances.h"
#include "passes/fold_rules.h"
#include "passes/passes.h"

namespace bnc {

namespace {

bool is_candidate(const FoldScope& scope, const Node& node) {
  return (node.is("batch_norm") || node.is("scale_shift")) && !scope.is_constant(node.operands[0]) && why_not_affine(scope, node).empty();
}

// The statistics that an inference-mode batch norm hands out are those it was given.
void bypass_statistics(Graph& graph, Node& node) {
  if (!node.is("batch_norm")) return;
  graph.replace_all_uses(node.result(1), node.operands[3]);
  graph.replace_all_uses(node.result(2), node.operands[4]);
}

bool fold_backward(Graph& graph, const FoldScope& scope, Node& node, PassContext& cx) {
  const ProducerFolding folding = fold_into_producer(scope, node.operands[0], ops::axis_of(node));
  if (!folding.refusal.empty()) return false;
  cx.done(&node, fmt::format("folded into {}, which computes its operand", folding.place));
  GraphBuilder builder = GraphBuilder::before(graph, &node);
  builder.at(node.range);
  const Value folded = folding.apply(builder, affine_of(builder, node));
  // A batch norm that took this one up keeps the name by which remarks know it.
  if (folded.node->is("batch_norm")) graph.replace_all_uses(node.result(), folded);
  else replace(graph, node.result(), folded);
  return true;
}

bool fold_forward(Graph& graph, const FoldScope& scope, Node& node, PassContext& cx) {
  const ConsumerFolding folding = fold_into_consumers(scope, node.result(), ops::axis_of(node));
  if (!folding.refusal.empty()) return false;
  cx.done(&node, fmt::format("folded into {}, which reads its result", folding.place));
  GraphBuilder builder = GraphBuilder::before(graph, &node);
  builder.at(node.range);
  folding.apply(graph, node.operands[0], affine_of(builder, node));
  return true;
}

bool fold_one(Graph& graph, PassContext& cx) {
  const FoldScope scope(graph);
  for (const auto fold : {fold_backward, fold_forward})
    for (const auto& node : graph.nodes())
      if (is_candidate(scope, *node) && fold(graph, scope, *node, cx)) {
        bypass_statistics(graph, *node);
        dead_code(graph, cx);
        return true;
      }
  return false;
}

void explain_what_stays(const Graph& graph, PassContext& cx) {
  const FoldScope scope(graph);
  for (const auto& node : graph.nodes()) {
    if (!node->is("batch_norm") && !node->is("scale_shift")) continue;
    if (const std::string reason = why_not_affine(scope, *node); !reason.empty()) {
      cx.decline(node.get(), reason);
      continue;
    }
    if (scope.is_constant(node->operands[0])) {
      cx.done(node.get(), "computed when freezing, for its operand is a constant");
      continue;
    }
    const std::string backward = fold_into_producer(scope, node->operands[0], ops::axis_of(*node)).refusal;
    const std::string forward = fold_into_consumers(scope, node->result(), ops::axis_of(*node)).refusal;
    cx.decline(node.get(), fmt::format("not into its producer: {}; not into its consumers: {}", backward, forward));
  }
}

}  // namespace

bool fold_batch_norm(Graph& graph, PassContext& cx) {
  if (cx.weights)
    for (Diagnostic& warning : check_running_variances(graph, *cx.weights)) cx.warnings.push_back(std::move(warning));
  // A dead node would count as a reader.
  bool changed = dead_code(graph, cx);
  while (fold_one(graph, cx)) changed = true;
  explain_what_stays(graph, cx);
  return changed;
}

}  // namespace bnc
