// Looks at what batch norms take in and give out while a network is trained, on a few examples that stay the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bnc/bnc.h"
#include "runtime/distributions.h"
#include "runtime/objective.h"

namespace bnc {

// A session of its own, which normalizes with the statistics of its batch, as training does. It changes nothing of the run, and what it
// finds depends on weights, data and seed alone.
class ActivationProbe {
 public:
  // Examples are drawn from `data` by `seed`, as many as the activations of the network leave room for.
  ActivationProbe(const Network& network, const Objective& objective, const Dataset& data, CompileOptions options, uint64_t seed,
                  const WeightStore& weights);

  // Appends a row for each batch norm.
  void sample(int64_t step, const WeightStore& weights, Distributions& distributions);
  std::vector<NormalizationHistograms> histograms(const WeightStore& weights);

 private:
  void run(const WeightStore& weights);
  // Finite values of an output, some thousands of them evenly picked over examples, places and channels.
  std::vector<float> values(const std::string& output) const;

  const Objective& objective_;
  const Dataset& data_;
  std::vector<std::string> batch_norms_;   // by path; their outputs are before/K and after/K
  std::vector<int64_t> examples_;
  BatchShape shape_;
  std::optional<Session> session_;         // none where there is no batch norm
};

}  // namespace bnc
