#include "runtime/population.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "ir/builder.h"
#include "ir/integers.h"
#include "ir/ops/common.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/evaluator.h"
#include "runtime/network.h"
#include "runtime/session.h"
#include "runtime/shuffle.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// A batch norm whose stored statistics are states that training moves, and what a run hands out of it.
struct Probe {
  std::string mean, variance;       // the states
  std::string batch_mean, batch_variance, rest;   // the outputs; `rest` is the mean of what is normalized, all but 0
  Dim elements{1};                  // of a channel
  bool unbiased = true;
  double epsilon = 0;
};

const Node* operand(const Node& node, const char* name) { return node.operands[static_cast<size_t>(node.op->operand_index(name))].node; }

// Makes the moments of each batch norm outputs of the network. Where a mean is large beside its deviation, rounding it to f32 moves it
// by a part of the deviation; `rest` tells by how much.
std::vector<Probe> add_probes(Graph& graph) {
  std::vector<Probe> probes;
  GraphBuilder builder(graph);
  for (Node* node : graph.nodes_of("batch_norm")) {
    const Node *mean = operand(*node, "mean"), *variance = operand(*node, "variance");
    if (node->attribute("mode").symbol().name == "infer" || !mean->is("state") || !variance->is("state")) continue;
    Probe probe{.mean = mean->results[0].name,
                .variance = variance->results[0].name,
                .unbiased = node->attribute("unbiased").boolean(),
                .epsilon = node->attribute("epsilon").number()};
    const Value x = node->operands[0];
    const std::vector<int> axes = ops::other_axes(x.type().rank(), ops::axis_of(*node));
    for (const int axis : axes) {
      const Dim& dim = x.type().shape[static_cast<size_t>(axis)];
      probe.elements = {probe.elements.factor * dim.factor, probe.elements.batch || dim.batch};
    }
    const Value normalized = builder.value("normalize", {x, node->result(1), node->result(2)},
                                           {{"axis", node->attribute("axis")}, {"epsilon", probe.epsilon}});
    const auto output = [&](const char* what, Value value) {
      graph.outputs.push_back({Output::Role::output, fmt::format("{}/{}", what, probes.size()), value});
      return graph.outputs.back().name;
    };
    probe.batch_mean = output("batch_mean", node->result(1));
    probe.batch_variance = output("batch_variance", node->result(2));
    probe.rest = output("rest", builder.value("reduce_mean", {normalized}, {{"axes", ops::to_attribute(axes)}}));
    probes.push_back(std::move(probe));
  }
  return probes;
}

// The moments of one batch, in float64.
void pool(PooledMoments& moments, const Probe& probe, const Session& session, int64_t batch) {
  const std::span<const float> variance = session.view(probe.batch_variance), rest = session.view(probe.rest),
                               rounded = session.view(probe.batch_mean);
  std::vector<double> mean(rounded.begin(), rounded.end());
  for (size_t channel = 0; channel < mean.size(); ++channel) mean[channel] += rest[channel] * std::sqrt(variance[channel] + probe.epsilon);
  moments.add(static_cast<double>(probe.elements.factor * (probe.elements.batch ? batch : 1)), mean, variance);
}

struct ProbedNetwork {
  explicit ProbedNetwork(const Network& network) : data{network.data().source, {}, 0} {
    data.module.train = network.data().module.train;
    data.module.networks.push_back(network.data().graph().clone());
    probes = add_probes(data.module.networks.front());
  }

  Network::Data data;
  std::vector<Probe> probes;
};

// Batches as even as they can be, and none of a single example, so that none is too small to be normalized by itself.
std::vector<int64_t> batch_sizes(int64_t count, int64_t batch) {
  const int64_t needed = divide_up(count, batch), batches = batch == 1 ? count : std::clamp<int64_t>(count / 2, 1, needed);
  std::vector<int64_t> sizes(static_cast<size_t>(batches), count / batches);
  for (int64_t k = 0; k < count % batches; ++k) ++sizes[static_cast<size_t>(k)];
  return sizes;
}

}  // namespace

void PooledMoments::add(double elements, std::span<const double> batch_mean, std::span<const float> batch_variance) {
  mean.resize(batch_mean.size());
  squares.resize(batch_mean.size());
  const double sum = count + elements;
  for (size_t channel = 0; channel < mean.size(); ++channel) {
    const double difference = batch_mean[channel] - mean[channel];
    mean[channel] += difference * elements / sum;
    squares[channel] += batch_variance[channel] * elements + difference * difference * count * elements / sum;
  }
  count = sum;
}

int64_t normalized_together(const Network& network, int64_t batch) {
  int64_t least = batch > 0 ? batch : network.data().train()->batch;
  for (const Node* node : network.data().graph().nodes_of("batch_norm")) {
    const int64_t ghost = node->attribute("ghost").integer();
    if (ghost > 0 && node->attribute("mode").symbol().name != "infer") least = std::min(least, ghost);
  }
  return least;
}

std::map<std::string, PooledMoments> population_moments(const Network& network, const WeightStore& weights, const Dataset& data,
                                                        const PopulationOptions& options) {
  const Objective objective(network);
  const int64_t batch = std::min(options.batch > 0 ? options.batch : normalized_together(network), data.count());
  const BatchShape shape = objective.fit(data, batch);
  ProbedNetwork probed(network);
  if (probed.probes.empty()) return {};
  CompileOptions compile;
  compile.cpu = options.cpu;
  compile.threads = options.threads;
  compile.batch_statistics = true;
  network.check_weights(weights);
  Session session(std::make_unique<Session::Data>(probed.data, compile, weights, false));

  const std::vector<int64_t> order = shuffled_indices(data.count(), 0, "restat"), sizes = batch_sizes(data.count(), batch);
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, PooledMoments> moments;
  Progress progress;
  progress.steps = static_cast<int64_t>(sizes.size());
  Batch examples;
  std::span<const int64_t> rest(order);
  for (const int64_t size : sizes) {
    run_examples(session, objective, data, rest.first(static_cast<size_t>(size)), shape, examples);
    rest = rest.subspan(static_cast<size_t>(size));
    for (const Probe& probe : probed.probes) pool(moments[probe.mean], probe, session, size);
    ++progress.step;
    if (!options.on_progress) continue;
    const auto done = static_cast<double>(order.size() - rest.size());
    progress.examples_per_second = done / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    progress.seconds_left = static_cast<double>(rest.size()) / progress.examples_per_second;
    options.on_progress(progress);
  }
  return moments;
}

WeightStore restat_weights(const Network& network, const WeightStore& weights, const Dataset& data, const PopulationOptions& options) {
  const std::map<std::string, PooledMoments> moments = population_moments(network, weights, data, options);
  Weights result = weights.data().weights;
  for (const Probe& probe : ProbedNetwork(network).probes) {
    const PooledMoments& found = moments.at(probe.mean);
    const double correction = probe.unbiased && found.count > 1 ? found.count / (found.count - 1) : 1;
    std::vector<float> mean(found.mean.begin(), found.mean.end()), variance;
    for (size_t channel = 0; channel < mean.size(); ++channel) variance.push_back(static_cast<float>(found.variance(channel) * correction));
    const std::vector<int64_t> dims = result.find(probe.mean)->dims;
    result.set(probe.mean, Weight::owned(dims, std::move(mean)));
    result.set(probe.variance, Weight::owned(dims, std::move(variance)));
  }
  ModelMetadata metadata = weights.data().metadata;
  if (metadata.training) {   // its figures are those of the statistics before
    metadata.training->restat = true;
    for (auto* figures : {&metadata.training->train, &metadata.training->validation, &metadata.training->test_result}) figures->reset();
  }
  return make_store(std::move(result), std::move(metadata));
}

WeightStore restat(const Network& network, const WeightStore& weights, const RestatOptions& options) {
  return at_boundary([&] {
    const Dataset data = Objective(network).open(options.data, "train", weights, options.data_options);
    return restat_weights(network, weights, data, {options.batch, options.threads, options.cpu, options.on_progress});
  });
}

}  // namespace bnc
