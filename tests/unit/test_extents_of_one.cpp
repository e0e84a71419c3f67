// Layers any of whose extents is one: loops vanish, dimensions merge and indices become constants there. Frozen and in training,
// on every width of vectors, with the batch size known and not.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "support/generated_training.h"

using namespace bnc;
using test::CodeOptions;

namespace {

const std::vector<std::string> targets = {"native", "haswell", "x86-64"};

struct Extents {
  int64_t height, width, channels, filters;
};

std::vector<Extents> all_extents() {
  std::vector<Extents> all;
  for (int64_t height : {1, 3})
    for (int64_t width : {1, 4})
      for (int64_t channels : {1, 2})
        for (int64_t filters : {1, 3}) all.push_back({height, width, channels, filters});
  return all;
}

std::string filled(const std::string& layer, const Extents& e) {
  return fmt::format(fmt::runtime(layer), fmt::arg("F", e.filters), fmt::arg("C", e.channels), fmt::arg("CF", e.channels * e.filters));
}

// The layer with what usually stands around it: its result is read twice, once behind a map, and returned.
void check(const std::string& inputs, const std::string& layer, int variant) {
  INFO(inputs, "  ", layer);
  const CodeOptions options{
      .cpu = targets[static_cast<size_t>(variant) % targets.size()], .fixed_batch = variant % 2 == 0, .threads = 1 + variant % 3};
  {
    const Module frozen = test::parse_network(inputs, "h = " + layer + "\nreturn h, y = relu(h) + 0.5 * h");
    test::check_generated(frozen.main(), test::random_bindings(frozen.main(), 2), options, 4e-6);
  }
  if (variant % 3 != 0) return;   // a third of them in training too: three divides no number of extents
  Module module = test::parse_network(inputs, "h = " + layer + "\nreturn 0.5 * h + tanh(batch_norm(h, epsilon=0.1))",
                                      "loss = mean_squared_error(labels)\noptimizer = sgd(rate=0.1)");
  Graph step = module.main().clone();
  PassContext context = test::context_of(&*module.train, 3, options.cpu.c_str());
  run_passes(step, {"canonicalize", "prepare-training", "drop-dead-bias", "build-backward", "attach-optimizer"}, context);
  test::check_generated(step, test::random_bindings(step, 3), options, 1e-5);
}

}  // namespace

TEST_CASE("layers over images with extents of one") {
  const std::vector<std::string> layers = {
      "conv2d(x, {F}, 1)",
      "conv2d(x, {F}, 1, padding=1)",
      "conv2d(x, {F}, [3, 2], padding=1)",
      "conv2d(x, {F}, 1, stride=2, bias=false)",
      "conv2d(x, {CF}, 1, padding=1, groups={C})",
      "conv2d_transpose(x, {F}, 1, stride=2)",
      "conv2d_transpose(batch_norm(x, mode=infer), {F}, 3, stride=2, padding=1, bias=false)",
      "dense(flatten(x), {F})",
      "dense(x, {F})",
      "average_pool(x, 2, stride=1, padding=1)",
      "concat(max_pool(x, 1, padding=0), relu(x))",
  };
  int variant = 0;
  for (const std::string& layer : layers) {
    for (const Extents& e : all_extents())
      check(fmt::format("x: f32[N, {}, {}, {}]", e.height, e.width, e.channels), filled(layer, e), variant++);
  }
}

TEST_CASE("layers over lines and rows with extents of one") {
  int variant = 0;
  for (const Extents& e : all_extents()) {
    for (const char* layer : {"conv1d(x, {F}, 1, padding=1)", "conv1d(relu(x), {F}, 2, padding=1)"})
      check(fmt::format("x: f32[N, {}, {}]", e.width, e.channels), filled(layer, e), variant++);
    for (const char* layer : {"dense(x, {F})", "dense(sigmoid(dense(x, 1)), {F})", "sigmoid(dense(x, {F})) * dense(x, 1)"})
      check(fmt::format("x: f32[N, {}]", e.channels), filled(layer, e), variant++);
  }
}

TEST_CASE("sums over one product, read up to the edges") {
  int variant = 0;
  for (const char* layer : {"conv2d(x, 16, 1, padding=1)", "conv2d(x, 3, 1, padding=1, groups=1, bias=false)",
                            "conv2d_transpose(batch_norm(x, mode=infer), 1, 1, stride=2, padding=1, bias=false)"}) {
    for (int target = 0; target < 3; ++target) check("x: f32[N, 5, 4, 1]", layer, variant++);
  }
  check("x: f32[N, 9, 7, 4]", "conv2d(x, 4, 1, padding=1, groups=4)", 0);
  check("x: f32[N, 12, 1]", "conv1d(x, 16, 1, padding=1)", 0);
}
