#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "ir/random.h"
#include "runtime/checkpoint.h"
#include "support/training.h"

using namespace bnc;
using namespace bnc::test;

namespace {

std::string train_error(const TrainOptions& options) { return message_of<Error>([&] { train(network(), options); }); }

}  // namespace

TEST_CASE("an evaluation gives the mean over all examples, the last batch's too") {
  const TemporaryFolder folder;
  save_npz(folder.path("points.npz"),
           {{"x", Array({5, 1}, std::vector<float>{1, 2, 3, 4, 5})}, {"y", Array({5, 1}, std::vector<float>{1, 1, 5, 4, 8})}});
  const Network line = Network::from_text(
      "network net(x: f32[N, 1]) { return relu(x) }\ntrain net {\n  loss = mean_squared_error(target)\n  optimizer = sgd(rate=0.1)\n}\n",
      "net.bn");
  EvaluateOptions options{.data = folder.path("points.npz")};
  for (const int64_t batch : {1, 2, 5, 9}) {
    options.batch = batch;
    const EvaluationResult result = evaluate(line, line.initialize(1), options);
    CHECK(result.loss == doctest::Approx((0 + 1 + 4 + 0 + 9) / 5.0).epsilon(1e-6));
    CHECK(result.count == 5);
  }
}

TEST_CASE("training learns, and leaves weights, history, report and checkpoint") {
  const TemporaryFolder folder;
  const std::string data = write_data(folder);
  TrainOptions options = options_for(data, folder.path("run"));
  options.epochs = 20;
  int64_t calls = 0;
  Progress last;
  options.on_progress = [&](const Progress& progress) {
    if (!progress.activity.empty()) return;
    ++calls;
    last = progress;
  };
  const TrainResult result = train(network(), options);
  CHECK(result.steps == 20 * 6);
  CHECK(calls == result.steps);
  CHECK(last.step == last.steps);
  CHECK(last.epoch == 20);
  CHECK_FALSE(result.stopped);
  CHECK(result.test.accuracy > 0.9);
  CHECK(result.test.count == 50);
  CHECK(result.train.count == 48);

  EvaluateOptions evaluation;
  evaluation.data = data;
  for (const int64_t batch : {1, 7, 100}) {
    evaluation.batch = batch;
    const EvaluationResult again = evaluate(network(), WeightStore::load(result.weights_path), evaluation);
    CHECK(again.accuracy == result.test.accuracy);
    CHECK(again.loss == doctest::Approx(result.test.loss).epsilon(1e-5));
  }
  const History history = parse_csv(read_bytes(folder.path("run/history.csv")), "history.csv");
  REQUIRE_FALSE(history.empty());
  CHECK(history.back().step == result.steps);
  CHECK(history.back().tested);
  CHECK(history.back().test_accuracy == result.test.accuracy);
  const std::string report = read_bytes(result.report_path);
  CHECK(contains(report, "<svg"));
  CHECK_FALSE(contains(report, "http"));
  for (const char* part : {"Batch norms", "Confusion", "the graph compiled", "folded into"}) CHECK_MESSAGE(contains(report, part), part);
  const Distributions distributions = parse_distributions(read_bytes(folder.path("run/distributions.csv")), "distributions.csv");
  REQUIRE(distributions.size() > 40);
  CHECK(distributions.front().step == 0);
  CHECK(distributions.front().batch_norm == "batch_norm_1");
  CHECK(distributions.back().step == result.steps);
  for (const DistributionRow& row : distributions) CHECK(std::is_sorted(row.values.begin(), row.values.end()));
  CHECK(bnc::report({folder.path("run")}) == report);
}

TEST_CASE("progress tells what a run does between its steps") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), "");
  options.test = write_data(folder, 220);   // 3 batches a test
  options.restat = true;
  std::vector<std::pair<int64_t, std::string>> passes;
  double share = 1;
  options.on_progress = [&](const Progress& progress) {
    if (progress.activity.empty()) return;
    CHECK(progress.activity_share > (share < 1 ? share : 0));
    share = progress.activity_share;
    if (share == 1) passes.emplace_back(progress.step, progress.activity);
  };
  train(network(), options);
  const std::vector<std::pair<int64_t, std::string>> expected = {{24, "estimating statistics"}, {24, "testing"}};
  REQUIRE(passes.size() == 12 + 2);   // every other step, and at the end
  CHECK(passes[0] == std::pair<int64_t, std::string>(2, "testing"));
  CHECK(passes[11] == std::pair<int64_t, std::string>(24, "testing"));
  CHECK(std::equal(expected.begin(), expected.end(), passes.end() - 2));
}

TEST_CASE("the same seed gives the same bits for any number of threads, another seed others") {
  const TemporaryFolder folder;
  const std::string data = write_data(folder);
  std::string first;
  for (const int threads : {1, 2, 3}) {
    TrainOptions options = options_for(data, folder.path("run" + std::to_string(threads)));
    options.threads = threads;
    const std::string bytes = read_bytes(train(network(), options).weights_path);
    if (first.empty()) first = bytes;
    CHECK(bytes == first);
  }
  TrainOptions other = options_for(data, folder.path("other"));
  other.seed = 10;
  CHECK(read_bytes(train(network(), other).weights_path) != first);
}

TEST_CASE("bn-frozen-grad: fine-tuning from weights keeps the statistics of batch norms in mode infer, and trains their gamma and beta") {
  const TemporaryFolder folder;
  const auto net = [](const char* mode) {
    return Network::from_text(
        fmt::format("network net(x: f32[N, 6]) {{\n  h = relu(batch_norm(dense(preprocess(x), 33){}))\n  return dense(batch_norm(dense(h, "
                    "9)), 3)\n}}\ntrain net {{\n  loss = softmax_cross_entropy(labels)\n  optimizer = sgd(rate=0.05)\n  batch = 8\n}}\n",
                    mode),
        "net.bn");
  };
  const WeightStore before = WeightStore::load(train(net(""), options_for(write_data(folder), folder.path("base"))).weights_path);
  TrainOptions options = options_for(write_data(folder, 24), folder.path("tuned"));
  options.weights = folder.path("base/weights.safetensors");
  options.epochs = 2;
  const WeightStore after = WeightStore::load(train(net(", mode=infer"), options).weights_path);
  CHECK(after.names() == before.names());
  for (const std::string& name : before.names()) {
    CAPTURE(name);
    const bool fixed = name == "batch_norm_1.mean" || name == "batch_norm_1.variance" || name.starts_with("preprocess");
    const bool dead = name == "dense_2.bias";   // in front of a batch norm that trains (bn-dead-bias)
    CHECK(std::ranges::equal(after.values(name), before.values(name)) == (fixed || dead));
  }
  options.overwrite = true;
  options.resume = folder.path("base");
  CHECK(contains(train_error(options), "a run that goes on has its weights in the checkpoint"));
  options.resume.clear();
  CHECK(contains(train_error(options), "preprocess_1"));   // of another network
}

TEST_CASE("the history tells the rate of each step") {
  const TemporaryFolder folder;
  train(with_optimizer("adam(rate=step(start=0.5, at=[2], warmup=1, in_epochs, factor=0.5))"),
        options_for(write_data(folder), folder.path("run")));
  for (const HistoryRow& row : parse_csv(read_bytes(folder.path("run/history.csv")), "history.csv")) {
    CHECK(row.rate == doctest::Approx(row.step <= 6 ? 0.5 * static_cast<double>(row.step) / 7 : row.step <= 18 ? 0.5 : 0.25));
  }
}

TEST_CASE("a schedule over the whole run keeps its length") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.steps = 20;
  options.stop = [] { return true; };
  const Network endless = with_optimizer("sgd(rate=cosine(start=0.1))"), own = with_optimizer("sgd(rate=cosine(start=0.1, steps=20))");
  train(endless, options);
  TrainOptions rest;
  rest.data = options.data;
  rest.resume = folder.path("run");
  rest.steps = 24;
  const std::string error = message_of<Error>([&] { train(endless, rest); });
  CHECK(contains(error, "is scheduled over its 20 steps, which cannot change to 24"));
  CHECK(contains(error, "`steps=...`"));
  CHECK(contains(error, "`--allow-changes`"));
  CHECK(contains(message_of<Error>([&] { train(own, rest); }), "`optimizer` has changed since"));
  rest.allow_changes = true;
  CHECK(train(own, rest).steps == 24);
  rest.steps.reset();
  CHECK(train(endless, rest).steps == 24);
}

TEST_CASE("patience ends a run, and the best weights are those of the best test") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.epochs = 200;
  options.patience = 3;
  const TrainResult result = train(network(), options);
  REQUIRE(result.out_of_patience);
  REQUIRE(result.best);
  CHECK(result.steps == result.best->step + 3 * 6);
  EvaluateOptions evaluation;
  evaluation.data = options.data;
  const EvaluationResult best = evaluate(network(), WeightStore::load(result.best_weights_path), evaluation);
  CHECK(best.accuracy == result.best->test.accuracy);
  CHECK(best.loss == doctest::Approx(result.best->test.loss).epsilon(1e-5));
  for (const HistoryRow& row : parse_csv(read_bytes(folder.path("run/history.csv")), "history.csv")) {
    if (row.tested) CHECK(std::pair(row.test_accuracy, -row.test_loss) <= std::pair(best.accuracy, -result.best->test.loss));
  }

  // A run begun anew in the folder does not show the best of the one before.
  options.overwrite = true;
  options.epochs.reset();
  options.steps = 1;
  options.test.clear();
  options.patience.reset();
  CHECK_FALSE(train(network(), options).best);
  CHECK_FALSE(std::filesystem::exists(folder.path("run/weights.best.safetensors")));
}

TEST_CASE("a resumed run is as long as it was to be, or as long as it is told") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.steps = 31;
  options.stop = [] { return true; };
  train(network(), options);
  TrainOptions rest;
  rest.data = options.data;
  rest.resume = folder.path("run");
  CHECK(train(network(), rest).steps == 31);
  rest.epochs = 6;
  CHECK(train(network(), rest).steps == 36);
}

TEST_CASE(
    "bn-running: after the first step a corrected or cumulative statistic is the batch's own, however small beside where it started") {
  std::vector<float> x;
  RandomStream random(6, "tiny");
  for (int k = 0; k < 7 * 3; ++k) x.push_back(static_cast<float>(3e-6 * random.normal()));
  for (const char* stats : {"ema(decay=0.9, corrected)", "cumulative", "ema(decay=0)"}) {
    CAPTURE(stats);
    const Network net =
        Network::from_text(fmt::format("network net(x: f32[N, 3]) {{ return batch_norm(x, stats={}, unbiased=false) }}\ntrain net {{ loss "
                                       "= mean_squared_error(target)\n optimizer = sgd(rate=0.1)\n batch = 7 }}",
                                       stats));
    Session session = net.compile({.mode = Mode::train}, net.initialize(1));
    session.bind("x", Array({7, 3}, x));
    session.bind("target", Array({7, 3}, std::vector<float>(21)));
    session.run();
    const Array variance = session.read("state/batch_norm_1.variance");
    for (size_t c = 0; c < 3; ++c) {
      double mean = 0, squares = 0;
      for (size_t k = 0; k < 7; ++k) mean += x[k * 3 + c] / 7.0;
      for (size_t k = 0; k < 7; ++k) squares += std::pow(x[k * 3 + c] - mean, 2);
      CHECK(variance.floats()[c] / (squares / 7) == doctest::Approx(1).epsilon(1e-6));
    }
  }
}

TEST_CASE("training options that cannot be are told before anything is done") {
  const TemporaryFolder folder;
  const std::string data = write_data(folder), few = write_data(folder, 5);
  TrainOptions options = options_for(data, folder.write("file", ""));
  CHECK(contains(train_error(options), "file: "));
  CHECK(contains(train_error(options_for(data, "/proc/run")), "/proc/run"));
  CHECK(contains(train_error(options_for(few, "")), "holds 5 examples, fewer than a batch of 8"));
  options = options_for(data, folder.path("run"));
  options.batch = 1;
  CHECK(contains(train_error(options), "normalizes over one element a channel"));
  options = options_for(data, "");
  options.resume = folder.path("nothing");
  CHECK(contains(train_error(options), "holds no checkpoint"));

  train(network(), options_for(data, folder.path("run")));
  options.resume = folder.path("run");
  options.seed = 8;
  CHECK(contains(train_error(options), "has seed 9, which cannot change to 8"));
  options.seed.reset();
  options.batch = 9;
  CHECK(contains(train_error(options), "batches of 8, which cannot change to 9"));
  options.batch.reset();
  options.data = write_data(folder, 20);
  CHECK(contains(train_error(options), "was on 50 examples"));
}

TEST_CASE("targets of other kinds: one-hot rows, numbers and floats") {
  const TemporaryFolder folder;
  const std::string data = write_data(folder);
  const Network regression = Network::from_text(
      "network r(x: f32[N, 6]) { return dense(x, 3) }\ntrain r {\n loss = mean_squared_error(labels)\n optimizer = sgd(rate=0.05)\n batch "
      "= 16\n epochs = 60\n}");
  const TrainResult one_hot = train(regression, options_for(data, ""));
  CHECK(one_hot.test.accuracy > 0.85);
  CHECK(one_hot.test.loss < 0.15);

  std::vector<float> x, y;
  RandomStream random(2, "line");
  for (int k = 0; k < 64; ++k) {
    x.push_back(static_cast<float>(random.normal()));
    y.push_back(3 * x.back() - 1);
  }
  save_npz(folder.path("line.npz"), {{"x", Array({64, 1}, x)}, {"y", Array({64, 1}, y)}});
  const Network line = Network::from_text(
      "network l(x: f32[N, 1]) { return dense(x, 1) }\ntrain l {\n loss = mean_squared_error(target)\n optimizer = sgd(rate=0.1)\n batch = "
      "16\n epochs = 50\n}");
  const TrainResult fitted = train(line, options_for(folder.path("line.npz"), ""));
  CHECK(fitted.test.loss < 1e-6);
  CHECK(std::isnan(fitted.test.accuracy));
}

TEST_CASE("history reads back to the same bits; other text is refused") {
  const History history = {{1, 1, 0.1, 1.0 / 3, false}, {2, 1, 1e-300, std::nan(""), true, 2.5, 0.125}};
  const std::string text = to_csv(history);
  const History again = parse_csv(text, "h.csv");
  CHECK(to_csv(again) == text);
  CHECK(again[0].accuracy == 1.0 / 3);
  CHECK(again[1].tested);
  CHECK_FALSE(again[0].tested);
  CHECK_THROWS_AS(parse_csv("step\n", "h.csv"), Error);
  CHECK(contains(message_of<Error>([&] { parse_csv(text + "3,x,,,,\n", "h.csv"); }), "h.csv: `x` is no number"));
}

TEST_CASE("dropout follows the seed of the compilation, and training takes the run's") {
  const WeightStore weights = network().initialize(1);
  RandomStream random(2, "x");
  std::vector<float> x(8 * 6);
  for (float& element : x) element = static_cast<float>(random.normal());
  auto loss = [&](std::optional<uint64_t> seed) {
    CompileOptions compile;
    compile.mode = Mode::train;
    compile.seed = seed;
    Session session = network().compile(compile, weights);
    session.bind("x", Array({8, 6}, x));
    session.bind("labels", Array({8}, std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0, 1}));
    session.run();
    return session.read("loss").floats()[0];
  };
  CHECK(loss(std::nullopt) == loss(0));
  CHECK(loss(7) == loss(7));
  CHECK(loss(7) != loss(0));
}
