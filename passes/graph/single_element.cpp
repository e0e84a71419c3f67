#include "passes/graph/single_element.h"

#include <fmt/format.h>

#include "ir/ops/statistics.h"
#include "passes/graph/rewrite.h"

namespace bnc {

namespace {

std::string consequence(const Node& node) {
  if (node.is("min_max_normalize")) return "its range would be 0";
  return node.is("rms_norm") ? "only signs would be left" : "its variance would be 0";
}

}  // namespace

void refuse_single_elements(const Graph& graph, std::optional<int64_t> batch, bool batch_norms) {
  for (const auto& node : graph.nodes()) {
    if (node->operands.empty() || !node->operands[0] || (!batch_norms && node->is("batch_norm"))) continue;
    const TensorType& type = node->operands[0].type();
    const std::optional<Dim> elements = ops::elements_a_statistic(*node->op, type.shape, node->attributes);
    if (!elements || node->attribute("allow_single").boolean()) continue;
    if (elements->factor != 1 || (elements->batch && batch != 1)) continue;
    const std::string path = layer_path(*node);
    Diagnostic diagnostic{Severity::error, node->range, "", {}};
    diagnostic.text = fmt::format("{} normalizes over one element{}: its operand `{}` is {}{}, so {}", path.empty() ? node->op->name : path,
                                  node->is("batch_norm") ? " a channel" : "", node->operands[0].name(), to_string(type, graph.batch_symbol),
                                  elements->batch ? " and the batch size is 1" : "", consequence(*node));
    diagnostic.help(!elements->batch          ? "normalize a tensor with more elements a channel, or write allow_single=true"
                    : node->is("batch_norm") ? "train with a batch of at least 2, or write allow_single=true"
                                             : "give it a batch of at least 2, or write allow_single=true");
    throw CompileError(std::move(diagnostic));
  }
}

std::string refusal_of_one_example(const Graph& graph) {
  try {
    refuse_single_elements(graph, 1, false);
  } catch (const CompileError& error) {
    return error.what();
  }
  return "";
}

}  // namespace bnc
