#include "runtime/equivalence.h"

#include <algorithm>
#include <cmath>

#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/random.h"
#include "passes/pass.h"

namespace bnc {

namespace {

constexpr int64_t batch_size = 5;
constexpr double exact_tolerance = 1e-9, rounded_tolerance = 1e-5;
// Below this magnitude a difference counts as absolute: the gradient of a bias in front of a batch norm is 0 in one form and 1e-17 in
// another.
constexpr double least_magnitude = 1e-6;

// The name of the operand as which some node reads `value`; empty where nobody does.
std::string role_of(const Graph& graph, const Node* source) {
  for (const auto& node : graph.nodes())
    for (size_t k = 0; k < node->operands.size(); ++k)
      if (node->operands[k].node == source && k < node->op->operands.size()) return node->op->operands[k].name;
  return {};
}

bool is_variance(const Graph& graph, const Node* source) {
  return source->results[0].name.ends_with("variance") || role_of(graph, source) == "variance";
}

// A value that the op reading it can take: variances and counts are positive, labels and step numbers small. It depends on
// the name alone, so that the same name has the same value in every graph.
Tensor random_value(const Graph& graph, const Node* source, uint64_t seed) {
  const Result& result = source->results[0];
  Tensor tensor = Tensor::filled(result.type.dtype, concrete(result.type.shape, batch_size), 0);
  RandomStream stream(seed, result.name);
  for (double& x : tensor.data) {
    if (result.type.dtype == DType::i32) x = static_cast<double>(stream.below(2));
    else if (is_variance(graph, source)) x = static_cast<float>(0.5 + stream.uniform());
    else if (role_of(graph, source) == "count") x = 3;
    else x = static_cast<float>(stream.normal());
  }
  return tensor;
}

bool is_weight(const Node& node) { return node.is("parameter") || node.is("state"); }

// Values for the sources of `graph` that have none yet.
void bind_sources(const Graph& graph, uint64_t seed, Bindings& bindings) {
  for (const auto& node : graph.nodes())
    if ((node->is("input") || is_weight(*node)) && !bindings.contains(node->results[0].name))
      bindings[node->results[0].name] = random_value(graph, node.get(), seed);
}

// Everything a graph hands out, by role and name.
std::map<std::string, Tensor> handed_out(const Graph& graph, const Bindings& bindings) {
  Evaluation evaluation = evaluate(graph, bindings);
  std::map<std::string, Tensor> values = std::move(evaluation.outputs);
  for (auto& [name, value] : evaluation.gradients) values["grad/" + name] = std::move(value);
  for (auto& [name, value] : evaluation.updates) values["update/" + name] = std::move(value);
  if (graph.output(Output::Role::loss)) values["loss"] = Tensor{DType::f32, {}, {evaluation.loss}};
  return values;
}

// What the network returns must stay; losses, gradients and updates may go, as they do when it is frozen.
bool is_network_output(const std::string& name) { return name != "loss" && !name.starts_with("grad/") && !name.starts_with("update/"); }

double relative_error(const Tensor& before, const Tensor& after) {
  if (before.dims != after.dims) return INFINITY;
  double difference = 0, magnitude = least_magnitude;
  for (size_t i = 0; i < before.data.size(); ++i) {
    const double a = before.data[i], b = after.data[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (!std::isfinite(a) || !std::isfinite(b)) return INFINITY;
    difference = std::max(difference, std::abs(a - b));
    magnitude = std::max({magnitude, std::abs(a), std::abs(b)});
  }
  return difference / magnitude;
}

class Comparison {
 public:
  Comparison(const Module& module, uint64_t seed, bool fold_weights)
      : graph_(module.main().clone()), seed_(seed), tolerance_(fold_weights ? rounded_tolerance : exact_tolerance) {
    context_.train = module.train ? &*module.train : nullptr;
    bind_sources(graph_, seed_, bindings_);
    if (!fold_weights) return;
    for (const auto& node : graph_.nodes())
      if (is_weight(*node)) weights_.set(node->results[0].name, Weight::from_tensor(bindings_.at(node->results[0].name)));
    context_.weights = &weights_;
  }

  void run(const std::string& pass, std::vector<EquivalenceCheck>& checks) {
    const auto before = handed_out(graph_, bindings_);
    run_passes(graph_, {pass}, context_);
    drop_misshapen();
    for (const auto& [name, weight] : weights_.entries())
      if (!bindings_.contains(name)) bindings_[name] = weight.to_tensor();
    bind_sources(graph_, seed_, bindings_);
    if (pass == "prepare-training") return;
    const auto after = handed_out(graph_, bindings_);
    for (const auto& [name, value] : before) {
      const auto found = after.find(name);
      if (found == after.end() && !is_network_output(name)) continue;
      const double error = found == after.end() ? INFINITY : relative_error(value, found->second);
      checks.push_back({pass, name, error, error <= tolerance_});
    }
  }

 private:
  // prepare-training may count the batch in ghost batches, which makes the inputs larger.
  void drop_misshapen() {
    for (const auto& node : graph_.nodes()) {
      if (!node->is("input")) continue;
      const auto found = bindings_.find(node->results[0].name);
      if (found != bindings_.end() && found->second.dims != concrete(node->results[0].type.shape, batch_size)) bindings_.erase(found);
    }
  }

  Graph graph_;
  uint64_t seed_;
  double tolerance_;
  PassContext context_;
  Bindings bindings_;
  Weights weights_;
};

}  // namespace

std::vector<EquivalenceCheck> check_equivalence(const Module& module, const std::vector<std::string>& passes, uint64_t seed,
                                                bool fold_weights) {
  Comparison comparison(module, seed, fold_weights);
  std::vector<EquivalenceCheck> checks;
  for (const std::string& pass : passes) comparison.run(pass, checks);
  return checks;
}

}  // namespace bnc
