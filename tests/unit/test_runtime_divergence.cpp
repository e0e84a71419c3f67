#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "runtime/checkpoint.h"
#include "runtime/finite.h"
#include "runtime/history.h"
#include "runtime/objective.h"
#include "support/training.h"

using namespace bnc;
using namespace bnc::test;

namespace {

constexpr float not_number = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();

// What ends the run; fails where it comes to its end.
std::pair<Divergence, std::string> divergence_of(const Network& net, const TrainOptions& options) {
  try {
    train(net, options);
  } catch (const DivergenceError& error) {
    return {error.found(), error.what()};
  }
  FAIL("the run did not diverge");
  return {};
}

WeightStore with_value(const Network& net, const std::string& name, float value) {
  WeightStore weights = net.initialize(1);
  std::vector<float> values(weights.values(name).begin(), weights.values(name).end());
  values[values.size() / 2] = value;
  weights.set(name, weights.dims(name), values);
  return weights;
}

}  // namespace

TEST_CASE("an answer that is not finite names no class") {
  CHECK(answer_of(std::vector<float>{1, 3, 2}) == 1);
  CHECK(answer_of(std::vector<float>{not_number, not_number, not_number}) == -1);
  CHECK(answer_of(std::vector<float>{not_number, 1, 0}) == -1);
  CHECK(answer_of(std::vector<float>{0, 1, not_number}) == -1);
  CHECK(answer_of(std::vector<float>{0, infinite, 1}) == -1);
  CHECK(answer_of(std::vector<float>{-infinite, -infinite}) == -1);
  CHECK(answer_of(std::vector<float>{-infinite, 2, 1}) == 1);   // a score of log(0)
  CHECK(all_finite(std::vector<float>{1, -3e38f, 1e-45f}));
  CHECK_FALSE(all_finite(std::vector<float>{1, 2, 3, 4, -infinite}));
  CHECK_FALSE(all_finite(std::vector<float>{not_number, 1}));
}

TEST_CASE("predictions that are not finite are never right, and counted") {
  const TemporaryFolder folder;
  EvaluateOptions options;
  options.data = write_data(folder);
  for (const float value : {not_number, infinite}) {
    const EvaluationResult result = evaluate(network(), with_value(network(), "dense_2.bias", value), options);
    CHECK(result.accuracy == 0);
    CHECK(result.not_finite == 50);
    CHECK_FALSE(std::isfinite(result.loss));
  }
  CHECK(evaluate(network(), network().initialize(1), options).not_finite == 0);

  const Network yes_or_no = Network::from_text("network net(x: f32[N, 6]) { return dense(x, 1) }\n"
                                               "train net { loss = binary_cross_entropy_with_logits(labels)\n optimizer = sgd(rate=0.1) }");
  std::vector<int32_t> labels(12);
  for (size_t k = 0; k < 12; k += 2) labels[k] = 1;
  options.data = folder.path("binary.npz");
  save_npz(options.data, {{"x", Array({12, 6}, std::vector<float>(72, 0.5f))}, {"y", Array({12}, labels)}});
  for (const float value : {not_number, infinite, -infinite})
    CHECK(evaluate(yes_or_no, with_value(yes_or_no, "dense_1.bias", value), options).accuracy == 0);
}

TEST_CASE("a run that diverges stops at once, and keeps what was good before") {
  const TemporaryFolder folder;
  const Network net = with_optimizer("sgd(rate=step(start=0.05, at=[20], factor=0.5), momentum=0.9, clip_norm=1)");
  const Network wild = with_optimizer("sgd(rate=1e30, momentum=0.9, clip_norm=1)");
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.steps = 20;
  const TrainResult good = train(net, options);
  const std::string best = read_bytes(good.best_weights_path), last = read_bytes(good.weights_path),
                    checkpoint = read_bytes(folder.path("run/checkpoint/weights.safetensors"));

  options.resume = folder.path("run");
  options.allow_changes = true;
  options.steps = 40;
  options.checkpoint_seconds = 0;   // a checkpoint behind each step
  const auto [found, text] = divergence_of(wild, options);
  CHECK(found.step > 20);
  CHECK(found.step < 40);
  CHECK(found.tensor == "batch_norm_1");
  CHECK(found.place == "net.bn:3");
  CHECK(found.checkpoint_step == found.step - 1);
  for (const char* part : {"error: training diverged: the loss of step 2", "is not a number",
                           "the first tensor that is not finite: the result of `batch_norm_1`, f32[8, 33]",
                           "net.bn:3:", "lower the optimizer's `rate`", "--allow-changes", "weights.best.safetensors"})
    CHECK_MESSAGE(contains(text, part), part << " in " << text);

  CHECK(read_bytes(folder.path("run/weights.best.safetensors")) == best);
  CHECK(read_bytes(folder.path("run/weights.safetensors")) == last);
  CHECK(read_bytes(folder.path("run/checkpoint/weights.safetensors")) != checkpoint);
  const Checkpoint kept = read_checkpoint(folder.path("run"));
  CHECK(kept.step == found.checkpoint_step);
  for (const std::string& name : kept.weights.names()) CHECK(all_finite(kept.weights.values(name)));
  const History history = parse_csv(read_bytes(folder.path("run/history.csv")), "history.csv");
  REQUIRE(history.size() > 20);
  CHECK(history.back().step == found.step);
  CHECK(std::isnan(history.back().loss));
  CHECK(std::isfinite(history[history.size() - 2].loss));
  const std::string page = report({folder.path("run")});
  CHECK(contains(page, fmt::format("diverged in step {}", found.step)));
  CHECK_FALSE(contains(page, "nan&nbsp;%"));
  CHECK_FALSE(contains(page, ">nan"));
}

TEST_CASE("the first tensor that is not finite is named: a result, a gradient, a weight behind the update, the loss") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), "");
  options.test = "";
  options.steps = 3;
  const auto returning = [](const std::string& body, const std::string& optimizer, const char* loss = "softmax_cross_entropy(labels)") {
    return Network::from_text(
        fmt::format("network net(x: f32[N, 6]) {{\n  return {}\n}}\ntrain net {{\n  loss = {}\n  optimizer = {}\n  batch = 8\n}}", body,
                    loss, optimizer),
        "net.bn");
  };
  auto [found, text] = divergence_of(returning("dense(x * 3e38 * 3e38, 3)", "sgd(rate=0.1)"), options);
  CHECK(found.step == 1);
  CHECK(found.tensor == "mul");
  CHECK(found.place == "net.bn:2");
  CHECK(contains(text, "no update came before"));
  CHECK(contains(text, "nothing was kept"));

  const char* root = "dense(sqrt(dense(x, 5, weight=zeros, bias=false) * dense(x, 5, weight=zeros, bias=false)), 3)";
  options.steps = 1;   // no loss comes behind it
  std::tie(found, text) = divergence_of(returning(root, "sgd(rate=0.1)"), options);
  CHECK(found.step == 1);
  CHECK(found.tensor == "grad/dense_2.weight");
  CHECK(contains(text, "step 1 made weights or states that are not finite, though its loss is"));
  CHECK(contains(text, "the gradient of `dense_2.weight`, f32[6, 5]: "));

  std::tie(found, text) = divergence_of(returning("dense(x * 10, 3)", "sgd(rate=3e38)"), options);
  CHECK(found.tensor == "dense_1.weight");
  CHECK(contains(text, "`dense_1.weight` behind the update"));

  // The error grows to 1.1 times its size in each step, which is done again from the state kept 256 steps before at the most.
  const std::string data = folder.path("ones.npz");
  save_npz(data, {{"x", Array({8, 6}, std::vector<float>(48, 1.0f))}, {"y", Array({8, 1}, std::vector<float>(8, 1.0f))}});
  options.data = data;
  options.steps = 1000;
  std::tie(found, text) = divergence_of(returning("dense(x, 1, bias=false)", "sgd(rate=0.175)", "mean_squared_error(target)"), options);
  CHECK(found.step > 400);
  CHECK(found.tensor == "loss");
  CHECK(contains(text, fmt::format("the loss of step {} is inf", found.step)));
}

TEST_CASE("a run whose last test is not finite has diverged") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.steps = 1;
  const Network net = Network::from_text(
      "network net(x: f32[N, 6]) { return dense(x, 3) }\ntrain net { loss = softmax_cross_entropy(labels)\n optimizer = sgd(rate=2e38)\n "
      "batch = 8 }");
  const auto [found, text] = divergence_of(net, options);
  CHECK(found.step == 1);
  CHECK(found.tensor == "y");
  CHECK(contains(text, "training diverged: after the last step, 1, the network's numbers for"));
  CHECK(found.best_weights_path.empty());
  CHECK_FALSE(std::filesystem::exists(folder.path("run/weights.safetensors")));
  CHECK(read_checkpoint(folder.path("run")).step == 0);
}

TEST_CASE("weights that are not finite are refused before the first step") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.weights = folder.path("w.safetensors");
  with_value(network(), "batch_norm_1.variance", infinite).save(options.weights);
  const auto [found, text] = divergence_of(network(), options);
  CHECK(found.step == 0);
  CHECK(found.tensor == "batch_norm_1.variance");
  CHECK(contains(text, "the weights that the run begins with are not finite: `batch_norm_1.variance`"));
  CHECK_FALSE(std::filesystem::exists(folder.path("run/checkpoint")));
}
