// Analytic against numeric gradients, both in float64 by the reference evaluator: what `bnc gradcheck` and the tests use.
#pragma once

#include <string>
#include <vector>

#include "ir/evaluate.h"

namespace bnc {

struct GradientCheckSettings {
  uint64_t seed = 0;
  int64_t samples = 24;      // elements compared of a tensor that has more
  double tolerance = 1e-6;
};

struct GradientComparison {
  std::string tensor;
  double relative_error = 0;  // norm of the difference over norm of the numeric gradient, of the elements compared
  int64_t compared = 0;
  int64_t skipped = 0;        // the loss is not smooth there: a step crosses the corner of a ReLU or the like
  bool passed = false;        // within the tolerance, and not more skipped than compared
};

// Random values for everything the graph reads: inputs normal, class numbers within the number of classes, parameters
// and running statistics around their initial values (scales of both signs, variances positive), so that no term of a
// gradient vanishes.
Bindings random_bindings(const Graph& graph, int64_t batch_size, uint64_t seed);

// Compares every output of role gradient with central differences of the output of role loss, extrapolated to step 0.
std::vector<GradientComparison> check_gradients(const Graph& graph, const Bindings& bindings, const GradientCheckSettings& settings = {});

}  // namespace bnc
