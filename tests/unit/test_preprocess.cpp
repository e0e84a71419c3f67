// preprocess: measured on the training set, stored with the weights, embedded and folded where a network is frozen.
#include <doctest/doctest.h>

#include <cmath>

#include "bnc/bnc.h"
#include "support/files.h"
#include "support/passes.h"

using namespace bnc;
using namespace bnc::test;

namespace {

constexpr int64_t example_count = 53, height = 2, width = 3, channels = 2, size = height * width * channels;

std::string network_text(const std::string& call, const std::string& input = "x: f32[N, 2, 3, 2]") {
  return "network net(" + input + ") {\n  h = " + call + "\n  return y = dense(flatten(h), 3)\n}\n"
         "train net {\n  loss = softmax_cross_entropy(labels)\n  optimizer = sgd(rate=0.01)\n  batch = 7\n  steps = 1\n}\n";
}

// Elements around 40 with deviations that differ by place; the one at place 5 is always 9.
std::vector<float> examples() {
  RandomStream random(4, "examples");
  std::vector<float> x;
  for (int64_t k = 0; k < example_count; ++k)
    for (int64_t p = 0; p < size; ++p) x.push_back(p == 5 ? 9 : static_cast<float>(40 + static_cast<double>(p + 1) * random.normal()));
  return x;
}

WeightStore trained(const Network& network, const TemporaryFolder& folder) {
  const std::string path = folder.path("data.npz");
  std::vector<int32_t> y;
  for (int64_t k = 0; k < example_count; ++k) y.push_back(static_cast<int32_t>(k % 3));
  save_npz(path, {{"x", Array({example_count, height, width, channels}, examples())}, {"y", Array({example_count}, y)}});
  TrainOptions options;
  options.data = path;
  options.out = folder.path("run");
  train(network, options);
  return WeightStore::load(folder.path("run/weights.safetensors"));
}

// Mean and deviation, or minimum and range, of the elements whose place modulo `places` is `place`.
std::pair<double, double> expected(size_t place, size_t places, bool min_max) {
  const std::vector<float> x = examples();
  double n = 0, mean = 0, squares = 0, low = INFINITY, high = -INFINITY;
  for (size_t p = place; p < x.size(); p += places)
    ++n, mean += x[p], low = std::min<double>(low, x[p]), high = std::max<double>(high, x[p]);
  mean /= n;
  for (size_t p = place; p < x.size(); p += places) squares += (x[p] - mean) * (x[p] - mean);
  return min_max ? std::pair(low, high - low) : std::pair(mean, std::sqrt(squares / n));
}

std::string training_error(const std::string& call) {
  const TemporaryFolder folder;
  const Network network = Network::from_text(network_text(call), "net.bn");
  return message_of<Error>([&] { trained(network, folder); });
}

}  // namespace

TEST_CASE("training measures what preprocess asks for, of all, of channels and of elements") {
  for (const bool min_max : {false, true})
    for (const auto& [per, places] : {std::pair<const char*, size_t>{"all", 1}, {"channel", 2}, {"element", 12}}) {
      INFO(per, " ", min_max);
      const TemporaryFolder folder;
      const Network network = Network::from_text(
          network_text(std::string("preprocess(x, ") + (min_max ? "min_max" : "standardize") + ", per=" + per + ")"), "net.bn");
      const WeightStore weights = trained(network, folder);
      const auto offset = weights.values("preprocess_1.offset"), scale = weights.values("preprocess_1.scale");
      REQUIRE(offset.size() == places);
      for (size_t p = 0; p < places; ++p) {
        const auto [mean, deviation] = expected(p, places, min_max);
        CHECK(offset[p] == doctest::Approx(mean).epsilon(1e-7));
        CHECK(scale[p] == doctest::Approx(deviation == 0 ? 1 : deviation).epsilon(1e-7));
      }
    }
}

TEST_CASE("a frozen network takes raw input: the statistics fold into its first layer where they are those of channels") {
  for (const auto& [call, folds] : {std::pair{"preprocess(x)", true},
                                    {"preprocess(x, min_max, per=channel)", true},
                                    {"conv2d(preprocess(x, per=channel), 4, padding=1)", true},
                                    {"preprocess(x, per=element)", false}}) {
    INFO(call);
    const TemporaryFolder folder;
    const Network network = Network::from_text(network_text(call), "net.bn");
    const WeightStore weights = trained(network, folder);
    const std::vector<float> x = examples();
    const NamedArrays inputs = {{"x", Array({example_count, height, width, channels}, x)}};
    const Array reference = network.evaluate_reference({}, weights, inputs)[0].second;
    Session session = network.compile({}, weights);
    session.bind("x", inputs[0].second);
    session.run();
    const Array y = session.read("y");
    for (size_t p = 0; p < y.floats().size(); ++p) CHECK(y.floats()[p] == doctest::Approx(reference.floats()[p]).epsilon(1e-4));

    Graph graph = parse_module(make_source(network_text(call))).main().clone();
    PassContext context;
    run_passes(graph, {"canonicalize", "freeze", "fold-batch-norm"}, context);
    CHECK(graph.nodes_of("preprocess").empty() == folds);
    CHECK(graph.nodes_of("scale_shift").empty());
  }
}

TEST_CASE("statistics that are given stay as they are, and weights that nobody trained leave the input alone") {
  const TemporaryFolder folder;
  const Network given = Network::from_text(network_text("preprocess(x, given, offset=constant(value=0.25), scale=constant(value=3))"),
                                           "net.bn");
  const WeightStore weights = trained(given, folder);
  CHECK(weights.values("preprocess_1.offset")[0] == 0.25F);
  CHECK(weights.values("preprocess_1.scale")[0] == 3.0F);
  const WeightStore fresh = Network::from_text(network_text("preprocess(x)"), "net.bn").initialize(1);
  CHECK(fresh.values("preprocess_1.offset")[0] == 0.0F);
  CHECK(fresh.values("preprocess_1.scale")[0] == 1.0F);
}

TEST_CASE("preprocess measures what is computed from the input alone, through views and arithmetic") {
  const TemporaryFolder folder;
  const Network network = Network::from_text(network_text("preprocess(flatten(x) * 2, per=element)"), "net.bn");
  const WeightStore weights = trained(network, folder);
  const auto [mean, deviation] = expected(7, 12, false);
  CHECK(weights.values("preprocess_1.offset")[7] == doctest::Approx(2 * mean).epsilon(1e-7));
  CHECK(weights.values("preprocess_1.scale")[7] == doctest::Approx(2 * deviation).epsilon(1e-7));
  const std::string behind = training_error("preprocess(dense(x, 4))"), twice = training_error("preprocess(preprocess(x))");
  for (const std::string& text : {behind, twice}) {
    CHECK(contains(text, "net.bn:2:"));
    CHECK(contains(text, "its operand is not computed from the input `x` alone"));
  }
  CHECK(contains(training_error("preprocess(x, offset=reduce_mean(flatten(x), axes=[0, 1]))"), "the offset of preprocess is given"));
  CHECK(contains(training_error("preprocess(log(x * 0))"), "is not finite for all examples"));
}
