// Folded networks as generated code against the unfolded ones: folding in front of and behind convolutions of every kind.
#include "support/generated_code.h"
#include "support/random_network.h"

using namespace bnc;
using namespace bnc::test;

namespace {

void check_folded_code(RandomNetwork& net) {
  for (auto& [name, tensor] : net.bindings)
    for (double& element : tensor.data)
      element = static_cast<float>(name.starts_with("variance") ? 0.5 + std::abs(element) / 1e9 : element);
  CodeOptions options;
  options.passes = {"canonicalize",  "fold-batch-norm",       "canonicalize", "decompose",
                    "constant-fold", "common-subexpressions", "dead-code",    "fuse"};
  for (options.threads = 1; options.threads <= 2; ++options.threads) check_generated(net.graph, net.bindings, options, 5e-6);
}

}  // namespace

TEST_SUITE("folded networks as generated code") {
  TEST_CASE("behind relu, in front of a padded, strided, grouped convolution with a bias") {
    for (const int64_t groups : {1, 2, 6}) {
      CAPTURE(groups);
      RandomNetwork net(201);
      const Value x = net.relu(net.input(batched({13, 11, 6})));
      const Value y = net.convolution(net.batch_norm(x), 3, 5, 18,
                                      {{"padding", IntList{1, 2, 2, 1}}, {"stride", IntList{2, 1}}, {"groups", groups}});
      net.output(net.relu(net.batch_norm(net.bias(y))));
      check_folded_code(net);
    }
  }

  TEST_CASE("a residual block behind a transposed convolution, with pooling") {
    RandomNetwork net(202);
    const Value weight = net.parameter(shape_of({3, 2, 5, 6}), "weight");
    const Value up = net.builder().value(
        "convolution_input_gradient", {net.input(batched({5, 4, 6})), weight},
        {{"size", IntList{11, 12}}, {"stride", IntList{2, 3}}, {"groups", 3}, {"padding", IntList{0, 0, 0, 1}}});
    const Value x = net.relu(net.batch_norm(up));
    const Value branch = net.batch_norm(
        net.convolution(net.relu(net.batch_norm(net.convolution(x, 1, 1, 7))), 3, 3, 15, {{"padding", IntList{1, 1, 1, 1}}}));
    const Value pooled = net.builder().value("average_pool", {net.builder().add(branch, x)},
                                             {{"kernel", IntList{2, 3}}, {"padding", IntList{1}}});
    net.output(net.builder().value("reduce_mean", {net.batch_norm(pooled)}, {{"axes", IntList{1, 2}}}));
    check_folded_code(net);
  }
}
