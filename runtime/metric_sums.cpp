#include "runtime/metric_sums.h"

#include <algorithm>
#include <cmath>

namespace bnc {

int32_t answer_of(std::span<const float> scores) {
  size_t best = 0;
  for (size_t k = 0; k < scores.size(); ++k) {
    if (std::isnan(scores[k])) return -1;
    if (scores[k] > scores[best]) best = k;
  }
  return std::isfinite(scores[best]) ? static_cast<int32_t>(best) : -1;
}

int32_t Answers::answer(size_t k) const {
  const std::span<const float> scores = row(k);
  if (width != 1) return answer_of(scores);
  return std::isfinite(scores[0]) ? scores[0] > threshold : -1;
}

bool Answers::counts(size_t k) const { return std::find(ignore.begin(), ignore.end(), labels[k]) == ignore.end(); }

void MetricSums::add(const Answers& answers) {
  if (definition_.of_classes) add_labels(answers);
  else add_numbers(answers);
}

bool MetricSums::among_best(const Answers& answers, size_t row) const {
  const std::span<const float> scores = answers.row(row);
  const float own = scores[static_cast<size_t>(answers.labels[row])];
  int64_t ahead = 0;
  for (size_t c = 0; c < scores.size(); ++c) {
    const bool before = scores[c] == own && static_cast<int32_t>(c) < answers.labels[row];
    ahead += scores[c] > own || before;
  }
  return ahead < k_;
}

void MetricSums::add_labels(const Answers& answers) {
  const size_t classes = static_cast<size_t>(std::max<int64_t>(answers.width, 2));
  classes_.resize(std::max(classes_.size(), classes));
  for (size_t row = 0; row < answers.labels.size(); ++row) {
    if (!answers.counts(row)) continue;
    const int32_t label = answers.labels[row], answer = answers.answer(row);
    const bool right = answer == label;
    ++rows_;
    right_ += definition_.has_k && answers.width > 1 ? answer >= 0 && among_best(answers, row) : right;
    if (answer >= 0) ++classes_[static_cast<size_t>(answer)].predicted;
    if (label >= 0 && static_cast<size_t>(label) < classes_.size()) {
      Class& own = classes_[static_cast<size_t>(label)];
      ++own.labelled;
      own.right += right;
    }
  }
}

void MetricSums::add_numbers(const Answers& answers) {
  const size_t count = answers.labels.empty() ? answers.numbers.size() : answers.labels.size();
  for (size_t k = 0; k < count && k < answers.predictions.size(); ++k) {
    const double target = answers.labels.empty() ? answers.numbers[k] : answers.labels[k];
    errors_.add(target, answers.predictions[k]);
  }
}

// Over the classes that occur, in labels or predictions.
template <class Share>
double MetricSums::mean_over_classes(Share share) const {
  double sum = 0, count = 0;
  for (const Class& each : classes_) {
    if (each.labelled + each.predicted == 0) continue;
    sum += share(each);
    ++count;
  }
  return sum / count;
}

double MetricSums::value() const {
  const auto ratio = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  const std::string& name = definition_.name;
  if (definition_.of_classes && rows_ == 0) return std::nan("");
  if (name == "accuracy" || name == "top_accuracy") return right_ / rows_;
  if (name == "precision") return mean_over_classes([&](const Class& c) { return ratio(c.right, c.predicted); });
  if (name == "recall") return mean_over_classes([&](const Class& c) { return ratio(c.right, c.labelled); });
  if (name == "f1_score") return mean_over_classes([&](const Class& c) { return ratio(2 * c.right, c.predicted + c.labelled); });
  if (name == "intersection_over_union")
    return mean_over_classes([&](const Class& c) { return ratio(c.right, c.predicted + c.labelled - c.right); });
  return name == "root_mean_squared_error" ? errors_.root_mean_squared_error() : errors_.r_squared();
}

}  // namespace bnc
