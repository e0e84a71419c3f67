#include "runtime/report/class_quality.h"

#include <cmath>
#include <numeric>

namespace bnc {

namespace {

double share_of(int64_t part, int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : std::nan(""); }

}  // namespace

std::vector<ClassQuality> qualities_of(const ClassAnswers& answers) {
  std::vector<ClassQuality> classes;
  for (size_t k = 0; k < answers.confusion.size(); ++k) {
    const std::vector<int64_t>& row = answers.confusion[k];
    int64_t answered = 0;
    for (const std::vector<int64_t>& each : answers.confusion) answered += each[k];
    const int64_t examples = std::accumulate(row.begin(), row.end(), answers.unanswered[k]), right = row[k];
    classes.push_back({share_of(right, answered), share_of(right, examples), share_of(2 * right, answered + examples), examples});
  }
  return classes;
}

ClassQuality mean_quality(std::span<const ClassQuality> classes, bool by_examples) {
  ClassQuality mean;
  double weights = 0;
  for (const ClassQuality& each : classes) {
    if (each.examples == 0) continue;
    const double weight = by_examples ? static_cast<double>(each.examples) : 1;
    weights += weight;
    mean.precision += weight * (std::isnan(each.precision) ? 0 : each.precision);
    mean.recall += weight * each.recall;
    mean.f1 += weight * each.f1;
    mean.examples += each.examples;
  }
  return {mean.precision / weights, mean.recall / weights, mean.f1 / weights, mean.examples};
}

}  // namespace bnc
