#include "runtime/activation_probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "passes/graph/rewrite.h"
#include "runtime/dataset.h"
#include "runtime/evaluator.h"
#include "runtime/network.h"
#include "runtime/session.h"
#include "runtime/shuffle.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

constexpr int64_t most_examples = 200, most_values = int64_t{1} << 24, picked = 20000;

// Hands out what each batch norm reads and makes. Returns their paths, and the numbers all of it takes for one example.
std::pair<std::vector<std::string>, int64_t> add_outputs(Graph& graph) {
  std::vector<std::string> paths;
  int64_t numbers = 0;
  for (Node* node : graph.nodes_of("batch_norm")) {
    const std::string path = layer_path(*node);
    graph.outputs.push_back({Output::Role::output, fmt::format("before/{}", paths.size()), node->operands[0]});
    graph.outputs.push_back({Output::Role::output, fmt::format("after/{}", paths.size()), node->result()});
    numbers += 2 * element_count(node->result().type().shape)->factor;
    paths.push_back(path.empty() ? node->result().name() : path);
  }
  return {paths, numbers};
}

}  // namespace

ActivationProbe::ActivationProbe(const Network& network, const Objective& objective, const Dataset& data, CompileOptions options,
                                 uint64_t seed, const WeightStore& weights)
    : objective_(objective), data_(data) {
  Network::Data probed{network.data().source, {}, 0};
  probed.module.train = network.data().module.train;
  probed.module.networks.push_back(network.data().graph().clone());
  int64_t numbers = 0;
  std::tie(batch_norms_, numbers) = add_outputs(probed.module.networks.front());
  if (batch_norms_.empty()) return;
  const int64_t count = std::min(std::clamp<int64_t>(most_values / std::max<int64_t>(numbers, 1), 2, most_examples), data.count());
  examples_ = shuffled_indices(data.count(), seed, "probe");
  examples_.resize(static_cast<size_t>(count));
  shape_ = objective.fit(data, count);
  options.mode = Mode::infer;
  options.batch = count;
  options.batch_statistics = true;
  session_.emplace(std::make_unique<Session::Data>(probed, options, weights, false));
}

void ActivationProbe::run(const WeightStore& weights) {
  Batch batch;
  session_->restore(weights, {});
  run_examples(*session_, objective_, data_, examples_, shape_, batch);
}

std::vector<float> ActivationProbe::values(const std::string& output) const {
  const std::span<const float> all = session_->view(output);
  const size_t size = all.size();
  // A stride without a divisor in common with the size meets every remainder of every dimension.
  size_t stride = std::max<size_t>(1, size / picked);
  while (std::gcd(stride, size) != 1) ++stride;
  std::vector<float> values;
  for (size_t k = 0, place = 0; k < std::min<size_t>(size, picked); ++k, place = (place + stride) % size) {
    if (std::isfinite(all[place])) values.push_back(all[place]);
  }
  return values;
}

void ActivationProbe::sample(int64_t step, const WeightStore& weights, Distributions& distributions) {
  if (!session_) return;
  run(weights);
  for (size_t k = 0; k < batch_norms_.size(); ++k) {
    std::vector<float> before = values(fmt::format("before/{}", k));
    distributions.push_back({step, batch_norms_[k], percentiles_of(before)});
  }
}

std::vector<NormalizationHistograms> ActivationProbe::histograms(const WeightStore& weights) {
  std::vector<NormalizationHistograms> result;
  if (!session_) return result;
  run(weights);
  for (size_t k = 0; k < batch_norms_.size(); ++k) {
    std::vector<float> before = values(fmt::format("before/{}", k)), after = values(fmt::format("after/{}", k));
    result.push_back({batch_norms_[k], histogram_of(before), histogram_of(after)});
  }
  return result;
}

}  // namespace bnc
