// bnc verify: what differs is found, and in which layer; probes change nothing of what is folded.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <doctest/doctest.h>

#include "bnc/bnc.h"
#include "runtime/verification.h"
#include "runtime/weight_store.h"

using namespace bnc;

namespace {

constexpr const char* verified_network = R"(network net(x: f32[N, 8, 8, 3]) {
  h = relu(batch_norm(conv2d(x, 6, 3, padding=1, bias=false), name=first, epsilon=EPSILON))
  h = batch_norm(max_pool(h, 2), name=second)
  h = relu(conv2d(h, 5, 3, name=third))
  h = batch_norm(dense(flatten(h), 7), name=fourth)
  return dense(h, 3, name=fifth)
})";

Network with_epsilon(const std::string& epsilon) {
  std::string with = verified_network;
  with.replace(with.find("EPSILON"), 7, epsilon);
  return Network::from_text(with, "net.bn");
}

// Weights of which the batch norms do something.
WeightStore lively_weights(const Network& network) {
  WeightStore weights = network.initialize(4);
  for (const TensorInfo& info : network.parameters()) {
    const auto values = weights.values(info.name);
    std::vector<float> changed(values.begin(), values.end());
    for (size_t k = 0; k < changed.size(); ++k)
      if (info.name.ends_with("mean") || info.name.ends_with("beta")) changed[k] = 0.1f * static_cast<float>(k);
      else if (info.name.ends_with("variance") || info.name.ends_with("gamma")) changed[k] = 0.5f + 0.25f * static_cast<float>(k);
    weights.set(info.name, info.dims, changed);
  }
  return weights;
}

WeightStore with_one_changed(const WeightStore& from, const std::string& name, size_t place, float value) {
  WeightStore weights;
  for (const std::string& each : from.names()) {
    std::vector<float> values(from.values(each).begin(), from.values(each).end());
    if (each == name) values[place] = value;
    weights.set(each, from.dims(each), std::move(values));
  }
  return weights;
}

std::string first_wrong(const Verification& verification) {
  for (const LayerCheck& layer : verification.layers)
    if (!layer.passed) return layer.layer;
  return "";
}

std::vector<std::string> layers_of(const Verification& verification) {
  std::vector<std::string> names;
  for (const LayerCheck& layer : verification.layers) names.push_back(layer.layer);
  return names;
}

}  // namespace

TEST_CASE("verify: a network as it is compiled agrees with the evaluator in every layer that folding leaves") {
  const Network network = with_epsilon("1e-3");
  const WeightStore weights = lively_weights(network);
  for (const auto& batch : {std::optional<int64_t>(), std::optional<int64_t>(3)}) {
    const Verification verification = network.verify(weights, {.batch = batch});
    CHECK(verification.passed);
    CHECK(verification.worst < 1e-5);
    CHECK(verification.worst > 0);
    const std::vector<std::string> names = layers_of(verification);
    const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    CHECK(has("first"));          // folded into the convolution before it
    CHECK_FALSE(has("conv2d_1"));
    CHECK_FALSE(has("second"));   // folded into the convolution behind it
    CHECK(has("third"));
    CHECK(has("fourth"));
    CHECK(names.back().starts_with("output "));
    for (const LayerCheck& layer : verification.layers) {
      CAPTURE(layer.layer);
      REQUIRE(layer.folding_measured);
      CHECK(*layer.folding_measured < 20 * layer.folding_predicted + 1e-12);
      CHECK(layer.place.starts_with("net.bn:"));
    }
    const auto first = std::find_if(verification.layers.begin(), verification.layers.end(),
                                    [](const LayerCheck& layer) { return layer.layer == "first"; });
    CHECK(first->folding_predicted == doctest::Approx(std::sqrt(2 / 3.0) * std::ldexp(1.0, -24)));
  }
}

TEST_CASE("verify: a wrong weight and a fault in the graph are found where they begin") {
  const Network network = with_epsilon("1e-3"), faulty = with_epsilon("0.05");
  const WeightStore weights = lively_weights(network);
  const Verification other_epsilon = verify_against(faulty.data(), weights, network.data(), weights, {});
  CHECK_FALSE(other_epsilon.passed);
  CHECK(first_wrong(other_epsilon) == "first");
  for (const auto& [tensor, layer] : {std::pair("first.beta", "first"), std::pair("third.weight", "third"),
                                      std::pair("fourth.mean", "fourth"), std::pair("fifth.bias", "output fifth")}) {
    CAPTURE(tensor);
    const Verification found = verify_against(network.data(), with_one_changed(weights, tensor, 1, 2.5f), network.data(), weights, {});
    CHECK_FALSE(found.passed);
    CHECK(first_wrong(found).starts_with(std::string(layer).substr(0, 6)));
    CHECK(found.worst > 1e-3);
  }
  // Of a batch norm that is folded forward, in the layer it is folded into.
  CHECK(first_wrong(verify_against(network.data(), with_one_changed(weights, "second.mean", 1, 9), network.data(), weights, {})) ==
        "third");
}

TEST_CASE("verify: numbers beyond float32 are an error without end, and inputs may be given") {
  const Network network = Network::from_text("network n(x: f32[N, 4]) { return y = dense(relu(dense(x, 5)), 2) }");
  const WeightStore weights = with_one_changed(with_one_changed(network.initialize(1), "dense_1.weight", 0, 1e30f), "dense_2.weight", 0,
                                               1e30f);
  const NamedArrays inputs = {{"x", Array({2, 4}, std::vector<float>{1, 0, 0, 0, 0, 1, 0, 0})}};
  const Verification verification = network.verify(weights, {.inputs = inputs});
  CHECK_FALSE(verification.passed);
  CHECK(std::isinf(verification.worst));
  CHECK(verification.worst_layer == "output y");
  CHECK(network.verify(network.initialize(1), {.inputs = inputs}).passed);
  CHECK_THROWS_WITH_AS(network.verify(weights, {.inputs = {{"z", inputs[0].second}}}),
                       "error: there is no array `x` for the input of network `n` of that name", Error);
}
