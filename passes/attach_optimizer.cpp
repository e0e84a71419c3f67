#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace bnc {

namespace {

[[noreturn]] void fail(const TrainSection& train, const std::string& text, const std::string& help) {
  Diagnostic diagnostic{Severity::error, train.optimizer_range, text, {}};
  diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

// Stochastic gradient descent in PyTorch's form: v = momentum*v + g; w = w - rate*v, or with Nesterov's look-ahead
// w = w - rate*(g + momentum*v).
struct Sgd {
  double rate = 0, momentum = 0;
  bool nesterov = false;

  explicit Sgd(const TrainSection& train) {
    const Symbol& optimizer = train.optimizer;
    if (optimizer.name != "sgd") fail(train, fmt::format("unknown optimizer `{}`", optimizer.name), did_you_mean(optimizer.name, {"sgd"}));
    const std::vector<std::string> known = {"rate", "momentum", "nesterov"};
    for (const auto& [name, value] : optimizer.arguments) {
      if (std::find(known.begin(), known.end(), name) == known.end())
        fail(train, fmt::format("sgd has no argument `{}`", name), did_you_mean(name, known));
      const bool fits = name == "nesterov" ? value.get_if<bool>() != nullptr : value.get_if<double>() || value.get_if<int64_t>();
      if (!fits)
        fail(train, fmt::format("`{}` of sgd is {}", name, to_string(value)),
             name == "nesterov" ? "it is true or false" : "it is a number");
    }
    if (!optimizer.find("rate")) fail(train, "sgd needs a learning rate", "write sgd(rate=0.01)");
    rate = optimizer.number("rate", 0);
    momentum = optimizer.number("momentum", 0);
    nesterov = optimizer.flag("nesterov");
    if (nesterov && momentum == 0) fail(train, "nesterov needs a momentum", "write sgd(rate=..., momentum=0.9, nesterov)");
  }

  void update(Graph& graph, Value parameter, Value gradient) const {
    const std::string& name = parameter.name();
    GraphBuilder builder(graph);
    Value direction = gradient;
    if (momentum != 0) {
      const std::string velocity_name = fmt::format("optimizer.{}.velocity", name);
      const Value velocity = GraphBuilder::after(graph, parameter.node).state(velocity_name, parameter.type(), Symbol{"zeros", {}});
      const Value next = builder.add(builder.scale(velocity, momentum), gradient);
      graph.outputs.push_back({Output::Role::update, velocity_name, next});
      direction = nesterov ? builder.add(gradient, builder.scale(next, momentum)) : next;
    }
    graph.outputs.push_back({Output::Role::update, name, builder.sub(parameter, builder.scale(direction, rate))});
  }
};

}  // namespace

// A parameter whose gradient is a zero constant is one the loss does not depend on: it stays, and needs no velocity.
bool attach_optimizer(Graph& graph, PassContext& cx) {
  if (!cx.train) throw CompileError(fmt::format("attach-optimizer: the network {} has no train section", graph.name));
  const Sgd sgd(*cx.train);
  std::map<std::string, Value> gradients;
  std::set<std::string> updated;
  for (const Output& output : graph.outputs) {
    if (output.role == Output::Role::gradient && !is_constant(output.value, 0)) gradients[output.name] = output.value;
    if (output.role == Output::Role::update) updated.insert(output.name);
  }
  bool changed = false;
  for (Node* parameter : graph.nodes_of("parameter")) {
    const auto gradient = gradients.find(parameter->results[0].name);
    if (gradient == gradients.end() || updated.count(gradient->first)) continue;
    sgd.update(graph, parameter->result(), gradient->second);
    changed = true;
  }
  if (!cx.keep_gradients)
    changed |= std::erase_if(graph.outputs, [](const Output& output) { return output.role == Output::Role::gradient; }) > 0;
  return changed;
}

}  // namespace bnc
