#include "passes/train_loss.h"

#include <fmt/format.h>

#include "ir/builder.h"

namespace bnc {

[[noreturn]] static void fail(const SourceRange& range, const std::string& text, const std::string& help) {
  Diagnostic diagnostic{Severity::error, range, text, {}};
  diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

// The network's own input of that name, or a new one behind its inputs.
static Value target_input(Graph& graph, const std::string& name, const TensorType& type, const SourceRange& range) {
  if (const Value own = graph.find(name)) {
    if (own.node->is("input")) return own;
    fail(range, fmt::format("the target `{}` is no input of the network {}, which computes a value of that name", name, graph.name),
         "give the target another name");
  }
  const auto inputs = graph.nodes_of("input");
  GraphBuilder builder =
      inputs.empty() ? GraphBuilder::before(graph, graph.nodes().front().get()) : GraphBuilder::after(graph, inputs.back());
  builder.at(range);
  return builder.input(name, type);
}

void append_loss(Graph& graph, const TrainSection* train) {
  if (!train)
    fail(graph.range, fmt::format("the network {} has no train section, which gives the loss", graph.name),
         fmt::format("add `train {} {{ loss = ... optimizer = ... }}` to the file", graph.name));
  const Output* prediction = graph.output(Output::Role::output);
  if (!prediction) fail(graph.range, fmt::format("the network {} returns nothing to take a loss of", graph.name), "end it with `return`");
  const OpDefinition* op = find_op(train->loss.name);
  BNC_CHECK(op && op->target_type, "the frontend knows every loss, not " + train->loss.name);
  std::string target = "labels";
  AttributeMap attributes;
  for (const auto& [name, value] : train->loss.arguments) {
    if (op->attribute(name)) attributes[name] = value;
    else target = name;
  }
  GraphBuilder builder(graph);
  builder.at(train->loss_range);
  const Value labels = target_input(graph, target, op->target_type(prediction->value.type()), train->loss_range);
  builder.named("loss");
  const Value loss = builder.value(op->name, {prediction->value, labels}, attributes);
  graph.outputs.push_back({Output::Role::loss, "loss", loss});
}

}  // namespace bnc
