// Metrics of predictions, against their definitions.
#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "frontend/frontend.h"
#include "ir/print.h"
#include "runtime/metric_sums.h"

namespace bnc::test {

namespace {

double value_of(const char* name, const Answers& answers, int64_t k = 5) {
  MetricSums sums(*find_metric(name), k);
  sums.add(answers);
  return sums.value();
}

}  // namespace

TEST_CASE("metrics of classes count what they say, in any number of batches") {
  // Rows of 3 scores: predicted 0, 1, 1, 2, 0, and one that is not finite.
  const std::vector<float> scores = {9, 1, 2, 0, 5, 4, 1, 3, 2, 1, 2, 3, 7, 6, 5, NAN, 0, 1};
  const std::vector<int32_t> labels = {0, 1, 2, 2, 1, 0};
  const Answers all{.predictions = scores, .width = 3, .labels = labels};
  CHECK(value_of("accuracy", all) == doctest::Approx(3.0 / 6));
  CHECK(value_of("top_accuracy", all, 1) == doctest::Approx(3.0 / 6));
  CHECK(value_of("top_accuracy", all, 2) == doctest::Approx(5.0 / 6));
  // right 1, 1, 1; predicted 2, 2, 1; labelled 2, 2, 2
  CHECK(value_of("precision", all) == doctest::Approx((0.5 + 0.5 + 1) / 3));
  CHECK(value_of("recall", all) == doctest::Approx(0.5));
  CHECK(value_of("f1_score", all) == doctest::Approx((2.0 / 4 + 2.0 / 4 + 2.0 / 3) / 3));
  CHECK(value_of("intersection_over_union", all) == doctest::Approx((1.0 / 3 + 1.0 / 3 + 1.0 / 2) / 3));
  MetricSums parts(*find_metric("f1_score"), 5);
  for (size_t row = 0; row < labels.size(); ++row)
    parts.add({.predictions = std::span(scores).subspan(3 * row, 3), .width = 3, .labels = std::span(labels).subspan(row, 1)});
  CHECK(parts.value() == value_of("f1_score", all));
  const std::vector<int64_t> one = {1};
  const Answers ignoring{.predictions = scores, .width = 3, .labels = labels, .ignore = one};
  CHECK(value_of("accuracy", ignoring) == doctest::Approx(2.0 / 4));
}

TEST_CASE("a single number tells two classes apart at its threshold") {
  const std::vector<float> numbers = {0.2f, -1, 3, 0.7f};
  const std::vector<int32_t> labels = {1, 0, 1, 0};
  CHECK(value_of("accuracy", {.predictions = numbers, .threshold = 0, .labels = labels}) == doctest::Approx(0.75));
  CHECK(value_of("accuracy", {.predictions = numbers, .labels = labels}) == doctest::Approx(0.5));
}

TEST_CASE("metrics of numbers") {
  const std::vector<float> predictions = {1, 2, 4, 8}, targets = {1, 4, 4, 7};
  const Answers answers{.predictions = predictions, .numbers = targets};
  CHECK(value_of("root_mean_squared_error", answers) == doctest::Approx(std::sqrt(5.0 / 4)));
  CHECK(value_of("r_squared", answers) == doctest::Approx(1 - 5.0 / 18));
  CHECK(std::isnan(value_of("r_squared", {.predictions = std::span(predictions).first(1), .numbers = std::span(targets).first(1)})));
  CHECK(std::isnan(value_of("accuracy", answers)));
}

TEST_CASE("an expression of a train section prints as it reads") {
  for (const char* loss : {"softmax_cross_entropy(labels)", "softmax_cross_entropy(kind, reduction=sum)", "mean_squared_error(z, t)",
                           "softmax_cross_entropy(labels) + 0.5 * mean_squared_error(z, t) - last.bias / 2 * (3 - z / 7)",
                           "z - (softmax_cross_entropy(labels) - z)", "reduce_mean((z - t) * (z - t), axes=[0, 1])"}) {
    std::string text = loss;
    const bool number = text.find("z - ") == std::string::npos && text.find("bias") == std::string::npos;
    if (!number) text = "reduce_sum(" + text + ")";
    const std::string source =
        "network net(x: f32[N, 3]) {\n  return y = dense(x, 4), z = dense(x, 1, name=last)\n}\n\ntrain net {\n  loss = " + text +
        "\n  optimizer = sgd(rate=0.1)\n}\n";
    const Module module = parse_module(make_source(source, "m.bn"));
    CHECK(to_string(module.train->loss) == text);
    const Module again = parse_module(make_source(print(module), "again.bn"));
    CHECK(again.train->loss == module.train->loss);
  }
}

}  // namespace bnc::test
