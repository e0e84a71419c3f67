// Expressions of weights in blocks, against each op's own evaluation.
#include "ir/evaluate_weights.h"

#include "support/random_network.h"

using namespace bnc;
using namespace bnc::test;

namespace {

void check_rounded(RandomNetwork& net, Value value) {
  net.output(value);
  const Tensor expected = evaluate(net.graph, net.bindings).outputs.at("y0");
  const Weights weights = weights_of(net);
  WeightEvaluator evaluator(weights);
  const Weight rounded = evaluator.rounded(value);
  CHECK(rounded.dims == expected.dims);
  REQUIRE(rounded.data.size() == expected.data.size());
  for (size_t i = 0; i < expected.data.size(); ++i) {
    // Its weights are f32, those of the network in float64.
    REQUIRE(rounded.data[i] == doctest::Approx(expected.data[i]).epsilon(1e-6));
  }
  CHECK(evaluator.value(value).data.size() == expected.data.size());
}

}  // namespace

TEST_SUITE("expressions of weights") {
  TEST_CASE("a weight scaled along each of its axes, over several blocks") {
    for (const std::vector<int64_t>& dims :
         {std::vector<int64_t>{9}, {37, 1}, {3, 1, 9}, {2, 1, 37, 1}, {2, 3, 1, 9}, {2, 1, 1, 1}, {1}, {}}) {
      RandomNetwork net(3);
      GraphBuilder& b = net.builder();
      const Value weight = net.parameter(shape_of({2, 3, 37, 9})), scale = net.parameter(shape_of(dims));
      check_rounded(net, b.sub(b.mul(weight, scale), b.add(scale, net.parameter(shape_of({9})))));
    }
  }

  TEST_CASE("sums along one axis, and over several") {
    for (const IntList& axes : {IntList{0}, {1}, {2}, {-1}, {0, 2}, {}})
      for (const bool keep : {true, false}) {
        RandomNetwork net(7);
        GraphBuilder& b = net.builder();
        const Value product = b.mul(net.parameter(shape_of({2, 3, 37, 9})), net.parameter(shape_of({37, 1})));
        check_rounded(net, b.value("reduce_sum", {product}, {{"axes", axes}, {"keep_dims", keep}}));
      }
  }

  TEST_CASE("through reshapes, sums and other ops") {
    RandomNetwork net(5);
    GraphBuilder& b = net.builder();
    const Value weight = net.parameter(shape_of({3, 100, 7})), scale = net.parameter(shape_of({7}));
    const Value product = b.mul(b.reshape(weight, shape_of({300, 7})), b.value("exp", {scale}));
    const Value sums = b.value("reduce_sum", {b.mul(product, product)}, {{"axes", IntList{0}}});
    check_rounded(net, b.add(b.value("transpose", {product}), b.reshape(sums, shape_of({7, 1}))));
  }

  TEST_CASE("it is rounded once: products whose parts f32 does not hold") {
    RandomNetwork net(6);
    GraphBuilder& b = net.builder();
    const Value weight = net.parameter(shape_of({3}));
    for (double& element : net.bindings.at(weight.name()).data) element = 1 + std::ldexp(1.0, -23);
    const Value square = b.mul(weight, weight), difference = b.sub(square, b.mul(weight, b.constant(1 + std::ldexp(1.0, -22))));
    const Weights weights = weights_of(net);
    WeightEvaluator evaluator(weights);
    CHECK(evaluator.rounded(difference).data[0] == -static_cast<float>(std::ldexp(1.0 + std::ldexp(1.0, -23), -23)) + 0.0f);
  }
}
