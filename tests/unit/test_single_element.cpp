// bn-one: nothing is normalized by statistics of its own over a single element, unless the node says so.
#include <doctest/doctest.h>

#include <set>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "ir/op.h"
#include "ir/ops/statistics.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

Network returning(const std::string& body, const char* input = "x: f32[N, 5]") {
  return Network::from_text(
      fmt::format(
          "network net({}) {{\n  return {}\n}}\ntrain net {{\n  loss = mean_squared_error(target)\n  optimizer = sgd(rate=0.1)\n}}\n",
          input, body),
      "net.bn");
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void run(Session& session, int64_t examples) {
  session.bind("x", Array({examples, 5}, std::vector<float>(static_cast<size_t>(5 * examples), 1.5f)));
  session.run();
}

}  // namespace

TEST_CASE("bn-one: every op that normalizes by statistics of its own has the rule") {
  // Of what is handed to them, or kept with the weights; and the statistics alone.
  const std::set<std::string> others = {"normalize", "scale_shift", "preprocess", "moments"};
  int with_rule = 0;
  for (const OpDefinition& op : all_ops()) {
    if (op.category != OpCategory::normalization || others.count(op.name)) continue;
    INFO(op.name);
    CHECK(op.attribute("allow_single"));
    CHECK(std::find_if(op.constraints.begin(), op.constraints.end(),
                       [](const std::string& text) { return text.ends_with(ops::single_element_constraint()); }) != op.constraints.end());
    ++with_rule;
  }
  CHECK(with_rule == 7);
}

TEST_CASE("bn-one: statistics of one element whatever the batch are refused as the network is read") {
  const std::pair<const char*, const char*> cases[] = {
      {"instance_norm(x)", "x: f32[N, 1, 1, 5]"},
      {"group_norm(x, 5)", "x: f32[N, 5]"},
      {"layer_norm(x)", "x: f32[N, 5, 1]"},
      {"rms_norm(x)", "x: f32[N, 5, 1]"},
      {"standardize(x, axes=[1])", "x: f32[N, 1]"},
      {"min_max_normalize(x, axes=[1])", "x: f32[N, 1]"},
      {"batch_norm(x, axis=1, mode=train)", "x: f32[1, 5]"},
  };
  for (const auto& [call, input] : cases) {
    const std::string text = refusal([&] { returning(call, input); });
    CHECK_MESSAGE(text.find("net.bn:2:10: error: ") != std::string::npos, call << ": " << text);
    CHECK_MESSAGE(text.find("each statistic would be of a single element of f32[") != std::string::npos, call << ": " << text);
    CHECK(text.find("allow_single=true") != std::string::npos);
    std::string allowed(call);
    allowed.insert(allowed.size() - 1, ", allow_single=true");
    CHECK_MESSAGE(refusal([&] { returning(allowed, input); }).empty(), allowed);
  }
  for (const char* call : {"group_norm(x, 1)", "layer_norm(x)", "rms_norm(x)", "standardize(x)", "min_max_normalize(x, axes=[0])"})
    CHECK(refusal([&] { returning(call); }).empty());
}

TEST_CASE("bn-one: a batch of one example is refused where it leaves one element a statistic") {
  for (const char* call : {"standardize(x, axes=[0])", "min_max_normalize(x, axes=[0])"}) {
    INFO(call);
    const Network network = returning(call);
    const WeightStore weights = network.initialize(1);
    const std::string part = fmt::format(
        "net.bn:2:10: error: {} normalizes over one element: its operand `x` is f32[N, 5] and the batch size is 1, so its",
        std::string(call).substr(0, std::string(call).find('(')));
    const auto refused = [&](const std::string& text) { CHECK_MESSAGE(text.find(part) != std::string::npos, text); };
    refused(refusal([&] { network.compile({.batch = 1}, weights); }));
    refused(refusal([&] { network.compile({.mode = Mode::train, .batch = 1}, weights); }));
    Session any = network.compile({}, weights);
    refused(refusal([&] { run(any, 1); }));
    run(any, 2);
    CHECK(any.read("y").dims() == std::vector<int64_t>{2, 5});
    CHECK(refusal([&] { network.compile({.mode = Mode::train, .batch = 2}, weights); }).empty());
  }
  const Network whole = returning("standardize(x)");   // of five elements
  Session session = whole.compile({}, whole.initialize(1));
  run(session, 1);
  const Network allowed = returning("standardize(x, axes=[0], allow_single=true)");
  Session single = allowed.compile({}, allowed.initialize(1));
  run(single, 1);
  CHECK(single.read("y").floats()[0] == 0);
}

TEST_CASE("bn-one: evaluation leaves no batch of one example over, and statistics of a batch can be shown on one") {
  const TemporaryFolder folder;
  EvaluateOptions options;
  options.data = folder.path("d.npz");
  std::vector<float> x, y;
  for (int k = 0; k < 9 * 5; ++k) x.push_back(static_cast<float>(k * k % 17)), y.push_back(1);
  save_npz(options.data, {{"x", Array({9, 5}, x)}, {"y", Array({9, 5}, y)}});
  options.batch = 4;
  const Network standardized = returning("standardize(x, axes=[0])"), normalized = returning("batch_norm(x)");
  const EvaluationResult result = evaluate(standardized, standardized.initialize(1), options);
  CHECK(result.count == 9);
  CHECK(std::isfinite(result.loss));
  options.batch = 1;
  CHECK(refusal([&] { evaluate(standardized, standardized.initialize(1), options); }).find("the batch size is 1") != std::string::npos);
  options.batch_statistics = true;
  CHECK(evaluate(normalized, normalized.initialize(1), options).loss == doctest::Approx(1));
}
