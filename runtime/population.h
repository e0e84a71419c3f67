// Moments of what batch norms normalize, over a whole data set with the weights fixed (bn-restat).
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "bnc/bnc.h"
#include "runtime/objective.h"

namespace bnc {

// Mean and biased variance of a channel, pooled from batches in float64 (Chan, Golub and LeVeque 1979).
struct PooledMoments {
  double count = 0;   // elements a channel
  std::vector<double> mean, squares;   // `squares`: sums of squared differences from the mean

  void add(double elements, std::span<const double> batch_mean, std::span<const float> batch_variance);
  double variance(size_t channel) const { return squares[channel] / count; }
};

struct PopulationOptions {
  int64_t batch = 0;   // 0: normalized_together() in training
  int threads = 0;
  std::string cpu = "native";
  std::function<void(const Progress&)> on_progress = {};
};

// How many examples the trained batch norms normalize together in training with batches of `batch` (0: the train section's): those, or a
// ghost batch; the smallest number where layers differ (bn-restat).
int64_t normalized_together(const Network& network, int64_t batch = 0);

// By the name of the stored mean. Every example counts once; batches are drawn in random order and normalized with their own
// statistics, as in training; batch norms with `mode=infer` are left out, those that share their statistics are pooled. Error where
// the data do not fit the network.
std::map<std::string, PooledMoments> population_moments(const Network& network, const WeightStore& weights, const Dataset& data,
                                                        const PopulationOptions& options);

// The weights with stored statistics replaced by the moments of `data`.
WeightStore restat_weights(const Network& network, const WeightStore& weights, const Dataset& data, const PopulationOptions& options);

}  // namespace bnc
