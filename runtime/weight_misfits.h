// What of a file of weights does not fit a network.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/weight_store.h"

namespace bnc {

class Misfits {
 public:
  Misfits(const std::vector<TensorInfo>& parameters, const WeightStore::Data& file);

  bool any() const { return !missing_.empty() || !misshapen_.empty() || !other_types_.empty(); }
  // "3 tensors are missing, 1 has another shape, 3 are unknown".
  std::string summary() const;
  // Appends a line for each, of many only for the first few of a kind; true where some were left out.
  bool list(std::string& text, bool whole) const;
  // The likely reason, where one shows.
  std::string cause() const;

 private:
  void look_at(const TensorInfo& parameter, const Weight* weight, const StoredTensor* other);
  std::string missing_behind_prefix() const;
  std::string suggestion(size_t k) const;

  std::vector<TensorInfo> missing_;
  std::vector<std::string> misshapen_, other_types_, known_;
  std::vector<std::pair<std::string, std::string>> unknown_;   // name, and name with shape
  size_t reversed_ = 0, windows_ = 0;                          // misshapen ones that are as PyTorch has dense weights, and convolutions'
};

}  // namespace bnc
