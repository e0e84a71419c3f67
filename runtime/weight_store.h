// What a WeightStore holds, for the library itself.
#pragma once

#include "bnc/bnc.h"
#include "ir/tensor.h"
#include "runtime/metadata.h"

namespace bnc {

// A tensor of a file that is not f32: no weight of a network, such as PyTorch's `num_batches_tracked`.
struct OtherTensor {
  std::string name, dtype;
  std::vector<int64_t> dims;
};

struct WeightStore::Data {
  Weights weights;
  ModelMetadata metadata;
  std::vector<OtherTensor> others;   // of the file; they are not saved
  std::string path;  // the file it was loaded from, for errors; else empty
};

inline WeightStore make_store(Weights weights, ModelMetadata metadata = {}) {
  WeightStore store;
  store.data().weights = std::move(weights);
  store.data().metadata = std::move(metadata);
  return store;
}

// Where the rules among the metadata are from, for errors.
inline std::string training_data_of(const WeightStore& weights) {
  return weights.data().path.empty() ? "the training data" : "the training data of " + weights.data().path;
}

}  // namespace bnc
