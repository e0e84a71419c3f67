#include "runtime/report/ranking.h"

#include <algorithm>
#include <cmath>

namespace bnc {

namespace {

constexpr int thresholds = 100, roc_steps = 200;

// Examples in falling order: the curve and the area under it, equal ranks in one step.
void trace_roc(std::span<const ScoredExample> falling, double negatives, double positives, Ranking& ranking) {
  double x = 0, y = 0;
  ranking.roc = {{0, 0}};
  for (size_t k = 0; k < falling.size();) {
    const double x_before = x, y_before = y, rank = falling[k].rank;
    for (; k < falling.size() && falling[k].rank == rank; ++k) (falling[k].positive ? y : x) += 1;
    ranking.auc += (x - x_before) * (y + y_before) / 2;
    const auto& [last_x, last_y] = ranking.roc.back();
    const bool far = x / negatives - last_x >= 1.0 / roc_steps || y / positives - last_y >= 1.0 / roc_steps;
    if (far || k == falling.size()) ranking.roc.emplace_back(x / negatives, y / positives);
  }
  ranking.auc /= negatives * positives;
}

void trace_thresholds(std::span<const ScoredExample> falling, double positives, Ranking& ranking) {
  double taken = 0, right = 0;
  for (int k = thresholds; k >= 0; --k) {
    const double threshold = static_cast<double>(k) / thresholds;
    for (auto next = static_cast<size_t>(taken); next < falling.size() && falling[next].probability > threshold; ++next) {
      ++taken;
      right += falling[next].positive;
    }
    if (taken > 0) ranking.precision.emplace_back(threshold, right / taken);
    ranking.recall.emplace_back(threshold, right / positives);
  }
  std::reverse(ranking.precision.begin(), ranking.precision.end());
  std::reverse(ranking.recall.begin(), ranking.recall.end());
}

}  // namespace

Ranking ranking_of(std::vector<ScoredExample> examples) {
  Ranking ranking{.examples = static_cast<int64_t>(examples.size())};
  const auto positives =
      static_cast<double>(std::count_if(examples.begin(), examples.end(), [](const auto& each) { return each.positive; }));
  const double negatives = static_cast<double>(examples.size()) - positives;
  if (negatives == 0 || positives == 0) {
    ranking.auc = std::nan("");
    return ranking;
  }
  std::stable_sort(examples.begin(), examples.end(), [](const auto& a, const auto& b) { return a.rank > b.rank; });
  trace_roc(examples, negatives, positives, ranking);
  trace_thresholds(examples, positives, ranking);
  return ranking;
}

}  // namespace bnc
