#include "ir/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "ir/op.h"
#include "ir/random.h"

namespace bnc {

namespace {

// How many classes the labels in `input` number, from what reads them.
int64_t classes_of(const Graph& graph, const Node& input) {
  for (const auto& node : graph.nodes())
    for (size_t k = 0; k < node->operands.size(); ++k) {
      if (node->operands[k].node != &input) continue;
      if (node->is("one_hot")) return node->attribute("classes").integer();
      if (node->op->target_type && k == 1) return node->operands[0].type().shape.back().factor;
    }
  return 2;
}

// What starts as ones is a scale, drawn with both signs, or where it is a state a variance.
double near_initial(const Node& source, double initial, RandomStream& random) {
  const std::string& initializer = source.attribute("initializer").symbol().name;
  if (source.is("state")) return initializer == "ones" ? 0.5 + random.uniform() : initial + 0.3 * random.normal();
  if (initializer == "ones") return (0.5 + random.uniform()) * (random.below(3) == 0 ? -1 : 1);
  return initializer == "zeros" || initializer == "constant" ? initial + 0.3 * random.normal() : initial;
}

// The graph of the loss alone.
Graph loss_only(const Graph& graph) {
  Graph result = graph.clone();
  std::erase_if(result.outputs, [](const Output& output) { return output.role != Output::Role::loss; });
  BNC_CHECK(result.outputs.size() == 1, "a graph with a loss");
  std::unordered_set<const Node*> live = {result.outputs[0].value.node};
  std::vector<Node*> dead;
  for (auto node = result.nodes().rbegin(); node != result.nodes().rend(); ++node) {
    if (!live.count(node->get()) && !(*node)->op->lowering_as<SourceLowering>()) dead.push_back(node->get());
    else
      for (Value operand : (*node)->operands) live.insert(operand.node);
  }
  for (Node* node : dead) result.erase(node);
  return result;
}

// All elements, or `count` different ones at random.
std::vector<size_t> sample(size_t size, size_t count, RandomStream random) {
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  if (size <= count) return order;
  for (size_t k = 0; k < count; ++k) std::swap(order[k], order[k + random.below(size - k)]);
  order.resize(count);
  return order;
}

struct Slope {
  double value;     // extrapolated from two step sizes
  double mismatch;  // how far the two differ: tiny where the loss is smooth
};

Slope slope(const Graph& loss, Bindings& bindings, double& element) {
  const double at = element, step = 1e-4 * std::max(1.0, std::fabs(at));
  auto difference = [&](double h) {
    double high = (element = at + h, evaluate(loss, bindings).loss), low = (element = at - h, evaluate(loss, bindings).loss);
    element = at;
    return (high - low) / (2 * h);
  };
  double coarse = difference(step), fine = difference(step / 2);
  return {(4 * fine - coarse) / 3, std::fabs(fine - coarse)};
}

GradientComparison compare(const Graph& loss, Bindings& bindings, const std::string& name, const Tensor& analytic, double loss_value,
                           const GradientCheckSettings& settings) {
  GradientComparison result{.tensor = name};
  Tensor& tensor = bindings.at(name);
  std::vector<size_t> elements = sample(tensor.data.size(), static_cast<size_t>(settings.samples),
                                        RandomStream(settings.seed, "gradcheck/" + name));
  std::vector<Slope> slopes;
  double scale = 0;
  for (size_t element : elements) {
    slopes.push_back(slope(loss, bindings, tensor.data[element]));
    scale = std::max(scale, std::fabs(slopes.back().value));
  }
  // Below it differences of the loss are rounding only: a gradient of 0 is compared absolutely.
  const double noise = 1e-4 * std::max(1.0, std::fabs(loss_value));
  double difference = 0, norm = 0;
  for (size_t k = 0; k < elements.size(); ++k) {
    if (slopes[k].mismatch > 1e-4 * std::max(scale, noise)) {
      ++result.skipped;
      continue;
    }
    ++result.compared;
    difference += std::pow(analytic.data[elements[k]] - slopes[k].value, 2);
    norm += std::pow(slopes[k].value, 2);
  }
  result.relative_error = std::sqrt(difference) / std::max(std::sqrt(norm), noise);
  result.passed = result.relative_error <= settings.tolerance && result.skipped <= result.compared;
  return result;
}

}  // namespace

Bindings random_bindings(const Graph& graph, int64_t batch_size, uint64_t seed) {
  Bindings bindings;
  for (const auto& node : graph.nodes()) {
    if (!node->is("input") && !node->is("parameter") && !node->is("state")) continue;
    const auto& [type, name] = node->results[0];
    RandomStream random(seed, "gradcheck/values/" + name);
    Tensor tensor = Tensor::filled(type.dtype, concrete(type.shape, batch_size), 0);
    if (!node->is("input")) {
      tensor = initialize(name, type, node->attribute("initializer").symbol(), seed);
      if (type.dtype == DType::f32)
        for (double& element : tensor.data) element = near_initial(*node, element, random);
    } else if (type.dtype == DType::i32) {
      int64_t classes = classes_of(graph, *node);
      for (double& element : tensor.data) element = static_cast<double>(random.below(classes));
    } else {
      for (double& element : tensor.data) element = random.normal();
    }
    bindings[name] = std::move(tensor);
  }
  return bindings;
}

std::vector<GradientComparison> check_gradients(const Graph& graph, const Bindings& bindings, const GradientCheckSettings& settings) {
  Evaluation analytic = evaluate(graph, bindings);
  Graph loss = loss_only(graph);
  Bindings perturbed = bindings;
  std::vector<GradientComparison> comparisons;
  for (const Output& output : graph.outputs)
    if (output.role == Output::Role::gradient)
      comparisons.push_back(compare(loss, perturbed, output.name, analytic.gradients.at(output.name), analytic.loss, settings));
  return comparisons;
}

}  // namespace bnc
