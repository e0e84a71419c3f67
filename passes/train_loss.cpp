#include "passes/train_loss.h"

#include <fmt/format.h>

#include "ir/builder.h"

namespace bnc {

[[noreturn]] static void fail(const SourceRange& range, const std::string& text, const std::string& help) {
  Diagnostic diagnostic{Severity::error, range, text, {}};
  diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

// A new input behind those of the network.
static Value target_input(Graph& graph, const Formula& name, const TensorType& type) {
  if (graph.find(name.name)) {
    fail(name.range,
         fmt::format("the target `{}` is no input of the network {}, which computes a value of that name", name.name, graph.name),
         fmt::format("give the target another name, or return `{}` to take the loss of it", name.name));
  }
  const auto inputs = graph.nodes_of("input");
  GraphBuilder builder =
      inputs.empty() ? GraphBuilder::before(graph, graph.nodes().front().get()) : GraphBuilder::after(graph, inputs.back());
  builder.at(name.range);
  return builder.input(name.name, type);
}

void append_loss(Graph& graph, const TrainSection* train) {
  if (!train)
    fail(graph.range, fmt::format("the network {} has no train section, which gives the loss", graph.name),
         fmt::format("add `train {} {{ loss = ... optimizer = ... }}` to the file", graph.name));
  if (!graph.output(Output::Role::output))
    fail(graph.range, fmt::format("the network {} returns nothing to take a loss of", graph.name), "end it with `return`");
  GraphBuilder builder(graph);
  const Value loss = append_formula(
      builder, train->loss, [&](const Formula& name) { return value_of_name(graph, name); },
      [&](const Formula& name, const TensorType& type) { return target_input(graph, name, type); }, "loss");
  if (loss.type() != TensorType{}) {
    fail(train->loss.range, fmt::format("a loss is one number, f32[], but this is {}", to_string(loss.type(), graph.batch_symbol)),
         "`reduce_mean(...)` makes one number of all");
  }
  graph.outputs.push_back({Output::Role::loss, "loss", loss});
}

}  // namespace bnc
