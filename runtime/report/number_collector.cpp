// Answers that are numbers: how far they are from the true ones, and where most.
#include <algorithm>
#include <cmath>

#include "runtime/error_sums.h"
#include "runtime/report/collectors.h"
#include "runtime/report/sample.h"

namespace bnc {

namespace {

constexpr size_t most_number_columns = 12, sampled_numbers = size_t{1} << 17, plotted_numbers = 2000, least_plotted = 300, shown_worst = 10;

struct NumberPair {
  float truth = 0, prediction = 0;
};

class ColumnCollector {
 public:
  void add(float truth, float prediction) {
    const double residual = static_cast<double>(prediction) - truth;
    if (!std::isfinite(static_cast<float>(residual))) {
      ++not_finite_;
      return;
    }
    ++count_;
    errors_.add(truth, prediction);
    sample_.add({truth, prediction});
  }

  void add_worst(const WorstExample& example) {
    const auto larger = [](const WorstExample& a, const WorstExample& b) { return a.error > b.error; };
    if (!std::isfinite(example.error) || (worst_.size() == shown_worst && !larger(example, worst_.back()))) return;
    worst_.insert(std::upper_bound(worst_.begin(), worst_.end(), example, larger), example);
    if (worst_.size() > shown_worst) worst_.pop_back();
  }

  NumberAnswers answers(const std::string& name, size_t plotted) const {
    NumberAnswers found{name, count_ + not_finite_, not_finite_, errors_.mean_absolute_error(), errors_.root_mean_squared_error(),
                        errors_.r_squared(), {}, {}, worst_};
    Sample<NumberPair> points(plotted);
    std::vector<float> residuals;
    for (const NumberPair& pair : sample_.values()) {
      points.add(pair);
      residuals.push_back(pair.prediction - pair.truth);
    }
    for (const NumberPair& pair : points.values()) found.points.emplace_back(pair.truth, pair.prediction);
    found.residuals = histogram_of(residuals);
    return found;
  }

 private:
  int64_t count_ = 0, not_finite_ = 0;
  ErrorSums errors_;
  Sample<NumberPair> sample_{sampled_numbers};
  std::vector<WorstExample> worst_;
};

class NumberCollector : public AnswerCollector {
 public:
  explicit NumberCollector(AnswerKind kind)
      : kind_(std::move(kind)), width_(static_cast<size_t>(kind_.width)), columns_(together() ? 1 : width_) {}

  void add(int64_t first, int64_t count, std::span<const float> predictions, const Truths& truths) override {
    const auto rows = static_cast<size_t>(count);
    if (truths.numbers.size() != rows * width_ || predictions.size() != rows * width_) return;
    for (size_t k = 0; k < rows; ++k) {
      double square = 0;
      for (size_t column = 0; column < width_; ++column) {
        const float truth = truths.numbers[k * width_ + column], prediction = kind_.number_of(predictions[k * width_ + column]);
        const double residual = static_cast<double>(prediction) - truth;
        columns_[together() ? 0 : column].add(truth, prediction);
        if (!together()) columns_[column].add_worst({first + static_cast<int64_t>(k), truth, prediction, std::abs(residual), ""});
        square += residual * residual;
      }
      const double error = std::sqrt(square / static_cast<double>(width_));
      if (together()) columns_[0].add_worst({first + static_cast<int64_t>(k), std::nan(""), std::nan(""), error, ""});
    }
  }

  OutputAnswers answers(const Dataset& data) const override {
    OutputAnswers found{kind_.output, kind_.target, {}, {}};
    for (size_t column = 0; column < columns_.size(); ++column) {
      found.numbers.push_back(columns_[column].answers(name(column), std::max(least_plotted, plotted_numbers / columns_.size())));
      for (WorstExample& each : found.numbers.back().worst) each.image = image_of(data, each.example);
    }
    return found;
  }

 private:
  bool together() const { return width_ > most_number_columns; }

  std::string name(size_t column) const {
    if (together()) return fmt::format("all {} numbers of {}", width_, kind_.output);
    if (!kind_.names.empty()) return kind_.names[column];
    return width_ == 1 ? kind_.output : fmt::format("{}[{}]", kind_.output, column);
  }

  const AnswerKind kind_;
  const size_t width_;
  std::vector<ColumnCollector> columns_;
};

}  // namespace

std::unique_ptr<AnswerCollector> collect_numbers(const AnswerKind& kind) {
  return std::make_unique<NumberCollector>(kind);
}

}  // namespace bnc
