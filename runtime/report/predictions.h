// Single answers of a network over a test set, for its report.
#pragma once

#include <span>
#include <vector>

#include "runtime/report/record.h"

namespace bnc {

// Collects answers over a test set with labels.
class PredictionCollector {
 public:
  PredictionCollector(const Dataset& data, int64_t classes) : data_(data), classes_(classes) {}
  // The predictions for examples [first, first + count), `classes` scores each.
  void add(int64_t first, int64_t count, std::span<const float> predictions);
  // The most certain mistakes, then some right answers; the number of mistakes; confusion.
  void fill(RunRecord& record) const;

 private:
  const Dataset& data_;
  const int64_t classes_;
  std::vector<Prediction> mistakes_, right_;
  std::vector<std::vector<int64_t>> confusion_;
};

}  // namespace bnc
