// The reference evaluator and the reference pages, through the public API.
#include "runtime/reference.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "bnc/advice.h"
#include "ir/hints.h"
#include "ir/op.h"
#include "ir/random.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/weight_store.h"

namespace bnc {

Tensor to_tensor(const Array& array) {
  Tensor tensor{array.is_float() ? DType::f32 : DType::i32, array.dims(), {}};
  if (array.is_float()) tensor.data.assign(array.floats().begin(), array.floats().end());
  else tensor.data.assign(array.integers().begin(), array.integers().end());
  return tensor;
}

Array to_array(const Tensor& tensor) {
  if (tensor.dtype == DType::i32) return Array(tensor.dims, std::vector<int32_t>(tensor.data.begin(), tensor.data.end()));
  return Array(tensor.dims, std::vector<float>(tensor.data.begin(), tensor.data.end()));
}

int64_t label_classes(const Graph& graph, const Node* input) {
  int64_t classes = 0;
  for (const auto& node : graph.nodes()) {
    if (!node->is("one_hot") || node->operands[0].node != input) continue;
    const int64_t known = node->attribute("classes").integer();
    const bool of_one_label = known == 1 && classes > 1;   // which a loss ignores
    if (!of_one_label) classes = classes > 1 ? std::min(classes, known) : known;
  }
  return classes;
}

Bindings random_inputs(const Graph& graph, int64_t batch, uint64_t seed) {
  Bindings bindings;
  for (const Node* node : graph.nodes_of("input")) {
    const Result& input = node->results[0];
    Tensor tensor = Tensor::filled(input.type.dtype, concrete(input.type.shape, batch), 0);
    RandomStream stream(seed, input.name);
    const auto classes = static_cast<uint64_t>(std::max<int64_t>(1, label_classes(graph, node)));
    for (double& value : tensor.data)
      value = input.type.dtype == DType::f32 ? static_cast<float>(stream.normal()) : static_cast<double>(stream.below(classes));
    bindings[input.name] = std::move(tensor);
  }
  return bindings;
}

std::map<std::string, Tensor> reference_outputs(const Graph& graph, const Weights& weights, Bindings inputs, const OnNode& on_node) {
  for (const Node* node : weight_nodes(graph)) inputs[node->results[0].name] = weights.find(node->results[0].name)->to_tensor();
  return evaluate(graph, inputs, on_node).outputs;
}

double predicted_folding_error(int64_t tensors) { return std::sqrt(static_cast<double>(tensors) / 3) * std::ldexp(1.0, -24); }

int64_t folded_tensors(const Graph& graph, Value value) {
  std::unordered_set<const Node*> read;   // by `value`; nodes stand behind their operands
  if (value) read.insert(value.node);
  int64_t count = 0;
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) {
    if (value && !read.contains(node->get())) continue;
    count += (*node)->is("parameter") && (*node)->results[0].name.find(".folded") != std::string::npos;
    for (const Value& operand : (*node)->operands) read.insert(operand.node);
  }
  return count;
}

double norm_error(const Tensor& expected, const Tensor& found) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.data.size(); ++i) {
    difference += std::pow(found.data[i] - expected.data[i], 2);
    norm += std::pow(expected.data[i], 2);
  }
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

namespace {

// Inputs, weights, and the initial values of states that passes made.
Bindings make_bindings(const Graph& graph, const Weights& weights, const NamedArrays& inputs) {
  Bindings bindings;
  for (const auto& [name, array] : inputs) bindings[name] = to_tensor(array);
  for (const Node* node : weight_nodes(graph)) {
    const Result& result = node->results[0];
    const Weight* weight = weights.find(result.name);
    bindings[result.name] = weight ? weight->to_tensor() : initialize(result.name, result.type, node->attribute("initializer").symbol(), 0);
  }
  return bindings;
}

}  // namespace

NamedArrays Network::evaluate_reference(const CompileOptions& options, const WeightStore& weights, const NamedArrays& inputs) const {
  return at_boundary([&] {
    check_weights(weights);
    Compilation compilation(*data_, options, nullptr);
    const bool training = options.mode == Mode::train;
    compilation.run_passes(training ? std::vector<std::string>{"prepare-training", "build-backward"} : std::vector<std::string>{"freeze"});
    const Evaluation evaluation = evaluate(compilation.graph, make_bindings(compilation.graph, weights.data().weights, inputs));

    NamedArrays results;
    if (training) results.emplace_back("loss", Array({}, std::vector<float>{static_cast<float>(evaluation.loss)}));
    for (const Output& output : data_->graph().outputs) {
      if (output.role == Output::Role::output) results.emplace_back(output.name, to_array(evaluation.outputs.at(output.name)));
    }
    if (!training) return results;
    for (const auto& [name, gradient] : evaluation.gradients) results.emplace_back("grad/" + name, to_array(gradient));
    for (const auto& [name, update] : evaluation.updates) {
      const Value old = data_->graph().find(name);
      if (old && old.node->is("state")) results.emplace_back("state/" + name, to_array(update));
    }
    return results;
  });
}

std::vector<PassSummary> passes() {
  std::vector<PassSummary> summaries;
  for (const PassInfo& pass : all_passes()) summaries.push_back({pass.name, pass.summary});
  return summaries;
}

std::string passes_reference() {
  std::string text = "# Passes\n\nGenerated by `bnc --passes-reference`; a test compares.\n\n## Pipelines\n";
  for (const char* name : {"training", "inference", "lowering"}) text += fmt::format("- {}: `{}`\n", name, fmt::join(pipeline(name), ", "));
  for (const PassInfo& pass : all_passes()) {
    const std::string kind = std::holds_alternative<LoopPass>(pass.run)    ? "on loops"
                             : std::holds_alternative<GraphPass>(pass.run) ? "on graphs"
                                                                           : "from a graph to loops";
    text += fmt::format("\n## {}\n{} ({}).\n\n{}\n", pass.name, pass.summary, kind, pass.description);
  }
  return text;
}

std::string hint_on_command(const std::string& word) { return hint(Hint::Place::command, word); }

std::string hint_on_option(const std::string& word, const std::vector<std::string>& taken) {
  const Hint* found = find_hint(Hint::Place::option, word);
  if (!found) return "";
  const std::string& instead = found->instead;
  const std::string needed = instead == "M.bn" ? "model" : instead.starts_with("--") ? instead.substr(2, instead.find(' ') - 2) : "";
  if (!needed.empty() && std::find(taken.begin(), taken.end(), needed) == taken.end()) return "";
  return hint(Hint::Place::option, word);
}

}  // namespace bnc
