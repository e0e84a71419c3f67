// What an evaluation makes of a batch that has been run: loss, right answers and metrics, in float64.
#include <algorithm>
#include <cmath>

#include "ir/evaluate.h"
#include "ir/op.h"
#include "runtime/error.h"
#include "runtime/finite.h"
#include "runtime/objective.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// The first rows of a batch as a tensor of that type.
template <class T>
Tensor rows_of(const TensorType& type, std::span<const T> values, int64_t count) {
  Tensor tensor{type.dtype, concrete(type.shape, count), {}};
  tensor.data.assign(values.begin(), values.begin() + tensor.size());
  return tensor;
}

}  // namespace

Objective::Numbers Objective::numbers_of(const std::string& input, const Batch& batch, TargetKind kind) const {
  if (input == this->input()) return {batch.x, {}, true};
  if (input == target_) {
    if (kind == TargetKind::labels) return {{}, batch.labels, true};
    return {batch.float_targets, {}, true};
  }
  size_t further = 0;
  for (size_t k = 1; k < inputs_.size(); ++k, ++further)
    if (inputs_[k].name() == input) return {batch.others[further].floats, {}, true};
  for (size_t k = 1; k < fields_.size(); ++k, ++further)
    if (fields_[k].name == input) return {batch.others[further].floats, batch.others[further].integers, true};
  return {};
}

std::vector<Objective::Binding> Objective::bindings(const Batch& batch, TargetKind kind) const {
  std::vector<Binding> all = {{input(), batch.x.data()}};
  if (has_targets()) all.push_back({target_, batch.target(kind)});
  size_t further = 0;
  for (size_t k = 1; k < inputs_.size(); ++k) all.push_back({inputs_[k].name(), batch.others[further++].data()});
  for (size_t k = 1; k < fields_.size() && further < batch.others.size(); ++k)
    all.push_back({fields_[k].name, batch.others[further++].data()});
  return all;
}

double Objective::value_of(const Graph& formula, const Run& run, const Batch& batch, TargetKind kind, int64_t count) const {
  Bindings values;
  for (const Node* node : formula.nodes_of("input")) {
    const auto& [type, name] = node->results[0];
    if (step_.output(Output::Role::output, name)) {
      values[name] = rows_of(type, run.output(name), count);
    } else if (const Numbers numbers = numbers_of(name, batch, kind); numbers.found) {
      values[name] = numbers.integers.empty() ? rows_of(type, numbers.floats, count) : rows_of(type, numbers.integers, count);
    } else {
      const Weight* weight = run.weights ? run.weights->data().weights.find(name) : nullptr;
      BNC_CHECK(weight, "an evaluation knows all weights, not " + name);
      values[name] = rows_of(type, weight->data, count);
    }
  }
  const double value = evaluate(formula, values).outputs.at("value").data[0];
  return std::isnan(value) ? std::nan("") : value;   // without a sign
}

// A single number tells two classes apart where it is a logit by its sign, else at a half.
double Objective::threshold_of(const std::string& prediction, const std::string& target) const {
  for (const auto& node : step_.nodes()) {
    const bool signs = node->is("binary_cross_entropy_with_logits") || node->is("hinge");
    if (signs && node->operands[1].name() == target && node->operands[0] == value_of_name(step_, Formula(Formula::Kind::name, prediction)))
      return 0;
  }
  return 0.5;
}

Answers Objective::answers_of(const Metric& metric, const Run& run, const Batch& batch, TargetKind kind, int64_t count) const {
  const std::string output = name_in(step_, metric.formula.operands[0]), target = metric.formula.operands[1].name;
  const TensorType& type = step_.output(Output::Role::output, output)->value.type();
  Answers answers;
  answers.width = metric.definition()->of_classes && type.rank() > 1 ? type.shape.back().factor : 1;
  answers.predictions = run.output(output).first(static_cast<size_t>(count * element_count(type.shape)->factor));
  answers.threshold = threshold_of(output, target);
  const Numbers numbers = numbers_of(target, batch, kind);
  const bool labels = target == target_ && !batch.labels.empty();   // also where the loss takes them as floats
  const auto field = std::find_if(fields_.begin(), fields_.end(), [&](const Field& each) { return each.name == target; });
  const size_t width = field == fields_.end() ? 1 : static_cast<size_t>(kind == TargetKind::one_hot && labels ? 1 : field->rule.width);
  if (field != fields_.end()) answers.ignore = field->rule.ignore;
  if (labels) answers.labels = std::span(batch.labels).first(static_cast<size_t>(count) * width);
  else if (!numbers.integers.empty()) answers.labels = numbers.integers.first(static_cast<size_t>(count) * width);
  else answers.numbers = numbers.floats.first(std::min(numbers.floats.size(), answers.predictions.size()));
  return answers;
}

bool Objective::sums_over_batch(const Graph& formula) {
  const Node& value = *formula.outputs.front().value.node;
  return value.op->target_type && value.attribute("reduction").symbol().name == "sum";
}

Objective::Score Objective::no_score() const {
  Score score;
  for (const Metric& metric : section_.metrics) {
    const MetricDefinition* definition = metric.definition();
    if (!definition) continue;
    const auto k = metric.formula.attributes.find("k");
    score.sums.emplace_back(*definition, k == metric.formula.attributes.end() ? 5 : k->second.integer());
  }
  score.formulas.resize(formulas_.size());
  return score;
}

void Objective::add_score(Score& score, const Run& run, const Batch& batch, TargetKind kind, int64_t count) const {
  const double loss = value_of(formula_, run, batch, kind, count);
  score.loss += averaged_ ? loss * static_cast<double>(count) : loss;
  const std::span<const float> predictions = run.output(prediction_);
  score.right += right_answers(predictions, batch, kind, count);
  const auto width = static_cast<size_t>(prediction_width_);
  for (size_t k = 0; k < static_cast<size_t>(count); ++k) score.not_finite += !all_finite(predictions.subspan(k * width, width));
  size_t sums = 0, formulas = 0;
  for (const Metric& metric : section_.metrics) {
    if (metric.definition()) {
      score.sums[sums++].add(answers_of(metric, run, batch, kind, count));
    } else {
      const Graph& formula = formulas_[formulas];
      const double value = value_of(formula, run, batch, kind, count);
      score.formulas[formulas++] += sums_over_batch(formula) ? value : value * static_cast<double>(count);
    }
  }
}

EvaluationResult Objective::result(const Score& score, int64_t count) const {
  const auto examples = static_cast<double>(count);
  EvaluationResult result{score.loss / examples, score.right / examples, count, score.not_finite, {}};
  size_t sums = 0, formulas = 0;
  for (const Metric& metric : section_.metrics) {
    const double value = metric.definition() ? score.sums[sums++].value() : score.formulas[formulas++] / examples;
    const std::vector<Formula>& of = metric.formula.operands;
    const bool is_usual = metric.name == "accuracy" && name_in(step_, of[0]) == prediction_ && of[1].name == target_;   // is there anyway
    if (!is_usual) result.metrics.emplace_back(metric.name, value);
  }
  return result;
}

double Objective::right_answers(std::span<const float> predictions, const Batch& batch, TargetKind kind, int64_t count) const {
  if (kind == TargetKind::floats || !has_targets() || comparison().loss.empty()) return std::nan("");
  const size_t rows = static_cast<size_t>(kind == TargetKind::labels ? count * targets().width : count);
  Answers answers;
  answers.width = kind == TargetKind::number ? 1 : row_width_;
  answers.predictions = predictions;
  answers.threshold = threshold_;
  answers.labels = std::span(batch.labels).first(rows);
  answers.ignore = targets().ignore;
  double right = 0, counted = 0;
  for (size_t k = 0; k < rows; ++k) {
    if (!answers.counts(k)) continue;
    ++counted;
    right += answers.answer(k) == answers.labels[k];
  }
  return counted > 0 ? right / counted * static_cast<double>(count) : 0;
}

}  // namespace bnc
