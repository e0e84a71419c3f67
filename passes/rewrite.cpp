#include "passes/rewrite.h"

#include <algorithm>
#include <cctype>

namespace bnc {

// A name that Graph::insert made up: t1, t2 ...
static bool is_made_up(const std::string& name) {
  return name.size() > 1 && name[0] == 't' && std::all_of(name.begin() + 1, name.end(), [](unsigned char c) { return std::isdigit(c); });
}

void replace_node(Graph& graph, Node& node, const std::vector<Value>& replacements) {
  BNC_CHECK(replacements.size() == node.results.size(), node.op->name);
  const std::vector<Result> old_results = node.results;
  for (size_t i = 0; i < replacements.size(); ++i) graph.replace_all_uses(node.result(static_cast<int>(i)), replacements[i]);
  graph.erase(&node);
  for (size_t i = 0; i < replacements.size(); ++i)
    if (is_made_up(replacements[i].name()) && !is_made_up(old_results[i].name))
      graph.rename(replacements[i], old_results[i].name);
}

std::optional<double> uniform_constant(Value value) {
  if (!value || !value.node->is("constant")) return {};
  const NumberList numbers = value.node->attribute("value").numbers();
  const bool uniform = std::all_of(numbers.begin(), numbers.end(), [&](double number) { return number == numbers[0]; });
  return uniform && !numbers.empty() ? std::optional(numbers[0]) : std::nullopt;
}

std::string layer_path(const Node& node) {
  for (const Value& operand : node.operands) {
    if (!operand || !(operand.node->is("parameter") || operand.node->is("state"))) continue;
    const size_t dot = operand.name().rfind('.');
    if (dot != std::string::npos) return operand.name().substr(0, dot);
  }
  return "";
}

}  // namespace bnc
