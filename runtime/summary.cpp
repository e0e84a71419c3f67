// What a network consists of: its layers with their shapes, parameters and operations.
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "passes/schedule/kernel_plan.h"
#include "passes/graph/rewrite.h"
#include "runtime/error.h"
#include "runtime/network.h"

namespace bnc {

namespace {

// With `batch` in place of the batch symbol, where it is given.
TensorType at_batch(TensorType type, std::optional<int64_t> batch) {
  if (!batch) return type;
  for (Dim& dim : type.shape) dim = {dim.at(*batch), false};
  return type;
}

bool is_graph_source(const Node& node) { return node.op->category == OpCategory::source; }

// The results of a node that something reads or the network returns; the first one where there is none. What a batch norm computes of the
// batch is read in training only.
std::vector<int> used_results(Node& node, const Uses& uses) {
  std::vector<int> used;
  for (int k = 0; k < static_cast<int>(node.results.size()); ++k)
    if (uses.count(node.result(k)) > 0) used.push_back(k);
  return used.empty() ? std::vector<int>{0} : used;
}

// Floating-point operations of one node in frozen inference, counted in a graph of that node alone: sources are copied, every other operand
// is an input.
double operations_of(const Node& node, const std::vector<int>& results, const std::string& batch_symbol, std::optional<int64_t> batch) {
  Network::Data alone;
  Graph& graph = alone.module.networks.emplace_back();
  graph.name = "alone";
  graph.batch_symbol = batch_symbol;
  GraphBuilder builder(graph);
  std::map<std::pair<const Node*, int>, Value> values;
  std::vector<Value> operands;
  for (const Value& operand : node.operands) {
    Value& value = values[{operand.node, operand.index}];
    if (operand && !value) {
      auto source = std::make_unique<Node>();
      if (is_graph_source(*operand.node)) {
        source->op = operand.node->op;
        source->attributes = operand.node->attributes;
        source->results = {Result{operand.type(), graph.fresh_name(operand.name())}};
        value = graph.append(std::move(source))->result();
      } else {
        value = builder.input(graph.fresh_name("x"), operand.type());
      }
    }
    operands.push_back(value);
  }
  auto copy = std::make_unique<Node>();
  copy->op = node.op;
  copy->attributes = node.attributes;
  copy->operands = operands;
  for (const Result& result : node.results) copy->results.push_back({result.type, ""});
  Node* placed = graph.append(std::move(copy));
  for (const int k : results) graph.outputs.push_back({Output::Role::output, fmt::format("y{}", k), placed->result(k)});

  CompileOptions options;
  options.batch = batch;
  Compilation compilation(alone, options, nullptr);
  compilation.run_passes({"canonicalize", "freeze", "decompose", "canonicalize"});
  double operations = 0;
  for (const auto& part : compilation.graph.nodes())
    if (!is_graph_source(*part)) operations += work_of(*part, batch.value_or(1));
  return operations;
}

// Counts the parameters and statistics that a layer is the first to read.
class ParameterCounter {
 public:
  void add(const Node& reader, NetworkSummary::Layer& layer) {
    for (const Value& operand : reader.operands) {
      if (!operand || !(operand.node->is("parameter") || operand.node->is("state")) || !seen_.insert(operand.node).second) continue;
      const int64_t count = element_count(operand.type().shape)->factor;
      if (operand.node->is("state")) layer.statistics += count;
      else if (is_trainable(*operand.node)) layer.trainable += count;
      else layer.fixed += count;
    }
  }

 private:
  std::set<const Node*> seen_;
};

// The layer's name within its block, from the names of its parameters; the op's name where it has none, or has those of another block.
std::string name_within(const std::string& block, const Node& node) {
  const std::string path = layer_path(node), inside = block.empty() ? "" : block + ".";
  const std::string name = path.starts_with(inside) ? path.substr(inside.size()) : "";
  return name.empty() || name.find('.') != std::string::npos ? node.op->name : name;
}

NetworkSummary::Layer summary_layer(Node& node, const std::string& block, const Graph& graph, const Uses& uses,
                                    std::optional<int64_t> batch) {
  NetworkSummary::Layer layer;
  layer.block = block;
  layer.name = name_within(block, node);
  layer.op = node.op->name;
  if (node.range.known() && node.range.file) layer.place = fmt::format("{}:{}", node.range.file->path, node.range.line);
  const std::vector<int> results = used_results(node, uses);
  for (const int k : results) layer.outputs.push_back(to_string(at_batch(node.result(k).type(), batch), graph.batch_symbol));
  layer.operations = operations_of(node, results, graph.batch_symbol, batch);
  return layer;
}

}  // namespace

NetworkSummary Network::summarize(std::optional<int64_t> batch) const {
  return at_boundary([&] {
    if (batch && *batch < 1) fail("the batch size is {}, but must be at least 1", *batch);
    BlockPaths blocks;
    const Module module = parse_module(data_->source, &blocks);
    const Graph& graph = module.main();
    const Uses uses(graph);
    NetworkSummary summary;
    ParameterCounter counter;
    for (const auto& node : graph.nodes()) {
      if (node->is("input")) summary.inputs.push_back(describe(node->results[0].name, at_batch(node->results[0].type, batch), graph));
      if (is_graph_source(*node)) continue;
      const auto block = blocks.find(node.get());
      summary.layers.push_back(summary_layer(*node, block == blocks.end() ? "" : block->second, graph, uses, batch));
      counter.add(*node, summary.layers.back());
    }
    for (const NetworkSummary::Layer& layer : summary.layers) summary.operations += layer.operations;
    for (const Node* node : weight_nodes(graph)) {   // also what no layer reads
      const int64_t count = element_count(node->results[0].type.shape)->factor;
      (node->is("state") ? summary.statistics : is_trainable(*node) ? summary.trainable : summary.fixed) += count;
      summary.weight_bytes += count * static_cast<int64_t>(sizeof(float));
    }
    return summary;
  });
}

}  // namespace bnc
