#include "runtime/report/courses.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace bnc {

std::vector<FigureCourse> courses_of(const RunRecord& run) {
  FigureCourse loss{"loss", "loss an example", true, {}, {}}, accuracy{"accuracy", "share of right answers", false, {}, {}};
  std::vector<FigureCourse> metrics;   // only of tests
  for (const HistoryRow& row : run.history) {
    const auto step = static_cast<double>(row.step);
    loss.training.emplace_back(step, row.loss);
    accuracy.training.emplace_back(step, row.accuracy);
    if (!row.tested) continue;
    loss.tests.emplace_back(step, row.test_loss);
    accuracy.tests.emplace_back(step, row.test_accuracy);
    for (size_t k = 0; k < row.metrics.size(); ++k) {
      const auto& [name, value] = row.metrics[k];
      if (k == metrics.size()) metrics.push_back({name, name, false, {}, {}});
      metrics[k].tests.emplace_back(step, value);
    }
  }
  std::vector<FigureCourse> courses = {std::move(loss), std::move(accuracy)};
  std::move(metrics.begin(), metrics.end(), std::back_inserter(courses));
  return courses;
}

Points rates_of(const RunRecord& run) {
  Points points;
  for (const HistoryRow& row : run.history) points.emplace_back(static_cast<double>(row.step), row.rate);
  return points;
}

std::string capitalized(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

}  // namespace bnc
