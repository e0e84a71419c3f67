// What a WeightStore holds, for the library itself.
#pragma once

#include "bnc/bnc.h"
#include "ir/tensor.h"
#include "runtime/metadata.h"
#include "runtime/stored_tensor.h"

namespace bnc {

struct WeightStore::Data {
  Weights weights;
  ModelMetadata metadata;
  std::vector<StoredTensor> others;   // of the file, not f32, such as PyTorch's `num_batches_tracked`; they are not saved
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
