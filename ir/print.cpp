#include "ir/print.h"

#include <fmt/format.h>

#include "ir/op.h"

namespace bnc {

namespace {

class GraphPrinter {
 public:
  explicit GraphPrinter(const Graph& graph) : graph_(graph) {}

  std::string print() {
    text_ = fmt::format("network {}({}) {{\n", graph_.name, header());
    for (const auto& node : graph_.nodes())
      if (!node->is("input")) text_ += "  " + line(*node) + "\n";
    for (const Output& output : graph_.outputs)
      if (output.role == Output::Role::loss) text_ += fmt::format("  objective {}\n", output.value.name());
    assignments(Output::Role::gradient, "gradient");
    assignments(Output::Role::update, "update");
    returned();
    return text_ + "}\n";
  }

 private:
  std::string typed(const Result& result) const { return fmt::format("{}: {}", result.name, to_string(result.type, graph_.batch_symbol)); }
  std::string show(const Attribute& attribute) const { return to_string(attribute, graph_.batch_symbol); }

  std::string header() const {
    std::string inputs;
    for (const Node* input : graph_.nodes_of("input")) inputs += (inputs.empty() ? "" : ", ") + typed(input->results[0]);
    return inputs;
  }

  std::string line(const Node& node) const {
    if (node.is("parameter") || node.is("state"))
      return fmt::format("{} {} = {}", node.op->name, typed(node.results[0]), show(node.attribute("initializer")));
    std::string results;
    for (const Result& result : node.results) results += (results.empty() ? "" : ", ") + typed(result);
    return fmt::format("{} = {}({})", results, node.op->name, fmt::join(arguments(node), ", "));
  }

  // Operands by position up to the first that is absent, by name from there on; then the attributes that are not at
  // their default. The first attribute of an op without operands (`constant(0.5)`) goes by position. Of what is absent only
  // that is told which a layer would make.
  std::vector<std::string> arguments(const Node& node) const {
    std::vector<std::string> arguments;
    bool by_name = false;
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const Value operand = node.operands[i];
      by_name |= !operand;
      if (!operand && !node.op->operands[i].parameter) continue;
      const std::string text = operand ? operand.name() : "false";
      arguments.push_back(by_name ? fmt::format("{}={}", node.op->operands[i].name, text) : text);
    }
    for (const AttributeSpec& spec : node.op->attributes) {
      if (spec.layer_only) continue;
      const Attribute& value = node.attribute(spec.name);
      if (spec.fallback && value == *spec.fallback) continue;
      arguments.push_back(arguments.empty() && !spec.fallback ? show(value) : fmt::format("{}={}", spec.name, show(value)));
    }
    if (node.kernel >= 0) arguments.push_back(fmt::format("in_kernel={}", node.kernel));
    return arguments;
  }

  void assignments(Output::Role role, const char* keyword) {
    for (const Output& output : graph_.outputs)
      if (output.role == role) text_ += fmt::format("  {} {} = {}\n", keyword, output.name, output.value.name());
  }

  void returned() {
    std::vector<std::string> values;
    for (const Output& output : graph_.outputs) {
      if (output.role != Output::Role::output) continue;
      values.push_back(output.name == output.value.name() ? output.name : fmt::format("{} = {}", output.name, output.value.name()));
    }
    if (!values.empty()) text_ += fmt::format("  return {}\n", fmt::join(values, ", "));
  }

  const Graph& graph_;
  std::string text_;
};

}  // namespace

std::string print(const Graph& graph) { return GraphPrinter(graph).print(); }

std::string print(const TrainSection& train) {
  std::string text = fmt::format("train {} {{\n  loss      = {}\n  optimizer = {}\n  batch     = {}\n", train.network,
                                 to_string(train.loss), to_string(Attribute(train.optimizer)), train.batch);
  if (train.epochs) text += fmt::format("  epochs    = {}\n", *train.epochs);
  if (train.steps) text += fmt::format("  steps     = {}\n", *train.steps);
  if (!train.metrics.empty()) {
    std::vector<std::string> metrics;
    for (const Metric& metric : train.metrics) metrics.push_back(to_string(metric.formula));
    text += fmt::format("  metrics   = [{}]\n", fmt::join(metrics, ", "));
  }
  if (!train.watch.empty()) text += fmt::format("  watch     = {}\n", train.watch);
  if (train.patience) text += fmt::format("  patience  = {}\n", *train.patience);
  if (!train.augment.empty()) {
    std::vector<std::string> steps;
    for (const Symbol& step : train.augment) steps.push_back(to_string(Attribute(step)));
    text += fmt::format("  augment   = [{}]\n", fmt::join(steps, ", "));
  }
  if (train.seed) text += fmt::format("  seed      = {}\n", train.seed);
  return text + "}\n";
}

std::string print(const Module& module) {
  std::string text;
  for (const Graph& network : module.networks) text += (text.empty() ? "" : "\n") + print(network);
  if (module.train) text += "\n" + print(*module.train);
  return text;
}

}  // namespace bnc
