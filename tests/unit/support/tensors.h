// Random values for a graph, and how far tensors are apart.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "ir/evaluate.h"
#include "ir/random.h"

namespace bnc::test {

inline Tensor random_tensor(const TensorType& type, int64_t batch, const std::string& name, double low = -1, double high = 1,
                            int64_t classes = 3) {
  RandomStream stream(7, name);
  Tensor tensor = Tensor::filled(type.dtype, concrete(type.shape, batch), 0);
  for (double& x : tensor.data) {
    x = type.dtype == DType::i32 ? static_cast<double>(stream.below(static_cast<uint64_t>(classes)))
                                 : static_cast<double>(static_cast<float>(low + (high - low) * stream.uniform()));
  }
  return tensor;
}

// Random values for every input, parameter and state; variances are positive.
inline Bindings random_bindings(const Graph& graph, int64_t batch, int64_t classes = 3) {
  Bindings bindings;
  for (const char* kind : {"input", "parameter", "state"}) {
    for (Node* node : graph.nodes_of(kind)) {
      const Result& result = node->results[0];
      const bool variance = result.name.ends_with("variance");
      bindings[result.name] = random_tensor(result.type, batch, result.name, variance ? 0.5 : -1, variance ? 2 : 1, classes);
    }
  }
  return bindings;
}

// Norm of the difference over norm of the reference; 0 where both vanish.
inline double relative_error(const Tensor& got, const Tensor& expected) {
  REQUIRE(got.data.size() == expected.data.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.data.size(); ++i) {
    if (std::isnan(expected.data[i]) && std::isnan(got.data[i])) continue;
    if (expected.data[i] == got.data[i]) { norm += std::isfinite(got.data[i]) ? got.data[i] * got.data[i] : 0; continue; }
    difference += (got.data[i] - expected.data[i]) * (got.data[i] - expected.data[i]);
    norm += expected.data[i] * expected.data[i];
  }
  return difference == 0 ? 0 : std::sqrt(difference) / std::max(std::sqrt(norm), 1e-30);
}

}  // namespace bnc::test
