// bn-ghost: statistics over parts of the batch.
#include <doctest/doctest.h>

#include "bnc/bnc.h"
#include "support/files.h"
#include "support/generated_training.h"

using namespace bnc;
using namespace bnc::test;

namespace {

const char* squares = "loss = mean_squared_error(target, reduction=sum)\noptimizer = sgd(rate=0.1)\nbatch = 12";

// The training step before the optimizer; the context's batch counts ghost batches from then on.
Graph prepared(const Module& module, std::optional<int64_t> batch = 12) {
  Graph graph = module.main().clone();
  PassContext context = context_of(&*module.train, batch, "native");
  run_passes(graph, {"prepare-training", "build-backward"}, context);
  return graph;
}

Module layer(const std::string& arguments) {
  return parse_network("x: f32[N, 3, 5]", "return y = batch_norm(x" + arguments + ")", squares);
}

// Values for the 12 examples of a step.
Bindings bindings_of(const Graph& plain) { return test::random_bindings(plain, 12); }

std::vector<double> channel(const Tensor& x, size_t c, size_t first, size_t count) {
  std::vector<double> values;
  for (size_t row = first * 3; row < (first + count) * 3; ++row) values.push_back(x.data[row * 5 + c]);
  return values;
}

std::pair<double, double> moments(const std::vector<double>& x) {
  double mean = 0, variance = 0;
  for (double v : x) mean += v / static_cast<double>(x.size());
  for (double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
  return {mean, variance};
}

}  // namespace

TEST_CASE("bn-ghost: each ghost batch is normalized with its own statistics") {
  const Graph graph = prepared(layer(", ghost=4"));
  const Bindings bindings = bindings_of(prepared(layer("")));
  const Tensor &x = bindings.at("x"), y = evaluate(graph, bindings).outputs.at("y");
  CHECK(graph.nodes_of("batch_norm").empty());
  for (size_t c = 0; c < 5; ++c)
    for (size_t first : {0, 4, 8}) {
      const auto in = channel(x, c, first, 4), out = channel(y, c, first, 4);
      const auto [mean, variance] = moments(in);
      for (size_t i = 0; i < in.size(); ++i) {
        const double normalized = (in[i] - mean) / std::sqrt(variance + 1e-5);
        CHECK(out[i] == doctest::Approx(bindings.at("batch_norm_1.gamma").data[c] * normalized + bindings.at("batch_norm_1.beta").data[c])
                            .epsilon(1e-10));
      }
    }
}

TEST_CASE("bn-ghost: a ghost batch as large as the batch is an ordinary batch norm, with its gradients and updates") {
  for (const char* stats : {"", ", stats=ema(decay=0.7, corrected)", ", stats=cumulative", ", unbiased=false"}) {
    const Graph ghost = prepared(layer(std::string(", ghost=12") + stats)), plain = prepared(layer(stats));
    const Bindings bindings = bindings_of(plain);
    const Evaluation a = evaluate(plain, bindings), b = evaluate(ghost, bindings);
    INFO(stats);
    check_same(a.outputs, b.outputs, 1e-11);
    check_same(a.gradients, b.gradients, 1e-10);
    check_same(a.updates, b.updates, 1e-11);
  }
}

TEST_CASE("bn-ghost: stored statistics move by a step for each ghost batch") {
  const std::pair<const char*, double (*)(double, double)> rules[] = {
      {"ema(decay=0.7)", [](double s, double b) { return std::pow(0.7, 3) * s + (1 - std::pow(0.7, 3)) * b; }},
      {"ema(decay=0.7, corrected)", [](double s, double b) { return s + (b - s) * (1 - std::pow(0.7, 3)) / (1 - std::pow(0.7, 9)); }},
      {"cumulative", [](double s, double b) { return s + (b - s) * 3 / 9; }}};
  for (const auto& [stats, moved] : rules) {
    INFO(stats);
    const Graph graph = prepared(layer(std::string(", ghost=4, stats=") + stats));
    Bindings bindings = bindings_of(prepared(layer(std::string(", stats=") + stats)));
    if (bindings.count("batch_norm_1.count")) bindings["batch_norm_1.count"].data = {6};
    const Evaluation step = evaluate(graph, bindings);
    for (size_t c = 0; c < 5; ++c) {
      double mean = 0, variance = 0;
      for (size_t first : {0, 4, 8}) {
        const auto [m, v] = moments(channel(bindings.at("x"), c, first, 4));
        mean += m / 3;
        variance += v * 12 / 11 / 3;
      }
      CHECK(step.updates.at("batch_norm_1.mean").data[c] ==
            doctest::Approx(moved(bindings.at("batch_norm_1.mean").data[c], mean)).epsilon(1e-10));
      CHECK(step.updates.at("batch_norm_1.variance").data[c] ==
            doctest::Approx(moved(bindings.at("batch_norm_1.variance").data[c], variance)).epsilon(1e-10));
    }
    if (bindings.count("batch_norm_1.count")) CHECK(step.updates.at("batch_norm_1.count").data[0] == 9);
  }
}

TEST_CASE("bn-ghost: generated training steps, with ghost batches of several sizes beside an ordinary batch norm") {
  Module images = parse_network("x: f32[N, 7, 5, 3]",
                                "h = relu(batch_norm(conv2d(x, 9, bias=false), ghost=4))\n h = batch_norm(conv2d(h, 5), ghost=6, "
                                "stats=cumulative)\nreturn y = dense(batch_norm(global_average_pool(h)), 3)",
                                "loss = softmax_cross_entropy(labels)\n optimizer = sgd(rate=0.1)");
  check_training(images, 24, 2e-5);
  Module rows = parse_network("x: f32[N, 13]", "return y = dense(sigmoid(batch_norm(dense(x, 21), ghost=8)), 3)",
                              "loss = softmax_cross_entropy(labels)\n optimizer = sgd(rate=0.1)");
  check_training(rows, 24, 2e-5);
}

TEST_CASE("bn-ghost: a batch that does not divide is refused, and the runtime counts examples") {
  const Network network = Network::from_text(
      "network net(x: f32[N, 6]) { return y = dense(batch_norm(dense(x, 7), ghost=4), 3) }\ntrain net {\n loss = "
      "softmax_cross_entropy(labels)\n optimizer = sgd(rate=0.1)\n batch = 8\n}\n",
      "net.bn");
  const WeightStore weights = network.initialize(1);
  CompileOptions options;
  options.mode = Mode::train;
  options.batch = 10;
  CHECK(message_of<Error>([&] {
          network.compile(options, weights);
        }).find("a batch of 10 examples does not divide into ghost batches of 4") != std::string::npos);
  options.batch = 8;
  Session session = network.compile(options, weights);
  session.bind("x", Array({8, 6}, std::vector<float>(48, 0.5F)));
  session.bind("labels", Array({8}, std::vector<int32_t>(8, 1)));
  session.run();
  CHECK(session.read("y").dims() == std::vector<int64_t>{8, 3});
  for (const GradientCheck& check : network.check_gradients(1)) CHECK(check.passed);
}
