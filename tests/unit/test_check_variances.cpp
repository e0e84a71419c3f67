// Stored variances below zero (bn-stored-variance): refused or set to zero, never silently used.
#include "support/random_network.h"
#include "passes/graph/check_variances.h"

using namespace bnc;
using namespace bnc::test;

namespace {

struct Stored {
  RandomNetwork net{1};
  Weights weights;

  explicit Stored(std::vector<float> variance, const char* mode = "infer") {
    const int64_t channels = static_cast<int64_t>(variance.size());
    net.output(net.batch_norm(net.relu(net.input(batched({channels}))), -1, mode));  // epsilon = 1e-3
    weights.set("variance", Weight::owned({channels}, std::move(variance)));
  }
};

std::string refusal(Stored& stored) {
  try {
    check_running_variances(stored.net.graph, stored.weights);
  } catch (const CompileError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("check_running_variances") {
  TEST_CASE("variance + epsilon <= 0 is refused, naming tensor, channel and value") {
    for (const float value : {-0.25f, -1.0f, -INFINITY}) {
      Stored stored({1, 2, value, 4});
      const std::string text = refusal(stored);
      CHECK(text.find("`variance`") != std::string::npos);
      CHECK(text.find("channel 2") != std::string::npos);
      CHECK(text.find(fmt::format("{}", value)) != std::string::npos);
      CHECK(text.find("help:") != std::string::npos);
    }
  }

  TEST_CASE("slightly negative ones become zero, with a warning") {
    Stored stored({1, -1e-5f, 3, -2e-5f});
    const auto warnings = check_running_variances(stored.net.graph, stored.weights);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].severity == Severity::warning);
    CHECK(warnings[0].text.find("`variance` holds -2e-05 in channel 3 (and 1 more") != std::string::npos);
    const auto values = stored.weights.find("variance")->data;
    CHECK(std::vector<float>(values.begin(), values.end()) == std::vector<float>{1, 0, 3, 0});
  }

  TEST_CASE("zero, denormal and huge variances, and NaN, pass without a word") {
    Stored stored({0, 1e-42f, 1e9f, NAN});
    CHECK(check_running_variances(stored.net.graph, stored.weights).empty());
    CHECK(std::isnan(stored.weights.find("variance")->data[3]));
  }

  TEST_CASE("a batch norm in training mode does not use its stored variance") {
    Stored stored({-1, 2, 3}, "train");
    CHECK(check_running_variances(stored.net.graph, stored.weights).empty());
  }

  TEST_CASE("fold-batch-norm checks the weights it is given") {
    Stored refused({1, -1, 3}), clamped({1, -1e-5f, 3});
    PassContext context;
    context.weights = &refused.weights;
    CHECK_THROWS_AS(fold_batch_norm(refused.net.graph, context), CompileError);
    context.weights = &clamped.weights;
    fold_batch_norm(clamped.net.graph, context);
    CHECK(context.warnings.size() == 1);
  }
}
