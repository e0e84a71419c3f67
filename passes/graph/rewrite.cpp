#include "passes/graph/rewrite.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <unordered_map>

namespace bnc {

double rest_of(double share) { return std::stod(fmt::format("{:.15g}", 1 - share)); }

bool is_made_up(const std::string& name) {
  return name.size() > 1 && name[0] == 't' && std::all_of(name.begin() + 1, name.end(), [](unsigned char c) { return std::isdigit(c); });
}

namespace {

class Sweep {
 public:
  explicit Sweep(Graph& graph) : graph_(graph) {}

  bool run(const std::function<Replacements(Node&)>& rewrite) {
    for (auto place = graph_.nodes().begin(); place != graph_.nodes().end();) {
      Node& node = **place++;
      for (Value& operand : node.operands) operand = current(operand);
      Replacements replacements = rewrite(node);
      if (replacements.empty()) continue;
      check_types(node, replacements);
      replacements_[&node] = std::move(replacements);
      replaced_.push_back(&node);
    }
    for (Output& output : graph_.outputs) output.value = current(output.value);
    for (auto node = replaced_.rbegin(); node != replaced_.rend(); ++node) erase(*node);
    return !replaced_.empty();
  }

 private:
  static void check_types(const Node& node, const Replacements& replacements) {
    BNC_CHECK(replacements.size() == node.results.size(), node.op->name);
    for (size_t i = 0; i < replacements.size(); ++i)
      BNC_CHECK(replacements[i].type() == node.results[i].type, node.results[i].name + " becomes " + replacements[i].name());
  }

  // What stands for a value now.
  Value current(Value value) const {
    for (auto found = replacements_.find(value.node); found != replacements_.end(); found = replacements_.find(value.node))
      value = found->second[value.index];
    return value;
  }

  void erase(Node* node) {
    const std::vector<Result> results = node->results;
    graph_.erase(node);
    for (size_t i = 0; i < results.size(); ++i) {
      const Value replacement = current(replacements_[node][i]);
      if (is_made_up(replacement.name()) && !is_made_up(results[i].name)) graph_.rename(replacement, results[i].name);
    }
  }

  Graph& graph_;
  std::unordered_map<const Node*, Replacements> replacements_;
  std::vector<Node*> replaced_;
};

}  // namespace

bool sweep(Graph& graph, const std::function<Replacements(Node&)>& rewrite) { return Sweep(graph).run(rewrite); }

std::optional<double> uniform_constant(Value value) {
  if (!value || !value.node->is("constant")) return {};
  const NumberList numbers = value.node->attribute("value").numbers();
  const bool uniform = std::all_of(numbers.begin(), numbers.end(), [&](double number) { return number == numbers[0]; });
  return uniform && !numbers.empty() ? std::optional(numbers[0]) : std::nullopt;
}

static std::string path_of(const Node& source) {
  const size_t dot = source.is("parameter") || source.is("state") ? source.results[0].name.rfind('.') : std::string::npos;
  return dot == std::string::npos ? "" : source.results[0].name.substr(0, dot);
}

std::string layer_path(const Node& node) {
  for (const Value& operand : node.operands)
    if (operand)
      if (std::string path = path_of(*operand.node); !path.empty()) return path;
  constexpr int most_steps = 16;   // of a weight that passes have reshaped or scaled
  for (size_t k = 1; k < node.operands.size(); ++k) {
    const Node* source = node.operands[k].node;
    for (int step = 0; step < most_steps && source && (source->is("reshape") || source->is("mul")); ++step)
      source = source->operands[0].node;
    if (!source) continue;
    if (std::string path = path_of(*source); !path.empty()) return path;
  }
  return "";
}

}  // namespace bnc
