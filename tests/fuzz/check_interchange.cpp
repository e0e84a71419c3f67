// A network that goes to ONNX and comes back computes the same.
#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "ir/print.h"
#include "tests/fuzz/check_parts.h"
#include "tests/fuzz/children.h"
#include "tests/unit/support/round_trip.h"

namespace bnc::fuzz {

namespace {

// The outputs of what came back, under the names that they had. Inputs and outputs keep their order.
Tensors outputs_of(const OnnxImport& back, const Graph& graph, const Expected& expected) {
  const Graph frozen = with_stored_statistics(back.graph);
  Bindings bindings;
  for (const auto& [name, weight] : back.weights.entries()) bindings[name] = weight.to_tensor();
  const std::vector<Node*> before = graph.nodes_of("input"), after = frozen.nodes_of("input");
  if (before.size() != after.size()) throw Failure("interchange", "another number of inputs comes back");
  for (size_t k = 0; k < before.size(); ++k) bindings[after[k]->results[0].name] = expected.bindings.at(before[k]->results[0].name);
  const Tensors values = evaluate_handed_out(frozen, bindings, expected.batch);
  Tensors named;
  for (size_t k = 0; k < graph.outputs.size(); ++k)
    named["output/" + graph.outputs[k].name] = values.at("output/" + frozen.outputs.at(k).name);
  return named;
}

}  // namespace

void check_interchange(const Graph& network, const Weights& weights, const Expected& expected, Outcome& outcome) {
  tell_phase("to ONNX and back");
  Graph graph = network.clone();
  std::erase_if(graph.outputs, [](const Output& output) { return output.role != Output::Role::output; });
  OnnxModel model;
  try {
    model = test::written_and_read(export_onnx(graph, weights, "bnc-fuzz").model);
  } catch (const CompileError&) {
    return;   // it has what ONNX cannot say
  }
  outcome.exported = true;
  const OnnxImport whole = import_onnx(model);
  if (test::written_hash(whole.graph) != test::written_hash(graph))
    throw Failure("interchange", "another network comes back from ONNX:\n" + whole.source);
  expect(outputs_of(whole, graph, expected), expected, "interchange", [&] { return "to ONNX and back:\n" + whole.source; }, outcome);
  OnnxImport back;
  try {
    back = import_onnx(test::without_network(model), {.keep_batch = true});
  } catch (const CompileError&) {
    return;   // ops of gradients become what only ONNX has
  }
  outcome.same = test::computation(back.graph, back.weights) == test::computation(graph, weights);
  expect(outputs_of(back, graph, expected), expected, "interchange", [&] { return "by the nodes of ONNX:\n" + back.source; }, outcome);
}

}  // namespace bnc::fuzz
