// Train sections: a loss from the ops that have a target, an optimizer with its arguments.
#include <algorithm>
#include <cmath>

#include "ir/builder.h"
#include "ir/op.h"
#include "passes/optimizers/optimizer.h"
#include "tests/fuzz/call.h"
#include "tests/fuzz/draw.h"

namespace bnc::fuzz {

namespace {

// A loss of a prediction of that type, with attributes; nothing where it takes none.
std::optional<Symbol> draw_loss(const OpDefinition& op, const TensorType& prediction, const Limits& limits, Random& random) {
  Call call = example_of(op);
  call.operands = {prediction, op.target_type(prediction)};
  if (!results_of(call)) return {};
  for (const AttributeSpec& spec : op.attributes) {
    Call changed = call;
    changed.attributes[spec.name] = draw_attribute(spec, call, limits, random);
    if (random.chance(0.6) && results_of(changed)) call = std::move(changed);
  }
  Symbol loss{op.name, {{"labels", true}}};
  for (const AttributeSpec& spec : op.attributes)
    if (!spec.fallback || call.attributes.at(spec.name) != *spec.fallback)
      loss.arguments.emplace_back(spec.name, call.attributes.at(spec.name));
  return loss;
}

// As the op that computes it takes it.
std::optional<Attribute> draw_schedule(const Limits& limits, Random& random) {
  Call call = example_of(*find_op("learning_rate"));
  for (int attempt = 0; attempt < 20; ++attempt) {
    call.attributes["schedule"] = draw_attribute(*call.op->attribute("schedule"), call, limits, random);
    if (results_of(call)) return call.attributes["schedule"];
  }
  return {};
}

Attribute draw_argument(const OptimizerArgument& argument, const Limits& limits, Random& random) {
  if (argument.kind == OptimizerArgument::Kind::flag) return random.chance(0.7);
  if (argument.kind == OptimizerArgument::Kind::rate && random.chance(0.2))
    if (const std::optional<Attribute> schedule = draw_schedule(limits, random)) return *schedule;
  if (std::isfinite(argument.range.high)) return random.uniform(argument.range.low, argument.range.high);
  return argument.range.low + std::exp(random.uniform(-6, 0));
}

Symbol draw_optimizer(const Limits& limits, Random& random) {
  const OptimizerDefinition& definition = random.pick(all_optimizers());
  const double share = random.chance(0.5) ? 0.2 : 0.6;
  Symbol optimizer{definition.name, {}};
  for (const OptimizerArgument& argument : arguments_of(definition))
    if (argument.kind == OptimizerArgument::Kind::rate || random.chance(share))
      optimizer.arguments.emplace_back(argument.name, draw_argument(argument, limits, random));
  return optimizer;
}

// Lets the loss depend on all outputs: the mean of what a tanh makes of each is added to the first one. (The mean itself would have no
// gradient behind a batch norm.)
void join_outputs(Graph& graph) {
  GraphBuilder builder(graph);
  Output& first = graph.outputs.front();
  const Value alone = first.value;
  for (const Output& other : graph.outputs) {
    if (other.value == first.value || other.value.type().dtype != DType::f32) continue;
    Value joined = other.value;
    if (joined.type().rank() > 0) joined = builder.value("reduce_mean", {builder.value("tanh", {joined})});
    first.value = builder.add(first.value, joined);
  }
  if (first.value != alone) first.name = first.value.name();
}

Formula call(const char* op, std::vector<Formula> operands) {
  Formula formula(Formula::Kind::call, op);
  formula.operands = std::move(operands);
  return formula;
}

Formula number(double value) {
  Formula formula = call("constant", {});
  formula.attributes["value"] = value;
  return formula;
}

// Adds a loss of another output with a target of its own, and a penalty on a parameter.
void add_terms(Formula& loss, const Graph& graph, const std::vector<const OpDefinition*>& losses, const Limits& limits, Random& random) {
  const Output& other = random.pick(graph.outputs);
  if (random.chance(0.3) && other.value.type().dtype == DType::f32) {
    if (const std::optional<Symbol> drawn = draw_loss(*random.pick(losses), other.value.type(), limits, random)) {
      Formula second(*drawn);
      second.operands = {Formula(Formula::Kind::name, other.name), Formula(Formula::Kind::name, "more_labels")};
      loss = call("add", {loss, call("mul", {number(random.uniform(0.25, 2)), second})});
    }
  }
  const std::vector<Node*> parameters = graph.nodes_of("parameter");
  if (!parameters.empty() && random.chance(0.15)) {
    const Formula parameter(Formula::Kind::name, random.pick(parameters)->results[0].name);
    loss = call("add", {loss, call("mul", {call("reduce_mean", {call("mul", {parameter, parameter})}), number(0.5)})});
  }
}

bool is_accepted(const TrainSection& train) {
  try {
    return OptimizerSettings(train).definition().update != nullptr;
  } catch (const CompileError&) {
    return false;
  }
}

}  // namespace

void draw_training(Case& drawn, uint64_t seed) {
  Random random(seed, "training");
  if (random.chance(0.2)) return;
  const Limits limits{.elements = 1000, .batch = drawn.batch};
  Graph& graph = drawn.module.main();
  std::vector<const OpDefinition*> losses;
  for (const OpDefinition& op : all_ops())
    if (op.target_type) losses.push_back(&op);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const size_t chosen = static_cast<size_t>(random.below(static_cast<int64_t>(graph.outputs.size())));
    const TensorType& prediction = graph.outputs[chosen].value.type();
    if (prediction.dtype != DType::f32) continue;
    const std::optional<Symbol> loss = draw_loss(*random.pick(losses), prediction, limits, random);
    if (!loss) continue;
    std::swap(graph.outputs.front(), graph.outputs[chosen]);
    if (random.chance(0.7)) join_outputs(graph);
    TrainSection train{.network = graph.name, .loss = *loss, .batch = drawn.batch};
    add_terms(train.loss, graph, losses, limits, random);
    train.steps = 1000;
    do {
      train.optimizer = draw_optimizer(limits, random);
    } while (!is_accepted(train));
    drawn.module.train = train;
    return;
  }
}

}  // namespace bnc::fuzz
