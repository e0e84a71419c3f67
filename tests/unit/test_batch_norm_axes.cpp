// Batch norm over any axis as generated code: the forward pass, all gradients and the updates of the statistics.
#include <doctest/doctest.h>

#include "support/generated_code.h"
#include "support/passes.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// A training step's values and gradients, as a graph.
Graph training_graph(const std::string& inputs, const std::string& body) {
  Module module = parse_network(inputs, body, "loss = mean_squared_error(target)\noptimizer = sgd(rate=0.1)");
  Graph graph = std::move(module.main());
  PassContext context;
  context.train = &*module.train;
  run_passes(graph, {"canonicalize", "prepare-training", "build-backward"}, context);
  return graph;
}

void check_step(const Graph& graph, int64_t batch) {
  const Bindings bindings = random_bindings(graph, batch);
  for (const char* cpu : {"native", "x86-64"})
    for (bool fixed : {true, false}) {
      CodeOptions options;
      options.cpu = cpu;
      options.fixed_batch = fixed;
      check_generated(graph, bindings, options, 5e-5);  // f32 sums of terms of both signs
    }
}

}  // namespace

TEST_CASE("bn-train and bn-backward: channels on any axis, at unequal sizes") {
  for (const char* axis : {"1", "2", "-1"}) {
    INFO("axis ", std::string(axis));
    check_step(training_graph("x: f32[N, 5, 3, 18]", std::string("return y = sigmoid(batch_norm(x, axis=") + axis + "))"), 6);
  }
  check_step(training_graph("x: f32[N, 19, 4]", "return y = batch_norm(tanh(x), axis=1)"), 9);
}

TEST_CASE("channels first, many rows: convolution, batch norm over axis 1 and pooling") {
  check_step(training_graph("x: f32[N, 14, 13, 2]", R"(
    h = transpose(conv2d(x, 6, bias=false), permutation=[0, 3, 1, 2])
    h = relu(batch_norm(h, axis=1))
    return y = max_pool(transpose(h, permutation=[0, 2, 3, 1]), 3, stride=2, padding=1))"), 5);
}

TEST_CASE("a convolutional step with pooling, concatenation and global pooling") {
  check_step(training_graph("x: f32[N, 13, 11, 3]", R"(
    h = max_pool(relu(batch_norm(conv2d(x, 12, bias=false))), 3, stride=2, padding=1)
    h = concat(h, conv2d(prelu(batch_norm(h)), 20, bias=false))
    h = average_pool(relu(batch_norm(h)), 2)
    return y = dense(global_average_pool(resize(h, scale=2, mode=bilinear)), 7))"), 4);
}
