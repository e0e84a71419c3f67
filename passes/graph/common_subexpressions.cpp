#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

#include "ir/op.h"
#include "passes/graph/rewrite.h"
#include "passes/passes.h"

namespace bnc {

// What prepare-training has yet to tell apart: a dropout without its step and stream draws random numbers of its own,
// and each batch norm of mode `auto` moves its running statistics once.
static bool is_undecided(const Node& node) {
  if (node.op->category == OpCategory::random) return !node.operands[node.op->operand_index("step")];
  return node.is("batch_norm") && node.attribute("mode").symbol().name == "auto";
}

// Two nodes with equal keys compute the same results.
static std::string key_of(const Node& node) {
  std::vector<std::string> operands;
  for (const Value& operand : node.operands) operands.push_back(fmt::format("{}:{}", fmt::ptr(operand.node), operand.index));
  if (node.op->commutative) std::sort(operands.begin(), operands.end());
  std::string key = fmt::format("{}({})", node.op->name, fmt::join(operands, ","));
  for (const auto& [name, value] : node.attributes) key += fmt::format(" {}={}", name, to_string(value));
  return key;
}

bool common_subexpressions(Graph& graph, PassContext&) {
  std::unordered_map<std::string, Node*> known;
  return sweep(graph, [&](Node& node) -> Replacements {
    const bool has_identity = node.is("input") || node.is("parameter") || node.is("state");
    if (has_identity || is_undecided(node)) return {};
    const auto [first, is_new] = known.emplace(key_of(node), &node);
    Replacements same;
    for (size_t i = 0; i < node.results.size() && !is_new; ++i) same.push_back(first->second->result(static_cast<int>(i)));
    return same;
  });
}

}  // namespace bnc
