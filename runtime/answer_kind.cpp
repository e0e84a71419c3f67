#include "runtime/answer_kind.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "runtime/table.h"

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

// Of classes, by the loss that was taken of them; a softmax of logarithms gives the probabilities back.
AnswerKind::Scores scores_of(const Objective::Comparison& comparison) {
  const std::string& loss = comparison.loss;
  if (comparison.of_logarithm) return AnswerKind::Scores::probabilities;
  if (loss == "binary_cross_entropy_with_logits") return AnswerKind::Scores::logit;   // each class by itself
  for (const char* each : {"softmax_cross_entropy", "softmax_cross_entropy_with_probabilities", "kl_divergence", "multi_class_hinge"})
    if (loss == each) return AnswerKind::Scores::logits;
  return AnswerKind::Scores::probabilities;
}

// What metadata know of a target.
struct KnownTarget {
  std::optional<TargetMeaning> meaning;
  std::vector<std::string> classes;   // their names
  std::vector<std::string> columns;   // of a table
};

KnownTarget known_target(const ModelMetadata& model, size_t place, int64_t width) {
  const TableEncoding* table = model.table ? &*model.table : nullptr;
  KnownTarget known;
  if (place == 0) {
    known.meaning = model.targets;
    known.classes = model.classes;
    if (table && !table->target.empty()) known.columns.push_back(table->target);
    for (size_t k = 0; table && width > 1 && k < table->more_targets.size(); ++k) known.columns.push_back(table->more_targets[k].name);
  } else if (table && place <= table->more_targets.size()) {
    const TargetColumn& column = table->more_targets[place - 1];
    known.meaning = column.classes.empty() ? TargetMeaning::numbers : TargetMeaning::classes;
    known.classes = column.classes;
    if (!column.name.empty()) known.columns.push_back(column.name);
  }
  return known;
}

}  // namespace

float AnswerKind::number_of(float raw) const {
  return scores == Scores::logit ? static_cast<float>(1 / (1 + std::exp(-static_cast<double>(raw)))) : raw;
}

void AnswerKind::add_probabilities(std::span<const float> row, std::vector<float>& to) const {
  if (scores == Scores::logits) return add_softmax(row, to);
  if (of_pair()) return add_pair(std::clamp(number_of(row[0]), 0.0f, 1.0f), to);
  for (const float x : row) to.push_back(number_of(x));
}

AnswerKind answer_kind(const Objective& objective, const Objective::Comparison& comparison, const ModelMetadata& model) {
  using Scores = AnswerKind::Scores;
  AnswerKind kind{.output = comparison.output, .target = comparison.target};
  const bool sigmoid = comparison.loss == "binary_cross_entropy_with_logits";
  kind.scores = sigmoid ? Scores::logit : Scores::number;
  kind.width = objective.width_of(comparison.output);
  const TargetRule* rule = objective.rule_of(comparison.target);
  if (!rule) return kind;   // held against an input
  const size_t place = objective.place_of(comparison.target);
  const KnownTarget known = known_target(model, place, rule->width);
  const bool trained_on_classes = known.meaning == TargetMeaning::classes;
  const bool may_be_classes = sigmoid && place == 0 && known.meaning != TargetMeaning::numbers;
  const bool one_hot = !rule->class_numbers && rule->width > 1 && rule->width == rule->classes && trained_on_classes;
  const int64_t scores = rule->class_numbers ? rule->width * rule->classes : rule->width;   // that answer the target
  if (kind.width == scores && (rule->class_numbers || one_hot)) {
    kind.classes = rule->classes > 1;
    kind.scores = scores_of(comparison);
    kind.width = rule->classes;
    kind.ignore = rule->ignore;
  } else if (kind.width == scores && rule->width == 1 && (trained_on_classes || may_be_classes)) {
    kind.classes = true;
    if (comparison.loss == "hinge") kind.scores = Scores::logit;   // it decides at 0
  }   // else the loss is of numbers, or of something that is computed from this output
  kind.names = kind.classes ? known.classes : known.columns;
  if (static_cast<int64_t>(kind.names.size()) != (kind.classes ? kind.class_count() : kind.width)) kind.names.clear();
  return kind;
}

}  // namespace bnc
