#include "passes/graph/check_variances.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/op.h"

namespace bnc {

namespace {

Diagnostic refusal(const Node& node, const std::string& name, size_t channel, float value, double epsilon) {
  Diagnostic error{Severity::error,
                   node.range,
                   fmt::format("the stored variance `{}` holds {} in channel {}, and with epsilon = {} added it is still not positive",
                               name, value, channel, format_number(epsilon)),
                   {}};
  error.help(
      "no data has a negative variance: estimate the running statistics again, set the value to 0 in the file, or check how the file was "
      "converted");
  return error;
}

Diagnostic clamping(const Node& node, const std::string& name, size_t channel, float value, int64_t count) {
  return {Severity::warning,
          node.range,
          fmt::format("the stored variance `{}` holds {} in channel {}{}, which no data can have; 0 is used instead", name, value, channel,
                      count > 1 ? fmt::format(" (and {} more negative ones)", count - 1) : ""),
          {}};
}

}  // namespace

std::vector<Diagnostic> check_running_variances(const Graph& graph, Weights& weights) {
  std::vector<Diagnostic> warnings, errors;
  for (const auto& node : graph.nodes()) {
    if (!node->is("batch_norm") || node->attribute("mode").symbol().name == "train") continue;
    const std::string& name = node->operands[4].name();
    const Weight* stored = weights.find(name);
    if (!stored) continue;
    std::vector<float> variance(stored->data.begin(), stored->data.end());
    const auto lowest = std::min_element(variance.begin(), variance.end());
    if (lowest == variance.end() || !(*lowest < 0)) continue;
    const size_t channel = lowest - variance.begin();
    const double epsilon = node->attribute("epsilon").number();
    if (*lowest + epsilon <= 0) {
      errors.push_back(refusal(*node, name, channel, *lowest, epsilon));
      continue;
    }
    const int64_t count = std::count_if(variance.begin(), variance.end(), [](float value) { return value < 0; });
    warnings.push_back(clamping(*node, name, channel, *lowest, count));
    for (float& value : variance)
      if (value < 0) value = 0;
    weights.set(name, Weight::owned(stored->dims, variance));
  }
  if (!errors.empty()) throw CompileError(errors);
  return warnings;
}

}  // namespace bnc
