#include "passes/graph/score_warnings.h"

#include <fmt/format.h>

#include "ir/op.h"

namespace bnc {

namespace {

// What made the elements of a value.
const Node& maker_of(Value value) {
  while (value.node->is("reshape") || value.node->is("flatten")) value = value.node->operands[0];
  return *value.node;
}

bool has_softmax(const Node& loss) {
  return loss.is("softmax_cross_entropy") || loss.is("softmax_cross_entropy_with_probabilities") || loss.is("kl_divergence");
}

bool is_over_classes(const Node& softmax) {
  const int64_t axis = softmax.attribute("axis").integer();
  return axis == -1 || axis == softmax.operands[0].type().rank() - 1;
}

Diagnostic twice(const Node& loss, const Node& maker) {
  Diagnostic warning{Severity::warning, maker.range,
                     fmt::format("`{}` takes scores and applies {} itself, but here a {} is in front of it", loss.op->name,
                                 has_softmax(loss) ? "softmax" : "sigmoid", maker.op->name), {}};
  warning.note("the loss", loss.range);
  warning.help(fmt::format("leave `{}` out: training with both is slow and may not succeed; `bnc predict` makes probabilities of scores",
                           maker.op->name));
  return warning;
}

Diagnostic single_class(const Node& loss, const Node& maker) {
  Diagnostic warning{Severity::warning, maker.range,
                     fmt::format("`{}` tells classes apart, but here is one score only, so that the loss is always 0", loss.op->name), {}};
  warning.note("the loss", loss.range);
  warning.help("give the last layer one unit a class; for one score of two classes there is `binary_cross_entropy_with_logits`");
  return warning;
}

}  // namespace

std::vector<Diagnostic> warnings_of_scores(const Graph& graph) {
  std::vector<Diagnostic> warnings;
  for (const auto& node : graph.nodes()) {
    const bool softmax = has_softmax(*node);
    if (!softmax && !node->is("binary_cross_entropy_with_logits")) continue;
    const Node& maker = maker_of(node->operands[0]);
    if ((maker.is("softmax") && is_over_classes(maker)) || (!softmax && maker.is("sigmoid"))) warnings.push_back(twice(*node, maker));
    else if (node->is("softmax_cross_entropy") && node->operands[0].type().shape.back() == Dim{1, false})
      warnings.push_back(single_class(*node, maker));
  }
  return warnings;
}

}  // namespace bnc
