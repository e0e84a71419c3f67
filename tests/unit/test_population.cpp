// Statistics estimated again over a whole data set (bn-restat), and what lint finds in weights (bn-lint).
#include <cmath>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "ir/random.h"
#include "runtime/population.h"
#include "runtime/shuffle.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

constexpr const char* population_training =
    "train net {\n  loss = softmax_cross_entropy(labels)\n  optimizer = sgd(rate=0.1)\n  batch = 8\n}\n";

Network network_of(const std::string& body) {
  return Network::from_text("network net(x: f32[N, 5]) {\n" + body + "\n}\n" + population_training, "net.bn");
}

// Sorted by label, and each label's points elsewhere, so that batches in order would be unlike one another.
struct SamplePoints {
  std::vector<float> x;
  std::vector<int32_t> y;
  std::string path;
};

SamplePoints write_points(const TemporaryFolder& folder, int64_t count, double offset = 0) {
  SamplePoints points;
  RandomStream random(3, "points");
  for (int64_t k = 0; k < count; ++k) {
    points.y.push_back(static_cast<int32_t>(k * 3 / count));
    for (int i = 0; i < 5; ++i) points.x.push_back(static_cast<float>(offset + points.y.back() + (i + 1) * random.normal()));
  }
  points.path = folder.path("points.npz");
  save_npz(points.path, {{"x", Array({count, 5}, points.x)}, {"y", Array({count}, points.y)}});
  return points;
}

// Mean and sum of squared differences of column `k`, in float64.
std::pair<double, double> moments_of(const SamplePoints& points, size_t k) {
  const auto count = static_cast<double>(points.y.size());
  double mean = 0, squares = 0;
  for (size_t row = 0; row < points.y.size(); ++row) mean += points.x[row * 5 + k] / count;
  for (size_t row = 0; row < points.y.size(); ++row) squares += std::pow(points.x[row * 5 + k] - mean, 2);
  return {mean, squares};
}

std::vector<LintFinding> findings(const Network& network, const WeightStore& weights, const std::string& data = "") {
  return lint(network, weights, {.data = data});
}

std::string kinds(const std::vector<LintFinding>& found) {
  std::string text;
  for (const LintFinding& finding : found) text += fmt::format("{}({}) {}/{}; ", finding.kind, finding.tensor, finding.count, finding.of);
  return text;
}

}  // namespace

TEST_CASE("bn-restat: the first batch norm gets the moments of all examples, biased or not, also far from 0") {
  const TemporaryFolder folder;
  for (const double offset : {0.0, 1e4}) {
    const SamplePoints points = write_points(folder, 53, offset);  // 7 batches of 7 or 8
    for (const bool unbiased : {false, true}) {
      const Network network = network_of(fmt::format("return dense(batch_norm(x, unbiased={}), 3)", unbiased));
      const WeightStore weights = network.initialize(1), found = restat(network, weights, {.data = points.path});
      for (size_t k = 0; k < 5; ++k) {
        const auto [mean, squares] = moments_of(points, k);
        CHECK(found.values("batch_norm_1.mean")[k] == doctest::Approx(mean).epsilon(1e-6));
        CHECK(found.values("batch_norm_1.variance")[k] == doctest::Approx(squares / (unbiased ? 52 : 53)).epsilon(1e-5));
      }
      CHECK(found.names() == weights.names());
      for (const char* fixed : {"dense_1.weight", "batch_norm_1.gamma"})
        CHECK(std::ranges::equal(found.values(fixed), weights.values(fixed)));
    }
  }
}

TEST_CASE("bn-restat: layers behind others see batches normalized with their own statistics") {
  const TemporaryFolder folder;
  const SamplePoints points = write_points(folder, 30);
  const Network network = network_of(
      "h = sigmoid(batch_norm(dense(x, 7), unbiased=false))\n  y, m, v = batch_norm(dense(dropout(h), 3), unbiased=false)\n  return y, m, "
      "v");
  const WeightStore weights = network.initialize(5), found = restat(network, weights, {.data = points.path, .batch = 30});
  const NamedArrays reference = network.evaluate_reference({.batch = 30, .batch_statistics = true}, weights,
                                                           {{"x", Array({30, 5}, points.x)}});
  for (const auto& [result, stored] : {std::pair(1, "batch_norm_2.mean"), std::pair(2, "batch_norm_2.variance")}) {
    for (size_t k = 0; k < 3; ++k)
      CHECK(found.values(stored)[k] == doctest::Approx(reference[static_cast<size_t>(result)].second.floats()[k]).epsilon(1e-5));
  }
  // All data in one batch: stored statistics are then the batch's own.
  EvaluateOptions population{.data = points.path, .batch = 30}, batch = population;
  batch.batch_statistics = true;
  CHECK(evaluate(network, found, population).loss == doctest::Approx(evaluate(network, found, batch).loss).epsilon(1e-6));
  CHECK(std::abs(evaluate(network, weights, population).loss - evaluate(network, weights, batch).loss) > 1e-3);
}

TEST_CASE("bn-restat: batches are as even as they can be") {
  const TemporaryFolder folder;
  const SamplePoints points = write_points(folder, 11);
  const Network network = network_of(
      "h = sigmoid(batch_norm(dense(x, 7), unbiased=false))\n  y, m, v = batch_norm(dense(h, 3), unbiased=false)\n  return y, m, v");
  const WeightStore weights = network.initialize(5), found = restat(network, weights, {.data = points.path, .batch = 4});
  const std::vector<int64_t> order = shuffled_indices(11, 0, "restat");
  double pooled[3] = {};
  size_t next = 0;
  for (const int64_t size : {4, 4, 3}) {
    std::vector<float> x;
    for (int64_t k = 0; k < size; ++k, ++next)
      x.insert(x.end(), points.x.begin() + order[next] * 5, points.x.begin() + order[next] * 5 + 5);
    const NamedArrays reference = network.evaluate_reference({.batch = size, .batch_statistics = true}, weights,
                                                             {{"x", Array({size, 5}, x)}});
    for (size_t k = 0; k < 3; ++k) pooled[k] += reference[1].second.floats()[k] * static_cast<double>(size) / 11;
  }
  for (size_t k = 0; k < 3; ++k) CHECK(found.values("batch_norm_2.mean")[k] == doctest::Approx(pooled[k]).epsilon(1e-5));
}

TEST_CASE("bn-restat: images, any number of threads, frozen and shared statistics") {
  const TemporaryFolder folder;
  const SamplePoints points = write_points(folder, 53);
  const Network frozen = network_of("h = batch_norm(x, mode=infer)\n  h = batch_norm(h * 2 + 1, unbiased=false)\n  return dense(h, 3)");
  const WeightStore kept = restat(frozen, frozen.initialize(1), {.data = points.path});
  for (size_t k = 0; k < 5; ++k) {
    CHECK(kept.values("batch_norm_1.variance")[k] == 1);
    CHECK(kept.values("batch_norm_2.mean")[k] == doctest::Approx(2 / std::sqrt(1 + 1e-5) * moments_of(points, k).first + 1).epsilon(1e-5));
  }

  const Network shared = network_of(
      "state m: f32[5] = zeros\n  state v: f32[5] = ones\n  a = batch_norm(x, mean=m, variance=v, unbiased=false)\n  b = batch_norm(x + "
      "10, mean=m, variance=v, unbiased=false)\n  return dense(a + b, 3)");
  const WeightStore both = restat(shared, shared.initialize(1), {.data = points.path});
  for (size_t k = 0; k < 5; ++k) {
    CHECK(both.values("m")[k] == doctest::Approx(moments_of(points, k).first + 5).epsilon(1e-5));
    CHECK(both.values("v")[k] == doctest::Approx(moments_of(points, k).second / 53 + 25).epsilon(1e-5));
  }

  const Network images = Network::from_text(
      std::string("network net(x: f32[N, 6, 5, 2]) {\n  h = batch_norm(conv2d(x, 3))\n  return dense(flatten(relu(h)), 4)\n}\n") +
          population_training,
      "net.bn");
  std::vector<float> x(37 * 60);
  RandomStream random(4, "images");
  for (float& value : x) value = static_cast<float>(random.normal());
  save_npz(folder.path("images.npz"), {{"x", Array({37, 6, 5, 2}, x)}, {"y", Array({37}, std::vector<int32_t>(37))}});
  const WeightStore weights = images.initialize(2);
  const WeightStore one = restat(images, weights, {.data = folder.path("images.npz"), .threads = 1}),
                    two = restat(images, weights, {.data = folder.path("images.npz"), .threads = 2}),
                    whole = restat(images, weights, {.data = folder.path("images.npz"), .batch = 37});
  for (const char* name : {"batch_norm_1.mean", "batch_norm_1.variance"}) {
    CHECK(std::ranges::equal(one.values(name), two.values(name)));
    for (size_t k = 0; k < 3; ++k) CHECK(one.values(name)[k] == doctest::Approx(whole.values(name)[k]).epsilon(1e-5));
  }
}

TEST_CASE("training with restat writes weights estimated again, and resumes from those that were not") {
  const TemporaryFolder folder;
  const SamplePoints points = write_points(folder, 60);
  const Network network = network_of("h = batch_norm(dense(x, 4), ghost=4)\n  return dense(batch_norm(relu(h), ghost=4), 3)");
  TrainOptions options;
  options.batch = 12;
  options.data = options.test = points.path;
  options.out = folder.path("run");
  options.epochs = 2;
  options.restat = true;
  const TrainResult result = train(network, options);
  const WeightStore raw = WeightStore::load(folder.path("run/checkpoint/weights.safetensors")),
                    written = WeightStore::load(result.weights_path);
  const WeightStore again = restat(network, raw, {.data = points.path});
  CHECK(std::ranges::equal(written.values("batch_norm_2.variance"), again.values("batch_norm_2.variance")));
  CHECK_FALSE(std::ranges::equal(written.values("batch_norm_2.variance"), raw.values("batch_norm_2.variance")));
  CHECK(std::ranges::equal(written.values("dense_1.weight"), raw.values("dense_1.weight")));
  CHECK(result.test.loss == doctest::Approx(evaluate(network, written, {.data = points.path}).loss).epsilon(1e-6));
  const WeightStore raw_best = WeightStore::load(folder.path("run/checkpoint/best.safetensors")),
                    best = WeightStore::load(result.best_weights_path);
  CHECK(std::ranges::equal(best.values("batch_norm_2.variance"),
                           restat(network, raw_best, {.data = points.path}).values("batch_norm_2.variance")));
  CHECK_FALSE(std::ranges::equal(best.values("batch_norm_2.variance"), raw_best.values("batch_norm_2.variance")));
}

TEST_CASE("bn-restat, bn-ghost: as many examples are normalized together as in training") {
  const TemporaryFolder folder;
  const SamplePoints points = write_points(folder, 53);
  const auto of = [](const char* first, const char* second) {
    return network_of(
        fmt::format("h = sigmoid(batch_norm(dense(x, 7){}))\n  h = batch_norm(dense(h, 4){})\n  return dense(h, 3)", first, second));
  };
  struct PopulationCase {
    const char *first, *second;
    int64_t batch;
  };
  for (const auto& [first, second, batch] : {PopulationCase{"", "", 8}, PopulationCase{", ghost=4", ", ghost=4", 4},
                                             PopulationCase{", ghost=4", "", 4}, PopulationCase{", ghost=4", ", ghost=2", 2}}) {
    INFO(first << second);
    const Network network = of(first, second);
    const WeightStore weights = network.initialize(1), found = restat(network, weights, {.data = points.path}),
                      given = restat(network, weights, {.data = points.path, .batch = batch}),
                      larger = restat(network, weights, {.data = points.path, .batch = 16});
    CHECK(std::ranges::equal(found.values("batch_norm_2.mean"), given.values("batch_norm_2.mean")));
    CHECK_FALSE(std::ranges::equal(found.values("batch_norm_2.mean"), larger.values("batch_norm_2.mean")));
  }
  CHECK(normalized_together(of(", ghost=2, mode=infer", "")) == 8);
}

TEST_CASE("bn-restat: a batch of 2 leaves no example alone, which would be normalized to 0") {
  const TemporaryFolder folder;
  const SamplePoints points = write_points(folder, 5);
  const Network network = network_of("h = batch_norm(x, gamma=ones, beta=zeros)\n  return dense(batch_norm(h, unbiased=false), 3)");
  // Two batches: each has variance 1 behind the first batch norm, and so has all of it.
  const WeightStore found = restat(network, network.initialize(1), {.data = points.path, .batch = 2});
  for (const float variance : found.values("batch_norm_2.variance")) CHECK(variance == doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("bn-lint: each kind of finding, with place, tensor and advice; nothing where nothing is wrong") {
  const TemporaryFolder folder;
  const SamplePoints points = write_points(folder, 53);
  const Network network = network_of("h = dense(x, 7)\n  h = relu(batch_norm(h, epsilon=0.001))\n  return dense(h, 3)");
  const WeightStore fresh = network.initialize(1);
  CHECK(kinds(findings(network, fresh)) == "initial-statistics(batch_norm_1.mean) 7/7; ");
  const auto changed = [&](const std::string& name, std::vector<float> values) {
    WeightStore weights = restat(network, fresh, {.data = points.path});
    const std::vector<int64_t> dims = weights.dims(name);
    values.insert(values.end(), weights.values(name).begin() + static_cast<std::ptrdiff_t>(values.size()), weights.values(name).end());
    weights.set(name, dims, values);
    return weights;
  };
  CHECK(kinds(findings(network, changed("batch_norm_1.beta", {0}), points.path)).empty());

  const auto dead = findings(network, changed("batch_norm_1.gamma", {0, 1, -9e-4f, -2}));
  REQUIRE(kinds(dead) == "dead-gamma(batch_norm_1.gamma) 2/7; ");
  CHECK(dead[0].severity == LintFinding::Severity::warning);
  CHECK(dead[0].place == "net.bn:3");
  CHECK(contains(dead[0].diagnostic,
                 "net.bn:3:12: warning: `batch_norm_1.gamma` holds 0 in place 0, and likewise 1 more of 7: so near to 0"));
  CHECK(contains(dead[0].diagnostic, "h = relu(batch_norm(h, epsilon=0.001))"));
  CHECK(contains(dead[0].diagnostic, "help: the channel can be left out"));

  CHECK(kinds(findings(network, changed("batch_norm_1.variance", {0, 2, 9e-5f, 1.1e-4f}))) == "tiny-variance(batch_norm_1.variance) 2/7; ");
  const auto negative = findings(network, changed("batch_norm_1.variance", {1, -1e-5f}));
  REQUIRE(kinds(negative) == "negative-variance(batch_norm_1.variance) 1/7; ");
  CHECK(negative[0].severity == LintFinding::Severity::error);
  CHECK(contains(negative[0].what, "-1e-05 in place 1"));
  CHECK(kinds(findings(network, changed("dense_2.weight", {1, NAN, INFINITY}))) == "not-finite(dense_2.weight) 2/21; ");

  const WeightStore exact = restat(network, fresh, {.data = points.path});
  const float mean = exact.values("batch_norm_1.mean")[2], deviation = std::sqrt(exact.values("batch_norm_1.variance")[2]);
  std::vector<float> means(exact.values("batch_norm_1.mean").begin(), exact.values("batch_norm_1.mean").end());
  means[2] = mean + 0.45f * deviation;
  CHECK(kinds(findings(network, changed("batch_norm_1.mean", means), points.path)).empty());
  means[2] = mean + 0.55f * deviation;
  CHECK(kinds(findings(network, changed("batch_norm_1.mean", means))).empty());
  const auto drift = findings(network, changed("batch_norm_1.mean", means), points.path);
  REQUIRE(kinds(drift) == "drift(batch_norm_1.mean) 1/7; ");
  CHECK(contains(drift[0].what, fmt::format("in 1 of 7 channels: channel 2 has {:.4g}", means[2])));
  std::vector<float> variances(exact.values("batch_norm_1.variance").begin(), exact.values("batch_norm_1.variance").end());
  variances[0] *= 2.1f;
  variances[4] /= 2.1f;
  variances[6] /= 1.9f;
  CHECK(kinds(findings(network, changed("batch_norm_1.variance", variances), points.path)) == "drift(batch_norm_1.mean) 2/7; ");
}
