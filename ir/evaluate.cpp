#include "ir/evaluate.h"

#include <fmt/format.h>
#include <optional>
#include <unordered_map>

#include "ir/op.h"

namespace bnc {

namespace {

using Values = std::unordered_map<const Node*, std::vector<Tensor>>;

bool is_bound(const Node& node) { return node.is("input") || node.is("parameter") || node.is("state"); }

std::string show(const std::vector<int64_t>& dims) { return fmt::format("[{}]", fmt::join(dims, ", ")); }

// The value given for an input, parameter or state; refused where it has another shape.
Tensor given(const Node& node, Tensor value, int64_t batch_size) {
  const Result& result = node.results[0];
  if (value.dims != concrete(result.type.shape, batch_size))
    throw CompileError(fmt::format("the {} `{}` is {}, but the value given has the shape {}", node.op->name, result.name,
                                   to_string(result.type), show(value.dims)));
  value.dtype = result.type.dtype;
  return value;
}

std::vector<Tensor> apply(const Node& node, const Values& values, int64_t batch_size) {
  EvaluateContext cx{node, {}, batch_size};
  for (const Value& operand : node.operands) cx.operands.push_back(operand ? &values.at(operand.node)[operand.index] : nullptr);
  std::vector<Tensor> results = node.op->evaluate(cx);
  BNC_CHECK(results.size() == node.results.size(), node.op->name);
  for (size_t i = 0; i < results.size(); ++i)
    BNC_CHECK(results[i].dims == concrete(node.results[i].type.shape, batch_size),
              fmt::format("{} evaluates to {}", node.op->name, show(results[i].dims)));
  return results;
}

Values evaluate_nodes(const Graph& graph, const Bindings& bindings, const OnNode& on_node = {}) {
  const int64_t batch_size = batch_size_of(graph, bindings);
  Values values;
  for (const auto& node : graph.nodes()) {
    if (is_bound(*node)) {
      const Result& result = node->results[0];
      const auto found = bindings.find(result.name);
      if (found == bindings.end())
        throw CompileError(fmt::format("no value is given for the {} `{}`: {}", node->op->name, result.name, to_string(result.type)));
      values[node.get()] = {given(*node, found->second, batch_size)};
    } else {
      values[node.get()] = apply(*node, values, batch_size);
    }
    if (on_node) on_node(static_cast<int64_t>(values.size()), static_cast<int64_t>(graph.nodes().size()));
  }
  return values;
}

}  // namespace

int64_t batch_size_of(const Graph& graph, const Bindings& bindings) {
  std::optional<int64_t> batch_size;
  std::string first;
  for (const Node* input : graph.nodes_of("input")) {
    const Result& result = input->results[0];
    const auto found = bindings.find(result.name);
    if (found == bindings.end())
      throw CompileError(fmt::format("no value is given for the input `{}`: {}", result.name, to_string(result.type, graph.batch_symbol)));
    const std::vector<int64_t>& dims = found->second.dims;
    for (size_t i = 0; i < result.type.shape.size() && i < dims.size(); ++i) {
      const Dim& dim = result.type.shape[i];
      if (!dim.batch || dim.factor == 0 || dims[i] % dim.factor != 0) continue;
      const int64_t here = dims[i] / dim.factor;
      if (batch_size && *batch_size != here)
        throw CompileError(
            fmt::format("the inputs disagree on the batch size: `{}` gives {}, `{}` gives {}", first, *batch_size, result.name, here));
      if (!batch_size) first = result.name;
      batch_size = here;
    }
  }
  return batch_size.value_or(1);
}

Evaluation evaluate(const Graph& graph, const Bindings& bindings, const OnNode& on_node) {
  const Values values = evaluate_nodes(graph, bindings, on_node);
  Evaluation evaluation;
  for (const Output& output : graph.outputs) {
    const Tensor& value = values.at(output.value.node)[output.value.index];
    switch (output.role) {
      case Output::Role::output: evaluation.outputs[output.name] = value; break;
      case Output::Role::gradient: evaluation.gradients[output.name] = value; break;
      case Output::Role::update: evaluation.updates[output.name] = value; break;
      case Output::Role::loss: evaluation.loss = value.data[0]; break;
    }
  }
  return evaluation;
}

std::map<std::string, Tensor> evaluate_all(const Graph& graph, const Bindings& bindings) {
  Values values = evaluate_nodes(graph, bindings);
  std::map<std::string, Tensor> named;
  for (const auto& node : graph.nodes())
    for (size_t i = 0; i < node->results.size(); ++i) named[node->results[i].name] = std::move(values.at(node.get())[i]);
  return named;
}

}  // namespace bnc
