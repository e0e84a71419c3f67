#include "tests/fuzz/sketch.h"

#include <unordered_map>

#include "ir/builder.h"

namespace bnc::fuzz {

namespace {

bool has_no_rule(const SketchNode& node) { return !node.op->infer; }

std::vector<bool> needed(const Sketch& sketch) {
  std::vector<bool> live(sketch.nodes.size());
  for (const auto& [name, ref] : sketch.outputs) live[static_cast<size_t>(ref.node)] = true;
  for (size_t k = sketch.nodes.size(); k-- > 0;)
    for (const Ref& operand : sketch.nodes[k].operands)
      if (live[k] && operand.node >= 0) live[static_cast<size_t>(operand.node)] = true;
  return live;
}

}  // namespace

Sketch sketch_of(const Case& tried) {
  Sketch sketch{.train = tried.module.train, .batch = tried.batch, .values = tried.values};
  std::unordered_map<const Node*, int> numbers;
  const auto ref_of = [&](const Value& value) { return value ? Ref{numbers.at(value.node), value.index} : Ref{}; };
  for (const auto& node : tried.graph().nodes()) {
    SketchNode copy{node->op, {}, node->attributes, node->results[0].name, node->results[0].type, {}};
    for (const Value& operand : node->operands) copy.operands.push_back(ref_of(operand));
    for (const Result& result : node->results) copy.results.push_back(result.type);
    numbers.emplace(node.get(), static_cast<int>(sketch.nodes.size()));
    sketch.nodes.push_back(std::move(copy));
  }
  for (const Output& output : tried.graph().outputs)
    if (output.role == Output::Role::output) sketch.outputs.emplace_back(output.name, ref_of(output.value));
  return sketch;
}

std::optional<Case> build(const Sketch& sketch) {
  const std::vector<bool> live = needed(sketch);
  Graph graph;
  graph.name = "net";
  GraphBuilder builder(graph);
  std::vector<Node*> made(sketch.nodes.size());
  const auto value_of = [&](const Ref& ref) { return ref.node < 0 ? Value{} : made[static_cast<size_t>(ref.node)]->result(ref.result); };
  try {
    for (size_t k = 0; k < sketch.nodes.size(); ++k) {
      const SketchNode& node = sketch.nodes[k];
      if (!live[k]) continue;
      if (node.op->name == "input") made[k] = builder.input(node.name, node.type).node;
      else if (node.op->name == "parameter")
        made[k] = builder.parameter(node.name, node.type, node.attributes.at("initializer").symbol()).node;
      else if (node.op->name == "state") made[k] = builder.state(node.name, node.type, node.attributes.at("initializer").symbol()).node;
      if (has_no_rule(node)) continue;
      std::vector<Value> operands;
      for (const Ref& operand : node.operands) {
        if (operand.node >= static_cast<int>(k)) return {};   // it stands behind
        operands.push_back(value_of(operand));
      }
      made[k] = builder.create(node.op->name, operands, node.attributes);
    }
  } catch (const CompileError&) {
    return {};
  }
  for (const auto& [name, ref] : sketch.outputs) {
    const Value value = value_of(ref);
    graph.outputs.push_back(
        {Output::Role::output, graph.output(Output::Role::output, value.name()) ? value.name() + "_2" : value.name(), value});
  }
  Case result{.batch = sketch.batch, .values = sketch.values};
  result.module.networks.push_back(std::move(graph));
  result.module.train = sketch.train;
  return result;
}

}  // namespace bnc::fuzz
