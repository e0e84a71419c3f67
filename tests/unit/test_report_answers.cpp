// What the report says of a network's answers.
#include <algorithm>
#include <cmath>

#include "runtime/dataset.h"
#include "runtime/png.h"
#include "runtime/report/class_quality.h"
#include "runtime/report/predictions.h"
#include "runtime/report/ranking.h"
#include "runtime/report/report.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

TEST_CASE("images of floats: those in [0, 1] as they are, others from their least to their largest value") {
  const TemporaryFolder folder;
  const auto picture_of = [&](const std::vector<float>& values) {
    save_npz(folder.path("d.npz"), {{"x", Array({1, 2, 2, 1}, values)}, {"y", Array({1}, std::vector<int32_t>{1})}});
    const Dataset data = Dataset::open(folder.path("d.npz"), "test");
    return image_of(data, 0);
  };
  const auto png = [](const std::vector<uint8_t>& pixels) { return "data:image/png;base64," + encode_base64(encode_png(2, 2, 1, pixels)); };
  CHECK(picture_of({0, 0.2f, 0.6f, 0.8f}) == png({0, 51, 153, 204}));
  CHECK(picture_of({-1, 0, 1, 4}) == png({0, 51, 102, 255}));
}

TEST_CASE("predictions: mistakes by certainty, then right answers; images only of pixels") {
  const TemporaryFolder folder;
  save_npz(folder.path("d.npz"), {{"x", Array({4, 2}, std::vector<float>(8, 0.5f))}, {"y", Array({4}, std::vector<int32_t>{0, 1, 2, 1})}});
  const Dataset data = Dataset::open(folder.path("d.npz"), "test");
  const auto collector = collector_of({"y", "labels", true, AnswerKind::Scores::logits, 3});
  const std::vector<float> scores = {5, 0, 0, /**/ 1, 0, 0, /**/ 9, 0, 0, /**/ 0, 3, 0};
  collector->add(0, 4, scores, {data.data().labels, {}});
  const ClassAnswers found = *collector->answers(data).classes;
  REQUIRE(found.predictions.size() == 4);
  CHECK(found.count == 4);
  CHECK(found.mistakes == 2);
  CHECK(found.predictions[0].example == 2);
  CHECK(found.predictions[1].example == 1);
  CHECK(found.predictions[1].probability == doctest::Approx(std::exp(1.0) / (std::exp(1.0) + 2)));
  CHECK(found.predictions[1].truth_probability == doctest::Approx(1 / (std::exp(1.0) + 2)));
  CHECK(found.predictions[2].example == 0);
  CHECK(found.predictions[0].image.empty());
  CHECK(found.confusion == Confusion{{{0, 0}, 1}, {{1, 0}, 1}, {{1, 1}, 1}, {{2, 0}, 1}});
  CHECK_FALSE(found.ranking);
}

TEST_CASE("predictions of pixels are counted, without those that are no class; what is not finite counts as wrong") {
  const TemporaryFolder folder;
  save_npz(folder.path("d.npz"), {{"x", Array({2, 2}, std::vector<float>(4, 0.5f))}, {"y", Array({2}, std::vector<int32_t>{0, 1})}});
  const Dataset data = Dataset::open(folder.path("d.npz"), "test");
  const auto collector = collector_of({"y", "mask", true, AnswerKind::Scores::logits, 2, {}, {"ground", "sky"}});
  const std::vector<int32_t> mask = {0, 1, 255, 1};
  const std::vector<float> scores = {2, 1, /**/ 2, 1, /**/ 0, 1, /**/ NAN, 1};
  collector->add(0, 2, scores, {mask, {}});
  const ClassAnswers found = *collector->answers(data).classes;
  CHECK(found.count == 3);
  CHECK(found.mistakes == 2);
  CHECK(found.predictions.empty());
  CHECK(found.confusion == Confusion{{{0, 0}, 1}, {{1, 0}, 1}});
  CHECK(found.unanswered == std::vector<int64_t>{0, 1});
  CHECK(found.names[1] == "sky");
}

TEST_CASE("labels that the loss ignores count for nothing, also where they are classes") {
  const TemporaryFolder folder;
  save_npz(folder.path("d.npz"), {{"x", Array({3, 2}, std::vector<float>(6, 0.5f))}, {"y", Array({3}, std::vector<int32_t>{0, 1, 2})}});
  const Dataset data = Dataset::open(folder.path("d.npz"), "test");
  const auto collector = collector_of({"y", "labels", true, AnswerKind::Scores::logits, 3, {1}});
  collector->add(0, 3, std::vector<float>{1, 0, 0, /**/ 1, 0, 0, /**/ 0, 0, 1}, {data.data().labels, {}});
  const ClassAnswers found = *collector->answers(data).classes;
  CHECK(found.count == 2);
  CHECK(found.mistakes == 0);
}

TEST_CASE("one score for two classes: curves and area are those of its order, equal scores in one step") {
  // Scores 0.9+ 0.8- 0.6+ 0.6- 0.3+ 0.1-: of the 9 pairs 5 are in order, and one is equal.
  const std::vector<ScoredExample> examples = {{-9, 0.1f, false}, {-2, 0.3f, true}, {1, 0.6f, true},
                                               {1, 0.6f, false},  {3, 0.8f, false}, {7, 0.9f, true}};
  const Ranking ranking = ranking_of(examples);
  CHECK(ranking.auc == doctest::Approx(5.5 / 9));
  CHECK(ranking.roc == Points{{0, 0}, {0, 1.0 / 3}, {1.0 / 3, 1.0 / 3}, {2.0 / 3, 2.0 / 3}, {2.0 / 3, 1}, {1, 1}});
  REQUIRE(ranking.recall.size() == 101);
  CHECK(ranking.recall.front() == std::pair(0.0, 1.0));
  CHECK(ranking.precision.front() == std::pair(0.0, 0.5));
  CHECK(ranking.recall[50].second == doctest::Approx(2.0 / 3));
  CHECK(ranking.precision[50].second == 0.5);
  CHECK(ranking.recall.back() == std::pair(1.0, 0.0));
  CHECK(ranking.precision.size() == 90);   // from 0.9 on nothing is above
  CHECK(ranking.examples == 6);
  // Probabilities that are rounded to 1 are in order all the same.
  CHECK(ranking_of({{18, 1, false}, {20, 1, true}}).auc == 1);
  CHECK(std::isnan(ranking_of({{0, 0.5f, true}}).auc));
}

TEST_CASE("the answers of a network with one logit: at 0.5, in two classes") {
  const TemporaryFolder folder;
  save_npz(folder.path("d.npz"), {{"x", Array({3, 2}, std::vector<float>(6, 0.5f))}, {"y", Array({3}, std::vector<int32_t>{0, 1, 1})}});
  const Dataset data = Dataset::open(folder.path("d.npz"), "test");
  const auto collector = collector_of({"y", "labels", true, AnswerKind::Scores::logit, 1, {}, {"no", "yes"}});
  collector->add(0, 3, std::vector<float>{-1, 2, -0.5f}, {data.data().labels, {}});
  const ClassAnswers found = *collector->answers(data).classes;
  CHECK(found.confusion == Confusion{{{0, 0}, 1}, {{1, 0}, 1}, {{1, 1}, 1}});
  CHECK(found.ranking->auc == 1);
  CHECK(found.predictions[0].example == 2);
  CHECK(found.predictions[0].probability == doctest::Approx(1 / (1 + std::exp(-0.5))));
}

TEST_CASE("precision, recall and F1 of classes, and their means") {
  ClassAnswers answers{.classes = 4};   // the last one does not occur
  answers.confusion = {{{0, 0}, 3}, {{0, 1}, 1}, {{1, 0}, 2}, {{1, 1}, 4}};
  answers.unanswered = {1, 0, 2, 0};
  const std::vector<ClassQuality> classes = qualities_of(answers);
  CHECK(classes[0].precision == doctest::Approx(3.0 / 5));
  CHECK(classes[0].recall == doctest::Approx(3.0 / 5));
  CHECK(classes[1].precision == doctest::Approx(4.0 / 5));
  CHECK(classes[1].f1 == doctest::Approx(8.0 / 11));
  CHECK(classes[0].examples == 5);
  CHECK(std::isnan(classes[2].precision));
  CHECK(classes[2].recall == 0);
  CHECK(mean_quality(classes, false).precision == doctest::Approx((0.6 + 0.8) / 3));
  CHECK(mean_quality(classes, true).recall == doctest::Approx((5 * 0.6 + 6 * 4.0 / 6) / 13));
  CHECK(mean_quality(classes, true).examples == 13);
}

TEST_CASE("predicted numbers: errors of all, points and bars of some, the worst examples first") {
  const TemporaryFolder folder;
  save_npz(folder.path("d.npz"), {{"x", Array({4, 2}, std::vector<float>(8, 0.5f))}, {"y", Array({4}, std::vector<float>{1, 2, 3, 4})}});
  const Dataset data = Dataset::open(folder.path("d.npz"), "test");
  const auto collector = collector_of({"y", "target", false, AnswerKind::Scores::number, 1, {}, {"price"}});
  collector->add(0, 4, std::vector<float>{1, 2.5f, 1, NAN}, {{}, data.data().targets});
  const OutputAnswers answers = collector->answers(data);
  REQUIRE(answers.numbers.size() == 1);
  const NumberAnswers& found = answers.numbers[0];
  CHECK(found.name == "price");
  CHECK(found.count == 4);
  CHECK(found.not_finite == 1);
  CHECK(found.mean_absolute_error == doctest::Approx(2.5 / 3));
  CHECK(found.root_mean_square_error == doctest::Approx(std::sqrt(4.25 / 3)));
  CHECK(found.r_squared == doctest::Approx(1 - 4.25 / 2));
  CHECK(found.points == Points{{1, 1}, {2, 2.5}, {3, 1}});
  CHECK(found.worst[0].example == 2);
  CHECK(found.worst[0].truth == 3);
  RunRecord run;
  run.answers = {answers};
  write_record(folder.path(), run);
  folder.write("history.csv", to_csv(History{{10, 1, 2, NAN, false}}));
  const RunRecord again = read_record(folder.path());
  CHECK(again.answers[0].numbers[0].points == found.points);
  const std::string page = render_report(again);
  for (const char* part : {"Predicted against true", "Residuals against predicted", "MAE", "1 of 4 predictions are not finite",
                           "the worst examples",
                           "<path class=\"points c0\"", "test R\u00b2<b>-1.125</b>"})
    CHECK_MESSAGE(contains(page, part), part);
}

TEST_CASE("very many numbers of an example are shown together, and of many points some, evenly") {
  const TemporaryFolder folder;
  save_npz(folder.path("d.npz"), {{"x", Array({1, 2}, std::vector<float>(2, 0.5f))}, {"y", Array({1}, std::vector<float>{1})}});
  const Dataset data = Dataset::open(folder.path("d.npz"), "test");
  constexpr int64_t width = 784, count = 20;
  const auto collector = collector_of({"picture", "x", false, AnswerKind::Scores::number, width});
  std::vector<float> truths(count * width), predictions;
  for (size_t k = 0; k < truths.size(); ++k) truths[k] = static_cast<float>(k % width);
  for (const float truth : truths) predictions.push_back(truth + 1);
  collector->add(0, count, predictions, {{}, truths});
  const OutputAnswers answers = collector->answers(data);
  REQUIRE(answers.numbers.size() == 1);
  const NumberAnswers& found = answers.numbers[0];
  CHECK(found.name == "all 784 numbers of picture");
  CHECK(found.count == count * width);
  CHECK(found.root_mean_square_error == 1);
  CHECK(found.worst[0].error == 1);
  CHECK(found.points.size() <= 2000);
  CHECK(found.points.size() > 900);
  std::vector<bool> seen(width);
  for (const auto& [truth, prediction] : found.points) seen[static_cast<size_t>(truth)] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) > width / 2);   // not every k-th number of each example
  CHECK(collector->answers(data).numbers[0].points == found.points);
}
