#include "runtime/report/class_quality.h"

#include <cmath>

namespace bnc {

namespace {

double share_of(int64_t part, int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : std::nan(""); }

}  // namespace

std::vector<ClassQuality> qualities_of(const ClassAnswers& answers) {
  std::vector<int64_t> answered(answers.classes), examples = answers.unanswered;
  for (const auto& [pair, count] : answers.confusion) {
    examples[pair.first] += count;
    answered[pair.second] += count;
  }
  std::vector<ClassQuality> classes;
  for (size_t k = 0; k < answers.classes; ++k) {
    const int64_t right = answers.confused(k, k);
    classes.push_back({share_of(right, answered[k]), share_of(right, examples[k]), share_of(2 * right, answered[k] + examples[k]),
                       examples[k]});
  }
  return classes;
}

ClassQuality mean_quality(std::span<const ClassQuality> classes, bool by_examples) {
  const auto share = [](double value) { return std::isnan(value) ? 0 : value; };
  ClassQuality mean;
  double weights = 0;
  for (const ClassQuality& each : classes) {
    if (std::isnan(each.f1)) continue;
    const double weight = by_examples ? static_cast<double>(each.examples) : 1;
    weights += weight;
    mean.precision += weight * share(each.precision);
    mean.recall += weight * share(each.recall);
    mean.f1 += weight * each.f1;
    mean.examples += each.examples;
  }
  return {mean.precision / weights, mean.recall / weights, mean.f1 / weights, mean.examples};
}

}  // namespace bnc
