#include "runtime/report/ranking.h"

#include <algorithm>
#include <cmath>

namespace bnc {

namespace {

constexpr int thresholds = 100, roc_steps = 200;

// Scores in falling order: the curve and the area below it, equal scores in one step.
void trace_roc(std::span<const ScoredExample> falling, double firsts, double seconds, Ranking& ranking) {
  double x = 0, y = 0;
  ranking.roc = {{0, 0}};
  for (size_t k = 0; k < falling.size();) {
    const double x_before = x, y_before = y;
    const float score = falling[k].score;
    for (; k < falling.size() && falling[k].score == score; ++k) (falling[k].second ? y : x) += 1;
    ranking.auc += (x - x_before) * (y + y_before) / 2;
    const auto& [last_x, last_y] = ranking.roc.back();
    const bool far = x / firsts - last_x >= 1.0 / roc_steps || y / seconds - last_y >= 1.0 / roc_steps;
    if (far || k == falling.size()) ranking.roc.emplace_back(x / firsts, y / seconds);
  }
  ranking.auc /= firsts * seconds;
}

void trace_thresholds(std::span<const ScoredExample> falling, double seconds, Ranking& ranking) {
  const double low = std::min(0.0F, falling.back().score), high = std::max(1.0F, falling.front().score);
  double taken = 0, right = 0;
  for (int k = thresholds; k >= 0; --k) {
    const double threshold = low + (high - low) * k / thresholds;
    for (auto next = static_cast<size_t>(taken); next < falling.size() && falling[next].score > threshold; ++next) {
      ++taken;
      right += falling[next].second;
    }
    if (taken > 0) ranking.precision.emplace_back(threshold, right / taken);
    ranking.recall.emplace_back(threshold, right / seconds);
  }
  std::reverse(ranking.precision.begin(), ranking.precision.end());
  std::reverse(ranking.recall.begin(), ranking.recall.end());
}

}  // namespace

Ranking ranking_of(std::vector<ScoredExample> examples) {
  Ranking ranking;
  const auto seconds = static_cast<double>(std::count_if(examples.begin(), examples.end(), [](const auto& each) { return each.second; }));
  const double firsts = static_cast<double>(examples.size()) - seconds;
  if (firsts == 0 || seconds == 0) {
    ranking.auc = std::nan("");
    return ranking;
  }
  std::stable_sort(examples.begin(), examples.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  trace_roc(examples, firsts, seconds, ranking);
  trace_thresholds(examples, seconds, ranking);
  return ranking;
}

}  // namespace bnc
