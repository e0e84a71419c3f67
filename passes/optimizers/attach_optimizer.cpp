#include <fmt/format.h>
#include <set>

#include "passes/graph/rewrite.h"
#include "passes/optimizers/optimizer.h"
#include "passes/passes.h"

namespace bnc {

namespace {

struct Trained {
  std::vector<Value> parameters, gradients;
};

// A parameter whose gradient is a zero constant is one the loss does not depend on: it stays, and needs no states.
Trained trained_parameters(const Graph& graph) {
  std::map<std::string, Value> gradients;
  std::set<std::string> updated;
  for (const Output& output : graph.outputs) {
    if (output.role == Output::Role::gradient && !is_constant(output.value, 0)) gradients[output.name] = output.value;
    if (output.role == Output::Role::update) updated.insert(output.name);
  }
  Trained trained;
  for (Node* parameter : graph.nodes_of("parameter")) {
    const std::string& name = parameter->results[0].name;
    if (!gradients.contains(name) || updated.contains(name)) continue;
    trained.parameters.push_back(parameter->result());
    trained.gradients.push_back(gradients[name]);
  }
  return trained;
}

}  // namespace

bool attach_optimizer(Graph& graph, PassContext& cx) {
  if (!cx.train) throw CompileError(fmt::format("attach-optimizer: the network {} has no train section", graph.name));
  const OptimizerSettings settings(*cx.train);
  StepScalars scalars(graph, settings, cx);
  const auto [parameters, gradients] = trained_parameters(graph);
  const std::vector<Value> clipped = clip_gradients(graph, settings, gradients);
  for (size_t i = 0; i < parameters.size(); ++i) {
    ParameterUpdate update(graph, settings, scalars, parameters[i]);
    const Value next = settings.definition().update(update, clipped[i]);
    graph.outputs.push_back({Output::Role::update, parameters[i].name(), next});
  }
  bool changed = !parameters.empty();
  if (!cx.keep_gradients)
    changed |= std::erase_if(graph.outputs, [](const Output& output) { return output.role == Output::Role::gradient; }) > 0;
  return changed;
}

}  // namespace bnc
