// Answers that are classes: which are taken for which, and the mistakes that the network is most certain of.
#include <algorithm>
#include <cmath>
#include <optional>

#include "runtime/report/collectors.h"
#include "runtime/report/ranking.h"
#include "runtime/report/sample.h"

namespace bnc {

namespace {

constexpr size_t shown_mistakes = 20, shown_right = 10, ranked_examples = size_t{1} << 18;

class ClassCollector : public AnswerCollector {
 public:
  explicit ClassCollector(AnswerKind kind)
      : kind_(std::move(kind)), classes_(static_cast<size_t>(kind_.class_count())) {
    found_.classes = classes_;
    found_.names = kind_.names;
    found_.unanswered.assign(classes_, 0);
  }

  void add(int64_t first, int64_t count, std::span<const float> predictions, const Truths& truths) override {
    const auto width = static_cast<size_t>(kind_.width);
    if (predictions.size() != truths.labels.size() * width) return;
    const bool single = truths.labels.size() == static_cast<size_t>(count);   // an answer an example
    for (size_t k = 0; k < truths.labels.size(); ++k) {
      const int32_t truth = truths.labels[k];
      const bool ignored = std::find(kind_.ignore.begin(), kind_.ignore.end(), truth) != kind_.ignore.end();
      if (ignored || truth < 0 || truth >= static_cast<int64_t>(classes_)) continue;
      probabilities_.clear();
      const std::span<const float> row = predictions.subspan(k * width, width);
      kind_.add_probabilities(row, probabilities_);
      const int32_t answer = answer_of(row);
      if (classes_ == 2 && answer >= 0) scored_.add({rank_of(row), probabilities_[1], truth == 1});
      add_answer(single ? std::optional(first + static_cast<int64_t>(k)) : std::nullopt, truth, answer);
    }
  }

  OutputAnswers answers(const Dataset& data) const override {
    ClassAnswers found = found_;
    found.predictions = mistakes_;
    found.predictions.insert(found.predictions.end(), right_.begin(), right_.end());
    for (Prediction& each : found.predictions) each.image = image_of(data, each.example);
    if (classes_ == 2) found.ranking = ranking_of(scored_.values());
    return {kind_.output, kind_.target, std::move(found), {}};
  }

 private:
  static bool more_certain(const Prediction& a, const Prediction& b) { return a.probability > b.probability; }

  int32_t answer_of(std::span<const float> row) const {
    if (!kind_.of_pair()) return bnc::answer_of(row);
    return std::isfinite(row[0]) ? bnc::answer_of(probabilities_) : -1;
  }

  double rank_of(std::span<const float> row) const {
    if (kind_.of_pair()) return row[0];
    return kind_.scores == AnswerKind::Scores::logits ? static_cast<double>(row[1]) - row[0] : row[1];
  }

  // `example` is empty where an example has many answers, which are only counted.
  void add_answer(std::optional<int64_t> example, int32_t truth, int32_t answer) {
    const auto at = static_cast<size_t>(truth);
    ++found_.count;
    found_.mistakes += answer != truth;
    if (answer < 0) ++found_.unanswered[at];
    else ++found_.confusion[{at, static_cast<size_t>(answer)}];
    if (!example || (answer == truth && right_.size() >= shown_right)) return;
    Prediction prediction{*example, truth, answer, 0, 0, ""};
    if (answer >= 0) {
      prediction.probability = probabilities_[static_cast<size_t>(answer)];
      prediction.truth_probability = probabilities_[at];
    }
    if (answer == truth) {
      right_.push_back(std::move(prediction));
      return;
    }
    mistakes_.insert(std::upper_bound(mistakes_.begin(), mistakes_.end(), prediction, more_certain), prediction);
    if (mistakes_.size() > shown_mistakes) mistakes_.pop_back();
  }

  const AnswerKind kind_;
  const size_t classes_;
  ClassAnswers found_;
  std::vector<Prediction> mistakes_, right_;   // the most certain ones; the first ones
  Sample<ScoredExample> scored_{ranked_examples};
  std::vector<float> probabilities_;
};

}  // namespace

std::unique_ptr<AnswerCollector> collect_classes(const AnswerKind& kind) {
  return std::make_unique<ClassCollector>(kind);
}

}  // namespace bnc
