// What a WeightStore holds, for the library itself.
#pragma once

#include "bnc/bnc.h"
#include "ir/tensor.h"

namespace bnc {

struct WeightStore::Data {
  Weights weights;
  std::string path;  // the file it was loaded from, for errors; else empty
};

inline WeightStore make_store(Weights weights) {
  WeightStore store;
  store.data().weights = std::move(weights);
  return store;
}

}  // namespace bnc
