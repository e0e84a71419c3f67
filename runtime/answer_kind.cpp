#include "runtime/answer_kind.h"

#include <algorithm>
#include <cmath>

namespace bnc {

namespace {

void add_softmax(std::span<const float> row, std::vector<float>& to) {
  const float most = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(static_cast<double>(x) - most);
  for (const float x : row) to.push_back(static_cast<float>(std::exp(static_cast<double>(x) - most) / sum));
}

// Of two classes, of which the second one has this probability.
void add_pair(float second, std::vector<float>& to) { to.insert(to.end(), {1 - second, second}); }

}  // namespace

float AnswerKind::number_of(float raw) const {
  return scores == Scores::logit ? static_cast<float>(1 / (1 + std::exp(-static_cast<double>(raw)))) : raw;
}

void AnswerKind::add_probabilities(std::span<const float> row, std::vector<float>& to) const {
  switch (scores) {
    case Scores::logits: return add_softmax(row, to);
    case Scores::probabilities: to.insert(to.end(), row.begin(), row.end()); return;
    case Scores::logit:
    case Scores::number: return add_pair(number_of(row[0]), to);
  }
}

AnswerKind answer_kind(const Objective& objective, const ModelMetadata& model) {
  using Scores = AnswerKind::Scores;
  AnswerKind kind{.output = objective.prediction(), .target = objective.target()};
  if (!objective.has_targets()) return kind;   // numbers
  const TargetRule& rule = objective.targets();
  kind.scores = rule.shares ? Scores::logit : Scores::number;
  kind.width = rule.width;
  const bool trained_on_classes = model.targets == TargetMeaning::classes;
  if (rule.class_numbers || (rule.width > 1 && rule.width == rule.classes && trained_on_classes)) {
    kind.classes = rule.classes * rule.width > 1 && (rule.width == 1 || !rule.class_numbers);   // one class an example
    kind.scores = objective.loss() == "softmax_cross_entropy" ? Scores::logits : Scores::probabilities;
    kind.width = rule.classes;
  } else if (rule.width == 1 && (rule.shares ? model.targets != TargetMeaning::numbers : trained_on_classes)) {
    kind.classes = true;
  }
  return kind;
}

}  // namespace bnc
