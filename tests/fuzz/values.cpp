#include "tests/fuzz/values.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_map>

#include "ir/op.h"
#include "tests/fuzz/random.h"

namespace bnc::fuzz {

double largest_of(const Tensor& tensor) {
  double largest = 0;
  for (const double x : tensor.data)
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
  return largest;
}

namespace {

bool is_source(const Node& node) { return node.is("input") || node.is("parameter") || node.is("state"); }

// Class numbers below the fewest classes that a node reading them tells apart.
int64_t classes_of(const Graph& graph, const Node& input) {
  int64_t classes = 3;
  for (const auto& node : graph.nodes()) {
    for (size_t k = 0; k < node->operands.size(); ++k) {
      if (node->operands[k].node != &input) continue;
      if (node->is("one_hot")) classes = std::min(classes, node->attribute("classes").integer());
      if (node->op->target_type && k == 1) classes = std::min(classes, node->operands[0].type().shape.back().factor);
    }
  }
  return classes;
}

// Inputs differ in mean and scale.
Tensor input_value(const Graph& graph, const Node& input, int64_t batch, uint64_t seed) {
  const Result& result = input.results[0];
  Tensor tensor = Tensor::filled(result.type.dtype, concrete(result.type.shape, batch), 0);
  Random random(seed, "input " + result.name);
  const double mean = random.chance(0.3) ? random.uniform(-2, 4) : 0, deviation = random.chance(0.2) ? random.uniform(0.1, 3) : 1;
  const int64_t classes = result.type.dtype == DType::i32 ? classes_of(graph, input) : 0;
  for (double& x : tensor.data)
    x = classes ? static_cast<double>(random.below(classes)) : static_cast<float>(mean + deviation * random.normal());
  return tensor;
}

// What passes made starts as zeros, but is something else in every step but the first.
Tensor kept_value(const Result& result, uint64_t seed) {
  Tensor tensor = Tensor::filled(result.type.dtype, concrete(result.type.shape, 1), 0);
  Random random(seed, "kept " + result.name);
  Random common(seed, "steps");
  const bool first = common.chance(0.3);
  const double step = first ? 0 : static_cast<double>(common.between(1, 9));
  for (double& x : tensor.data) x = result.type.dtype == DType::i32 ? step : first ? 0 : static_cast<float>(random.uniform(0.05, 1));
  return tensor;
}

using Values = std::unordered_map<const Node*, std::vector<Tensor>>;
// What happens to the results of a node before others read them.
using Disturb = std::function<void(const Node&, std::vector<Tensor>&)>;

Disturb noise_of(double noise, Random& random) {
  return [noise, &random](const Node&, std::vector<Tensor>& results) {
    for (Tensor& tensor : results)
      if (tensor.dtype == DType::f32)
        for (double& x : tensor.data) x *= 1 + noise * random.uniform(-1, 1);
  };
}

// Rounds to f32, and keeps by how much.
Disturb rounding_into(Values& errors) {
  return [&errors](const Node& node, std::vector<Tensor>& results) {
    std::vector<Tensor>& error = errors[&node] = results;
    for (size_t r = 0; r < results.size(); ++r) {
      for (size_t i = 0; i < results[r].data.size(); ++i) {
        double& x = results[r].data[i];
        const double rounded = static_cast<float>(x);
        error[r].data[i] = rounded - x;
        x = rounded;
      }
    }
  };
}

// Adds what was kept, and noise.
Disturb around(const Values& errors, double noise, Random& random) {
  return [&errors, disturb = noise_of(noise, random)](const Node& node, std::vector<Tensor>& results) {
    const std::vector<Tensor>& error = errors.at(&node);
    for (size_t r = 0; r < results.size(); ++r)
      for (size_t i = 0; i < results[r].data.size(); ++i) results[r].data[i] += error[r].data[i];
    disturb(node, results);
  };
}

Values evaluate_nodes(const Graph& graph, const Bindings& bindings, int64_t batch, const Disturb& disturb = {}) {
  Values values;
  for (const auto& node : graph.nodes()) {
    std::vector<Tensor>& results = values[node.get()];
    if (is_source(*node)) {
      results = {bindings.at(node->results[0].name)};
      results[0].dtype = node->results[0].type.dtype;
    } else {
      EvaluateContext cx{*node, {}, batch};
      for (const Value& operand : node->operands)
        cx.operands.push_back(operand ? &values.at(operand.node)[static_cast<size_t>(operand.index)] : nullptr);
      results = node->op->evaluate(cx);
    }
    if (disturb) disturb(*node, results);
  }
  return values;
}

std::string buffer_name(const Output& output) {
  switch (output.role) {
    case Output::Role::output: return "output/" + output.name;
    case Output::Role::gradient: return "grad/" + output.name;
    case Output::Role::loss: return "loss";
    case Output::Role::update: break;
  }
  return output.name;
}

Tensors handed_out(const Graph& graph, const Values& values) {
  Tensors result;
  for (const Output& output : graph.outputs)
    result[buffer_name(output)] = values.at(output.value.node)[static_cast<size_t>(output.value.index)];
  return result;
}

// Widens each tensor's spread to how far `moved` is from `values`, times `scale`.
void widen(std::map<std::string, double>& spreads, const Tensors& values, const Tensors& moved, double scale) {
  for (const auto& [name, value] : values) {
    double& spread = spreads[name];
    for (size_t i = 0; i < value.data.size(); ++i) {
      const double distance = std::abs(moved.at(name).data[i] - value.data[i]) * scale;
      spread = std::isnan(distance) ? INFINITY : std::max(spread, distance);
    }
  }
}

// Of a node's operands, and of theirs.
double largest_operand(const Node& node, const Values& values, int levels) {
  double largest = 0;
  for (const Value& operand : node.operands) {
    if (!operand) continue;
    largest = std::max(largest, largest_of(values.at(operand.node)[static_cast<size_t>(operand.index)]));
    if (levels > 1) largest = std::max(largest, largest_operand(*operand.node, values, levels - 1));
  }
  return largest;
}

}  // namespace

// Whether numbers on the way come near the largest that f32 has, or beyond it: code has infinities there.
static bool is_beyond_f32(const Values& values) {
  constexpr double limit = 1e30;
  for (const auto& [node, results] : values)
    for (const Tensor& tensor : results)
      if (largest_of(tensor) > limit) return true;
  return false;
}

Tensor value_of_source(const Graph& graph, const Node& source, int64_t batch, uint64_t seed) {
  const Result& result = source.results[0];
  if (source.is("input")) return input_value(graph, source, batch, seed);
  if (source.is("constant")) return source.op->evaluate(EvaluateContext{source, {}, batch}).front();
  const Symbol& initializer = source.attribute("initializer").symbol();
  if (initializer.name == "zeros" && source.is("state")) return kept_value(result, seed);
  return Weight::from_tensor(initialize(result.name, result.type, initializer, seed)).to_tensor();
}

void bind_sources(const Graph& graph, int64_t batch, uint64_t seed, Bindings& bindings) {
  for (const auto& node : graph.nodes())
    if (is_source(*node) && !bindings.contains(node->results[0].name))
      bindings[node->results[0].name] = value_of_source(graph, *node, batch, seed);
}

Tensors evaluate_handed_out(const Graph& graph, const Bindings& bindings, int64_t batch) {
  return handed_out(graph, evaluate_nodes(graph, bindings, batch));
}

Reference evaluate_with_spread(const Graph& graph, const Bindings& bindings, int64_t batch, int rounds, double noise) {
  const Values values = evaluate_nodes(graph, bindings, batch);
  Reference reference{handed_out(graph, values), {}, {}};
  for (const Output& output : graph.outputs) {
    double& magnitude = reference.magnitude[buffer_name(output)];
    magnitude = std::max(magnitude, largest_operand(*output.value.node, values, 2));
  }
  if (is_beyond_f32(values)) {
    for (const auto& [name, tensor] : reference.values) reference.spread[name] = INFINITY;
    return reference;
  }
  Random random(1, "noise");
  for (int round = 0; round < rounds; ++round)
    widen(reference.spread, reference.values, handed_out(graph, evaluate_nodes(graph, bindings, batch, noise_of(noise, random))), 1);
  return reference;
}

std::map<std::string, double> slope_spread(const Graph& graph, const Bindings& bindings, int64_t batch, int rounds, double noise,
                                           bool rounded) {
  constexpr double little = 0x1p-22;
  Random random(1, "noise");
  Values errors;
  std::map<std::string, double> spread;
  Tensors values = evaluate_handed_out(graph, bindings, batch);
  if (rounded) {
    Tensors moved = handed_out(graph, evaluate_nodes(graph, bindings, batch, rounding_into(errors)));
    widen(spread, values, moved, 1);
    values = std::move(moved);
  }
  for (int round = 0; round < rounds; ++round) {
    const Disturb disturb = rounded ? around(errors, little * noise, random) : noise_of(little * noise, random);
    widen(spread, values, handed_out(graph, evaluate_nodes(graph, bindings, batch, disturb)), 1 / little);
  }
  return spread;
}

}  // namespace bnc::fuzz
