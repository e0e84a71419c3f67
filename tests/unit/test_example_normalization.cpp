// layer_norm, rms_norm, group_norm, instance_norm and standardize: what they mean, how exact their generated code is, and that they
// stay in the kernels around them.
#include <doctest/doctest.h>

#include <set>

#include "ir/op.h"
#include "support/frontend.h"
#include "support/generated_training.h"
#include "support/op_cases.h"

using namespace bnc;
using namespace bnc::test;

namespace {

const char* train_section = "loss = softmax_cross_entropy(labels)\n optimizer = sgd(rate=0.1, momentum=0.9)";

// One of each op over images, with gamma and beta.
std::vector<OpCase> over_images() {
  const TensorType image = f32({N, {7}, {9}, {6}}), c = f32({{6}});
  return {{"layer_norm", {image, c, c}, {}, 3},
          {"layer_norm", {image, f32({{7}, {9}, {6}}), f32({{7}, {9}, {6}})}, {{"axes", IntList{1, 2, 3}}}, 3},
          {"rms_norm", {image, c}, {}, 3},
          {"group_norm", {image, c, c}, {{"groups", 2}}, 3},
          {"instance_norm", {image, c, c}, {}, 3},
          {"standardize", {image}, {}, 3},
          {"standardize", {image}, {{"axes", IntList{0, 1, 2}}}, 3}};
}

Tensor result_of(const OpCase& test, const Bindings& bindings) { return run_generated(make_graph(test).graph, bindings).at("output/y0"); }

std::set<int> kernels_of(Graph graph, int64_t batch) {
  PassContext context = context_of(nullptr, batch, "skylake-avx512");
  run_passes(graph, pipeline("inference"), context);
  std::set<int> kernels;
  for (const auto& node : graph.nodes())
    if (!node->op->lowering_as<SourceLowering>()) kernels.insert(node->kernel);
  return kernels;
}

}  // namespace

TEST_CASE("normalization by definition: layer, RMS, group and instance norm of two small examples") {
  const double e = 1e-5;
  auto evaluated = [](const OpCase& test, Tensor x) {
    return evaluate(make_graph(test).graph, {{"x0", std::move(x)}}).outputs.at("y0").data;
  };
  auto check = [](const std::vector<double>& got, const std::vector<double>& expected) {
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-12));
  };
  const Tensor rows{DType::f32, {2, 2}, {1, 3, -4, 4}};
  const double a = 1 / std::sqrt(1 + e), b = 4 / std::sqrt(16 + e);
  check(evaluated({"layer_norm", {f32({N, {2}}), {}, {}}}, rows), {-a, a, -b, b});
  check(evaluated({"rms_norm", {f32({N, {2}}), {}}}, rows), {1 / std::sqrt(5 + e), 3 / std::sqrt(5 + e), -b, b});
  const double c = 2.5 / std::sqrt(6.25 + e), d = 0.5 / std::sqrt(0.25 + e);
  check(evaluated({"standardize", {f32({N, {2}})}, {{"axes", IntList{0}}}}, rows), {c, -d, -c, d});
  // One example of two pixels with four channels, in groups of two.
  const Tensor pixels{DType::f32, {1, 2, 4}, {0, 2, 5, 5, 2, 0, 7, 7}};
  check(evaluated({"group_norm", {f32({N, {2}, {4}}), {}, {}}, {{"groups", 2}}}, pixels), {-a, a, -a, -a, a, -a, a, a});
  check(evaluated({"instance_norm", {f32({N, {2}, {4}}), {}, {}}}, pixels), {-a, a, -a, -a, a, -a, a, a});
  const double whole = std::sqrt(7.25 + e);
  check(evaluated({"group_norm", {f32({N, {2}, {4}}), {}, {}}, {{"groups", 1}}}, pixels),
        {-3.5 / whole, -1.5 / whole, 1.5 / whole, 1.5 / whole, -1.5 / whole, -3.5 / whole, 3.5 / whole, 3.5 / whole});
}

TEST_CASE("standardization of a mini-batch is batch norm with gamma 1 and beta 0") {
  const TensorType images = f32({N, {32}, {32}, {1}}), c = f32({{1}});
  const OpCase batch_norm{"batch_norm", {images, c, c, c, c, {}}, {{"mode", "train"}}, 10}, standardize{"standardize", {images}, {}, 10};
  Bindings bindings = make_bindings(batch_norm, 3);
  for (double& x : bindings.at("x0").data) x = static_cast<float>(26 + 17.5 * x);
  bindings.at("x1").data = {1};
  bindings.at("x2").data = {0};
  CHECK(relative_error(result_of(standardize, bindings), result_of(batch_norm, bindings)) <= 1e-6);
}

TEST_CASE("a mean far larger than the deviation costs no digits of the result, and equal elements give beta") {
  for (const OpCase& test : over_images()) {
    INFO(test.describe());
    Bindings bindings = make_bindings(test, 8);
    for (double& x : bindings.at("x0").data) x = static_cast<float>(1e4 + 0.5 * x);
    check_generated(make_graph(test).graph, bindings, {}, 1e-5);
    if (test.op == "rms_norm") continue;
    for (double& x : bindings.at("x0").data) x = static_cast<float>(1e4 / 3);
    const Tensor y = result_of(test, bindings);
    for (size_t i = 0; i < y.data.size(); ++i) {
      const double beta = test.operands.size() == 3 ? bindings.at("x2").data[i % bindings.at("x2").data.size()] : 0;
      REQUIRE(std::abs(y.data[i] - beta) < 1e-3);
    }
  }
}

TEST_CASE("NaN and infinity spoil the example they stand in, and no other") {
  for (const OpCase& test : over_images()) {
    if (test.op == "standardize") continue;
    for (const double bad : {NAN, INFINITY}) {
      INFO(test.describe(), " of ", bad);
      Bindings bindings = make_bindings(test, 8);
      const Tensor clean = result_of(test, bindings);
      const size_t example = clean.data.size() / 3, at = example + 7;
      bindings.at("x0").data[at] = bad;
      const Tensor y = result_of(test, bindings);
      CHECK(std::isnan(y.data[at]));
      for (size_t i = 0; i < y.data.size(); ++i)
        if (i / example != 1) REQUIRE(y.data[i] == clean.data[i]);
    }
  }
}

TEST_CASE("a dense layer, its normalization and its activation are one kernel, and so are those of a convolution") {
  for (const char* norm : {"layer_norm(h)", "rms_norm(h)"}) {
    INFO(norm);
    CHECK(kernels_of(graph_of_body(std::string("h = dense(x, 320)\n h = relu(") + norm + ")\n return dense(h, 10)", "x: f32[N, 256]"), 64)
              .size() == 1);
  }
  for (const char* norm : {"group_norm(h, 4)", "instance_norm(h)", "layer_norm(h)"}) {
    INFO(norm);
    CHECK(kernels_of(graph_of_body(std::string("h = conv2d(x, 32)\n return relu(") + norm + ")", "x: f32[N, 16, 16, 8]"), 64).size() == 1);
  }
}

TEST_CASE("training steps with normalization by example agree with the reference") {
  for (const char* norm :
       {"layer_norm(h)", "layer_norm(h, axes=[1, 2, 3], beta=false)", "rms_norm(h)", "group_norm(h, 3)", "instance_norm(h, gamma=false)"}) {
    INFO(norm);
    Module module = parse_network("x: f32[N, 9, 7, 5]",
                                  std::string("h = conv2d(x, 21)\n h = tanh(") + norm + ")\n return y = dense(global_average_pool(h), 3)",
                                  train_section);
    check_training(module, 5, 2e-5);
  }
  for (const char* norm : {"layer_norm(h)", "group_norm(h, 5)", "standardize(h)"}) {
    INFO(norm);
    Module module = parse_network("x: f32[N, 37]", std::string("h = dense(x, 45)\n h = sigmoid(") + norm + ")\n return y = dense(h, 3)",
                                  train_section);
    check_training(module, 19, 2e-5);
  }
}
