// Networks that go to ONNX and come back.
#pragma once

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "frontend/onnx/embedded_network.h"
#include "frontend/onnx/export.h"
#include "frontend/onnx/import.h"
#include "frontend/onnx/onnx_writer.h"
#include "frontend/write_source.h"
#include "ir/graph_hash.h"
#include "passes/pass.h"

namespace bnc::test {

// The model as another program would have written it, without the network that bnc puts into it.
inline OnnxModel without_network(OnnxModel model) {
  model.metadata.erase(embedded_network_key);
  return model;
}

inline OnnxModel written_and_read(const OnnxModel& model) { return parse_onnx(write_onnx(model), model.graph.name + ".onnx"); }

// The names of parameters and states in the order in which the outputs need them, operands first.
inline std::vector<std::string> parameters_in_order(const Graph& graph) {
  std::vector<std::string> names;
  std::unordered_set<const Node*> seen;
  std::vector<std::pair<const Node*, size_t>> path;
  for (const Output& output : graph.outputs) {
    if (seen.insert(output.value.node).second) path.emplace_back(output.value.node, 0);
    while (!path.empty()) {
      const auto [node, next] = path.back();
      if (next == node->operands.size()) {
        if (node->is("parameter") || node->is("state")) names.push_back(node->results[0].name);
        path.pop_back();
        continue;
      }
      ++path.back().second;
      const Node* operand = node->operands[next].node;
      if (operand && seen.insert(operand).second) path.emplace_back(operand, 0);
    }
  }
  return names;
}

// A graph as it is written, whatever its parameters are called.
inline std::string written_hash(const Graph& graph) {
  SourceNames names;
  int count = 0;
  for (const std::string& name : parameters_in_order(graph)) names[name] = fmt::format("p{}", count++);
  return graph_hash(renamed(graph, names));
}

// What a graph computes, whatever its parameters are called and however its layers are written.
inline std::string computation(const Graph& graph, Weights weights) {
  Graph plain = graph.clone();
  std::erase_if(plain.outputs, [](const Output& output) { return output.role != Output::Role::output; });
  PassContext context;
  context.weights = &weights;   // for weights in another shape
  // Of batch norms that a frozen network keeps, ONNX says no more than of others.
  for (Node* node : plain.nodes_of("batch_norm")) node->attributes["mode"] = "auto";
  run_passes(plain, {"canonicalize", "constant-fold", "common-subexpressions", "dead-code", "decompose", "canonicalize", "constant-fold",
                     "common-subexpressions", "dead-code"}, context);
  return written_hash(plain);
}

}  // namespace bnc::test
