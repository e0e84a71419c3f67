#include "passes/graph/train_loss.h"

#include <fmt/format.h>

#include "ir/builder.h"

namespace bnc {

[[noreturn]] static void fail(const SourceRange& range, const std::string& text, const std::string& help) {
  Diagnostic diagnostic{Severity::error, range, text, {}};
  diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
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
      [&](const Formula& name, const TensorType& type) { return add_target(graph, name, type); }, "loss");
  if (loss.type() != TensorType{}) {
    fail(train->loss.range, fmt::format("a loss is one number, f32[], but this is {}", to_string(loss.type(), graph.batch_symbol)),
         "`reduce_mean(...)` makes one number of all");
  }
  graph.outputs.push_back({Output::Role::loss, "loss", loss});
}

}  // namespace bnc
