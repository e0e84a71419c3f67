// Every op as generated code, and its documented example, against the reference evaluator.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "frontend/frontend.h"
#include "ir/op.h"
#include "support/generated_code.h"
#include "support/op_cases.h"

using namespace bnc;
using namespace bnc::test;

namespace {

std::string example_network(const OpDefinition& op) {
  return "network example(" + op.example_inputs + ") {\n  return y = " + op.example + "\n}\n";
}

}  // namespace

TEST_CASE("generated code of every op agrees with its evaluation") {
  for (const OpCase& test : op_cases())
    for (bool fixed_batch : {true, false}) {
      CodeOptions options;
      options.fixed_batch = fixed_batch;
      INFO(test.describe());
      check_generated(make_graph(test).graph, make_bindings(test, 4), options, 3e-6);
    }
}

TEST_CASE("the example of every op is a network, and compiles") {
  for (const OpDefinition& op : all_ops()) {
    if (op.category == OpCategory::source && op.name != "constant") continue;
    const std::string text = example_network(op);
    INFO(text);
    Module module = parse_module(make_source(text));
    const Graph& graph = module.main();
    bool found = false;
    for (const auto& node : graph.nodes()) found |= node->op == &op;
    CHECK(found);
    for (int64_t batch : {1, 17}) {
      Bindings bindings = test::random_bindings(graph, batch);
      for (auto& [name, tensor] : bindings)
        if (op.name == "log" || op.name == "sqrt" || op.name == "rsqrt" || name == "v")
          for (double& element : tensor.data) element = static_cast<float>(0.5 + std::fabs(element));
      CodeOptions options;
      options.fixed_batch = batch == 17;
      check_generated(graph, bindings, options, 3e-6);
    }
  }
}

TEST_CASE("a logit of minus infinity outside of the target class counts for nothing in the loss") {
  Graph graph = make_graph({"softmax_cross_entropy", {f32({N, {3}}), i32({N})}}).graph;
  const Bindings bindings = {{"x0", {DType::f32, {2, 3}, {1, -INFINITY, 2, 0, 0, -INFINITY}}}, {"x1", {DType::i32, {2}, {0, 1}}}};
  const double expected = (std::log(1 + std::exp(1.0)) + std::log(2.0)) / 2;
  CHECK(evaluate(graph, bindings).outputs.at("y0").data[0] == doctest::Approx(expected).epsilon(1e-14));
  check_generated(graph, bindings);

  // Its gradient is 0, and so is that of the loss by it.
  Module module = parse_module(make_source(
      "network net(x: f32[N, 3]) { return x }\ntrain net {\n loss = softmax_cross_entropy(labels)\n optimizer = sgd(rate=0.1)\n}\n"));
  PassContext context;
  context.train = &*module.train;
  run_passes(module.main(), {"prepare-training", "build-backward"}, context);
  const Bindings step = {{"x", bindings.at("x0")}, {"labels", bindings.at("x1")}};
  const Tensor gradient = evaluate(module.main(), step).gradients.at("x");
  const double p = 1 / (1 + std::exp(1.0));
  for (size_t i = 0; const double expected : {p / 2 - 0.5, 0.0, (1 - p) / 2, 0.25, -0.25, 0.0})
    CHECK(gradient.data[i++] == doctest::Approx(expected).epsilon(1e-14));
  check_generated(module.main(), step);
}

TEST_CASE("where nothing counts, loss and gradients are 0") {
  struct Nothing {
    const char *loss, *labels;
  };
  for (const auto& [loss, labels] : {Nothing{"softmax_cross_entropy(x, y, ignore=[0, 1, 2, 255])", "i32[N]"},
                                     {"softmax_cross_entropy(x, y, class_weights=[0, 0, 0], smoothing=0.1)", "i32[N]"},
                                     {"softmax_cross_entropy(x, y, weights=w)", "i32[N]"},
                                     {"multi_class_hinge(x, y, ignore=[2, 1, 0])", "i32[N]"},
                                     {"kl_divergence(x, y, w)", "f32[N, 3]"},
                                     {"softmax_cross_entropy_with_probabilities(x, y, w)", "f32[N, 3]"},
                                     {"mean_absolute_error(x, y, w)", "f32[N, 3]"},
                                     {"binary_cross_entropy_with_logits(x, y, w, positive_weight=2)", "f32[N, 3]"}}) {
    Module module = parse_module(make_source(fmt::format(
        "network net(x: f32[N, 3], y: {}, w: f32[N]) {{\n  l = {}\n  objective l\n}}\n", labels, loss)));
    Graph& graph = module.main();
    PassContext context;
    run_passes(graph, {"build-backward"}, context);
    Bindings bindings = test::random_bindings(graph, 5);
    bindings["w"] = Tensor::filled(DType::f32, {5}, 0);
    const Evaluation result = evaluate(graph, bindings);
    INFO(loss);
    CHECK(result.loss == 0);
    for (const double slope : result.gradients.at("x").data) CHECK(slope == 0);
    check_generated(graph, bindings);
  }
}
