// Metrics over a data set, from predictions batch by batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/metric.h"
#include "runtime/error_sums.h"

namespace bnc {

// The class that a row of scores names, its largest one; -1 where they name none: one is NaN, or the largest is infinite.
int32_t answer_of(std::span<const float> scores);

// What one batch says of an output: rows of `width` predictions, and a label or `width` numbers for each.
struct Answers {
  std::span<const float> predictions;
  int64_t width = 1;
  double threshold = 0.5;             // of a single number that tells two classes apart
  std::span<const int32_t> labels;    // one a row; empty where the targets are numbers
  std::span<const float> numbers;
  std::span<const int64_t> ignore = {};   // labels that count for nothing

  // The class that row `k` is predicted to be of; -1 where the prediction is not finite.
  int32_t answer(size_t k) const;
  std::span<const float> row(size_t k) const { return predictions.subspan(k * static_cast<size_t>(width), static_cast<size_t>(width)); }
  bool counts(size_t k) const;
};

// Sums from which one of all_metrics() follows.
class MetricSums {
 public:
  MetricSums(const MetricDefinition& definition, int64_t k) : definition_(definition), k_(k) {}
  void add(const Answers& answers);
  // NaN where nothing was added, or the metric is not of such targets.
  double value() const;

 private:
  struct Class {
    double right = 0, predicted = 0, labelled = 0;
  };

  void add_labels(const Answers& answers);
  void add_numbers(const Answers& answers);
  bool among_best(const Answers& answers, size_t row) const;
  template <class Share> double mean_over_classes(Share share) const;

  const MetricDefinition& definition_;
  int64_t k_;
  double rows_ = 0, right_ = 0;
  std::vector<Class> classes_;
  ErrorSums errors_;
};

}  // namespace bnc
