// What a training step means, apart from how it is compiled.
#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "ir/op.h"
#include "tests/fuzz/check_parts.h"

namespace bnc::fuzz {

namespace {

double loss_at(const Graph& loss, const Bindings& bindings, int64_t batch, const Tensors& direction, double distance) {
  Bindings moved = bindings;
  for (const auto& [name, tensor] : direction)
    for (size_t i = 0; i < tensor.data.size(); ++i) moved.at(name).data[i] += distance * tensor.data[i];
  return evaluate_handed_out(loss, moved, batch).at("loss").data[0];
}

// The derivative of the loss along `direction`, and how sure it is: from two step sizes.
std::pair<double, double> slope(const Graph& loss, const Bindings& bindings, int64_t batch, const Tensors& direction) {
  const auto central = [&](double h) {
    return (loss_at(loss, bindings, batch, direction, h) - loss_at(loss, bindings, batch, direction, -h)) / (2 * h);
  };
  const double h = 1e-5, coarse = central(h), fine = central(h / 2);
  return {(4 * fine - coarse) / 3, std::abs(fine - coarse)};
}

// Whether the loss depends on the source through an operand that counts as a constant, so that the gradient is not all of the derivative.
bool depends_aside(const Graph& loss, const std::string& source) {
  std::set<const Node*> reached = {loss.find(source).node}, aside;
  for (const auto& node : loss.nodes()) {
    for (size_t k = 0; k < node->operands.size(); ++k) {
      const Node* operand = node->operands[k].node;
      const bool constant = !node->op->gradient || !node->op->operands[std::min(k, node->op->operands.size() - 1)].differentiable;
      if (aside.count(operand) || (reached.count(operand) && constant)) aside.insert(node.get());
      if (reached.count(operand)) reached.insert(node.get());
    }
  }
  return aside.count(loss.outputs.front().value.node) > 0;
}

}  // namespace

// The first passes of the pipeline, which say what a step means: parameters that they find to be of no effect are not trained.
Graph training_step(const Case& tried, PassContext& context) {
  Graph graph = tried.graph().clone();
  run_passes(graph, {"canonicalize", "prepare-training", "drop-dead-bias", "build-backward", "attach-optimizer"}, context);
  return graph;
}

// Without canonicalize and drop-dead-bias the same loss, outputs, statistics and gradients.
void check_plain_step(const Case& tried, const Expected& expected) {
  Graph plain = tried.graph().clone();
  PassContext context = context_for({}, expected);
  context.batch = expected.train->batch;
  run_passes(plain, {"prepare-training", "build-backward"}, context);
  Bindings bindings = expected.bindings;
  bind_sources(plain, expected.batch, tried.values, bindings);
  const Reference wanted = evaluate_with_spread(plain, bindings, expected.batch, 4, 0x1p-23);
  Tensors got = expected.reference.values;
  // What is gone has a gradient of 0.
  for (const auto& [name, tensor] : wanted.values)
    if (!got.contains(name) && name.starts_with("grad/")) got[name] = Tensor::filled(DType::f32, tensor.dims, 0);
  const auto mismatch = compare_all(got, wanted, of_f64);
  if (mismatch && compare_all(got, evaluate_with_spread(plain, bindings, expected.batch, 24, 0x1p-22), of_f64))
    throw Failure("pass drop-dead-bias",
                  fmt::format("{}\n  in float64, with canonicalize and drop-dead-bias before build-backward", mismatch->describe()));
}

void check_gradients(const Expected& expected) {
  Graph loss = expected.graph.clone();
  std::erase_if(loss.outputs, [](const Output& output) { return output.role != Output::Role::loss; });
  PassContext context;
  run_passes(loss, {"dead-code"}, context);
  const double value = std::abs(expected.reference.values.at("loss").data[0]);
  for (const Output& output : expected.graph.outputs) {
    if (output.role != Output::Role::gradient || depends_aside(loss, output.name)) continue;
    const Tensor& gradient = expected.reference.values.at("grad/" + output.name);
    // Behind a saturated tanh, whose slope is a difference of nearly equal numbers, float64 has too few digits as well.
    const auto by_size = [](double a, double b) { return std::abs(a) < std::abs(b); };
    const double largest = std::abs(*std::max_element(gradient.data.begin(), gradient.data.end(), by_size));
    if (expected.reference.spread.at("grad/" + output.name) > 1e-3 * largest) continue;
    Random random(7, "direction of " + output.name);
    Tensors direction;
    Tensor& along = direction[output.name] = gradient;
    double analytic = 0, size = 0;
    for (size_t i = 0; i < gradient.data.size(); ++i) {
      along.data[i] = random.uniform(-1, 1);
      analytic += gradient.data[i] * along.data[i];
      size += std::abs(gradient.data[i] * along.data[i]);
    }
    if (!std::isfinite(analytic)) continue;
    const auto [numeric, doubt] = slope(loss, expected.bindings, expected.batch, direction);
    const double allowed = 1e-5 * size + 1e-9 * (1 + value);
    // A kink within the two steps shows in their difference.
    if (!(doubt <= 0.1 * allowed + 1e-6 * size)) continue;
    if (std::abs(analytic - numeric) > allowed)
      throw Failure(
          "gradient",
          fmt::format(
              "the gradient of {} along a random direction is {:.9g}, but the loss changes by {:.9g}\n  in float64, behind build-backward",
              output.name, analytic, numeric));
  }
}

// bn-running and bn-variance by their formulas, for batch norms whose statistics are their own.
void check_statistics(const Case& tried, const Expected& expected) {
  Graph graph = tried.graph().clone();
  std::map<const Node*, int> readers;
  for (const Node* node : graph.nodes_of("batch_norm"))
    for (const Value& operand : node->operands)
      if (operand) ++readers[operand.node];
  std::vector<Node*> training;
  for (Node* node : graph.nodes_of("batch_norm")) {
    if (node->attribute("mode").symbol().name == "infer") continue;
    if (node->attribute("ghost").integer() > 0) return;   // they see other batches
    node->attributes["mode"] = "train";
    training.push_back(node);
  }
  // Dropout in front would need its masks.
  if (training.empty() || !graph.nodes_of("dropout").empty()) return;
  graph.outputs.clear();
  for (Node* node : training)
    for (const int k : {1, 2}) graph.outputs.push_back({Output::Role::output, node->result(k).name(), node->result(k)});
  const Tensors moments = evaluate_handed_out(graph, expected.bindings, expected.batch);
  for (const Node* node : training) {
    const Symbol& stats = node->attribute("stats").symbol();
    const Value count = node->operands[5];
    const int64_t m = element_count(concrete(node->operands[0].type().shape, expected.batch)) /
                      element_count(concrete(node->results[1].type.shape, expected.batch));
    for (const int k : {1, 2}) {
      const Value stored = node->operands[static_cast<size_t>(k + 2)];
      const bool own = stored.node->is("state") && readers[stored.node] == 1 &&
                       (!count || (count.node->is("state") && readers[count.node] == 1));
      const auto update = expected.reference.values.find(stored.name());
      if (!own || update == expected.reference.values.end()) continue;
      if (count && expected.bindings.at(count.name()).data[0] < 1) continue;   // a count that another op reads, too, as a fraction
      const double steps = count ? expected.bindings.at(count.name()).data[0] + 1 : 0, decay = stats.number("decay", 0.9);
      const double weight = stats.name == "cumulative" ? 1 / steps
                            : stats.flag("corrected")  ? (1 - decay) / (1 - std::pow(decay, steps))
                                                       : 1 - decay;
      const bool unbiased = k == 2 && node->attribute("unbiased").boolean() && m > 1;
      for (size_t c = 0; c < update->second.data.size(); ++c) {
        const double batch = moments.at("output/" + node->results[static_cast<size_t>(k)].name).data[c] *
                             (unbiased ? static_cast<double>(m) / static_cast<double>(m - 1) : 1);
        const double old = expected.bindings.at(stored.name()).data[c], wanted = old + weight * (batch - old), got = update->second.data[c];
        if (std::abs(got - wanted) > 1e-9 * (std::abs(old) + std::abs(batch)))
          throw Failure("statistics",
                        fmt::format("{}[{}] moves from {:.9g} to {:.9g}, not to {:.9g}\n  in float64, behind prepare-training",
                                    stored.name(), c, old, got, wanted));
      }
    }
  }
}

}  // namespace bnc::fuzz
