// What fuse makes of networks over images: which nodes share a kernel, what is stored, and that the values are right.
#include <doctest/doctest.h>

#include <set>

#include "ir/op.h"

#include "support/generated_training.h"
#include "support/passes.h"

using namespace bnc;

namespace {

const std::string image_training = "loss = softmax_cross_entropy(labels)\n optimizer = sgd(rate=0.1, momentum=0.9)";

struct Fused {
  Graph graph;
  loops::Program program;
};

// The training step (or the frozen network) of a module, fused and lowered, for a target with wide vectors.
Fused fused(Module& module, bool training, std::optional<int64_t> batch) {
  Fused result{module.main().clone(), {}};
  PassContext context = test::context_of(training ? &*module.train : nullptr, batch, "skylake-avx512");
  run_passes(result.graph, pipeline(training ? "training" : "inference"), context);
  result.program = lower_to_loops(result.graph, context);
  plan_memory(result.program, context);
  return result;
}

std::vector<const Node*> nodes_of(const Graph& graph, const std::string& op) {
  std::vector<const Node*> found;
  for (const auto& node : graph.nodes()) {
    if (node->op->name == op) found.push_back(node.get());
  }
  return found;
}

// The elements of everything the step stores in the arena, an example.
int64_t arena_elements(const loops::Program& program, int64_t at_least) {
  int64_t elements = 0;
  for (const loops::Buffer& buffer : program.buffers) {
    if (buffer.kind == loops::BufferKind::arena && buffer.elements.factor >= at_least) elements += buffer.elements.factor;
  }
  return elements;
}

bool is_stored(const loops::Program& program, const Node& node) { return program.find_buffer("%" + node.results[0].name) >= 0; }

const char* residual_net = R"(
  parameter w1: f32[3, 3, 8, 24] = normal(deviation=0.2)
  parameter w2: f32[3, 3, 24, 20] = normal(deviation=0.2)
  parameter w3: f32[1, 1, 8, 20] = normal(deviation=0.2)
  h = relu(batch_norm(convolution(x, w1, padding=[1, 1, 1, 1])))
  h = relu(batch_norm(convolution(h, w2, padding=[1, 1, 1, 1])) + convolution(x, w3))
  return y = dense(global_average_pool(h), 3)
)";

}  // namespace

TEST_CASE("a training step of convolutions stores raw results only, and moments ride in the kernel that computes them") {
  Module module = test::parse_network("x: f32[N, 19, 23, 8]", R"(
    parameter w1: f32[3, 3, 8, 24] = normal(deviation=0.2)
    parameter w2: f32[3, 3, 24, 40] = normal(deviation=0.2)
    h = relu(batch_norm(convolution(x, w1, padding=[1, 1, 1, 1])))
    h = relu(batch_norm(convolution(h, w2, stride=[2, 2])))
    return y = dense(global_average_pool(h), 3)
  )", image_training);
  const Fused step = fused(module, true, 16);
  INFO(print(step.graph));
  const auto convolutions = nodes_of(step.graph, "convolution"), moments = nodes_of(step.graph, "moments");
  REQUIRE(convolutions.size() == 2);
  REQUIRE(moments.size() == 2);
  for (size_t i = 0; i < 2; ++i) CHECK(moments[i]->kernel == convolutions[i]->kernel);
  CHECK(convolutions[0]->kernel < convolutions[1]->kernel);
  for (const char* op : {"normalize", "scale_shift", "relu", "batch_norm_input_gradient"}) {
    const auto nodes = nodes_of(step.graph, op);
    CHECK(!nodes.empty());
    for (const Node* node : nodes) CHECK_FALSE(is_stored(step.program, *node));
  }
  // The second convolution computes the first layer's activation itself.
  const Node* activation = convolutions[1]->operands[0].node;
  CHECK(activation->is("relu"));
  CHECK(activation->kernel == convolutions[1]->kernel);
  // So do the weight gradient, on both sides, and the input gradient.
  for (const char* op : {"convolution_input_gradient", "convolution_weight_gradient"}) {
    for (const Node* node : nodes_of(step.graph, op)) {
      for (const Value& operand : node->operands) {
        if (operand && operand.node->is("batch_norm_input_gradient")) CHECK(operand.node->kernel == node->kernel);
      }
    }
  }
  // Both raw results, both gradients of the activations, nothing else.
  const int64_t first = 16 * 19 * 23 * 24, second = 16 * 9 * 11 * 40;
  CHECK(arena_elements(step.program, second) <= 2 * first + 2 * second);
}

TEST_CASE("the sums of a batch norm's gradient ride in the kernel that computes its gradient") {
  Module module = test::parse_network("x: f32[N, 16, 16, 8]", R"(
    parameter w1: f32[3, 3, 8, 24] = normal(deviation=0.2)
    parameter w2: f32[3, 3, 24, 24] = normal(deviation=0.2)
    h = relu(batch_norm(convolution(x, w1, padding=[1, 1, 1, 1])))
    h = relu(batch_norm(convolution(h, w2, padding=[1, 1, 1, 1])))
    return y = dense(global_average_pool(h), 3)
  )", image_training);
  const Fused step = fused(module, true, 16);
  INFO(print(step.graph));
  const auto gradients = nodes_of(step.graph, "convolution_input_gradient");
  REQUIRE(gradients.size() == 1);
  std::set<std::string> there;
  int sums = 0;
  for (const auto& node : step.graph.nodes()) {
    if (node->kernel != gradients.front()->kernel) continue;
    there.insert(node->op->name);
    sums += node->is("reduce_sum");
  }
  CHECK(there.count("relu_gradient") == 1);
  CHECK(sums == 2);
  CHECK_FALSE(is_stored(step.program, *gradients.front()));
}

TEST_CASE("a residual join that several read is stored once") {
  Module module = test::parse_network("x: f32[N, 16, 16, 24]", R"(
    parameter w1: f32[1, 1, 24, 24] = normal(deviation=0.2)
    parameter w2: f32[1, 1, 24, 24] = normal(deviation=0.2)
    parameter w3: f32[1, 1, 24, 24] = normal(deviation=0.2)
    h = relu(batch_norm(convolution(x, w1)) + x)
    h = relu(batch_norm(convolution(h, w2)) + h)
    h = relu(batch_norm(convolution(h, w3)) + h)
    return y = dense(global_average_pool(h), 3)
  )", image_training);
  const Fused step = fused(module, true, 16);
  INFO(print(step.graph));
  int stored = 0;
  for (const Node* node : nodes_of(step.graph, "add")) stored += node->results[0].type.rank() == 4 && is_stored(step.program, *node);
  CHECK(stored >= 2);
  for (const Node* node : nodes_of(step.graph, "normalize")) CHECK_FALSE(is_stored(step.program, *node));
}

TEST_CASE("frozen convolutions are a kernel each, with all that follows element by element") {
  Module module = test::parse_network("x: f32[N, 16, 16, 8]", residual_net);
  const Fused net = fused(module, false, 1);
  INFO(print(net.graph));
  std::map<int, int> heavy;
  for (const auto& node : net.graph.nodes()) {
    if (node->is("convolution") || (node->is("matmul") && node->results[0].type.rank() == 4)) ++heavy[node->kernel];
    const Shape& shape = node->results[0].type.shape;
    if (shape.size() == 4 && shape.front().batch && node->op->lowering_as<ElementLowering>()) CHECK(heavy.count(node->kernel) == 1);
  }
  CHECK(heavy.size() == 3);
}

TEST_CASE("a weight that is computed first is packed afterwards") {
  Module module = test::parse_network("x: f32[N, 8, 8, 64]", "return y = conv2d(x, 256, kernel=1, bias=false)");
  Graph graph = module.main().clone();
  test::CodeOptions options{.passes = {"canonicalize", "fuse"}};
  options.fixed_batch = true;
  test::check_generated(graph, test::random_bindings(graph, 2), options, 1e-5);
}

TEST_CASE("training steps of small convolutional networks against the reference") {
  for (int64_t batch : {1, 3, 8}) {
    Module module = test::parse_network("x: f32[N, 9, 13, 5]", R"(
  parameter w1: f32[3, 3, 5, 19] = normal(deviation=0.2)
  parameter w2: f32[3, 1, 19, 19] = normal(deviation=0.2)
  parameter w3: f32[2, 2, 19, 33] = normal(deviation=0.2)
  parameter b3: f32[33] = zeros
      h = relu(batch_norm(convolution(x, w1, padding=[1, 1, 1, 1])))
      s = h
      h = relu(batch_norm(convolution(h, w2, padding=[1, 1, 0, 0])) + s)
      h = max_pool(h, kernel=2)
      h = sigmoid(batch_norm(bias(convolution(h, w3, stride=[2, 2]), b3)))
      return y = dense(flatten(h), 3)
    )", image_training);
    test::check_training(module, batch, 2e-5);
  }
}

TEST_CASE("training steps of dense blocks against the reference") {
  for (int64_t batch : {5, 16}) {
    Module module = test::parse_network("x: f32[N, 10, 14, 3]", R"(
      parameter w1: f32[3, 3, 3, 13] = normal(deviation=0.2)
      parameter w2: f32[3, 3, 13, 7] = normal(deviation=0.2)
      parameter w3: f32[1, 1, 20, 20] = normal(deviation=0.2)
      parameter w4: f32[3, 3, 20, 7] = normal(deviation=0.2)
      h = convolution(x, w1, padding=[1, 1, 1, 1])
      h = concat(h, convolution(relu(batch_norm(h)), w2, padding=[1, 1, 1, 1]), axis=3)
      h = average_pool(convolution(relu(batch_norm(h)), w3), kernel=[2])
      h = concat(h, convolution(relu(batch_norm(h)), w4, padding=[1, 1, 1, 1]), axis=3)
      return y = dense(global_average_pool(relu(batch_norm(h))), 3)
    )", image_training);
    test::check_training(module, batch, 2e-5);
  }
}

TEST_CASE("frozen networks of images against the reference") {
  Module module = test::parse_network("x: f32[N, 13, 8, 8]", R"(
    parameter w1: f32[3, 3, 8, 24] = normal(deviation=0.2)
    parameter w2: f32[3, 3, 24, 20] = normal(deviation=0.2)
    parameter w3: f32[1, 1, 8, 20] = normal(deviation=0.2)
    h = max_pool(relu(batch_norm(convolution(x, w1, padding=[2, 1, 1, 1]))), kernel=[2])
    shortcut = average_pool(batch_norm(convolution(x, w3)), kernel=[2], ceil_mode=true)
    h = relu(batch_norm(convolution(h, w2, padding=[1, 1, 1, 1])) + shortcut)
    return y = dense(global_average_pool(h), 3), z = max_pool(h, kernel=[3], stride=[2], padding=[1])
  )");
  Graph frozen = module.main().clone();
  PassContext context = test::context_of(nullptr, std::nullopt, "native");
  run_passes(frozen, {"canonicalize", "freeze", "fold-batch-norm", "canonicalize", "common-subexpressions", "dead-code", "decompose"},
             context);
  for (int64_t batch : {1, 4, 19}) {
    const Bindings bindings = test::random_bindings(frozen, batch);
    for (bool fixed : {true, false}) {
      test::CodeOptions options;
      options.fixed_batch = fixed;
      test::check_generated(frozen, bindings, options, 5e-6);
    }
  }
}

TEST_CASE("training steps of products over pixels against the reference") {
  for (int64_t batch : {2, 21}) {
    Module module = test::parse_network("x: f32[N, 7, 6, 24]", R"(
  parameter w1: f32[1, 1, 24, 40] = normal(deviation=0.2)
  parameter w2: f32[1, 1, 40, 24] = normal(deviation=0.2)
      h = relu(batch_norm(convolution(x, w1)))
      h = relu(batch_norm(convolution(h, w2)) + x)
      return y = dense(global_average_pool(h), 3)
    )", image_training);
    test::check_training(module, batch, 2e-5);
  }
}

TEST_CASE("a task copies what it computes of its input in chunks that stay near the first cache") {
  auto network = [](const std::string& convolution) {
    return "parameter mean: f32[160] = uniform(low=-0.2, high=0.2)\n parameter variance: f32[160] = uniform(low=0.5, high=1)\n parameter "
           "gamma: f32[160] = uniform(low=0.5, high=1)\nparameter beta: f32[160] = uniform(low=-0.5, high=0.5)\n h = "
           "relu(scale_shift(normalize(x, mean, variance), gamma, beta))\ny = conv2d(h, 33, " +
           convolution + ")\n m, v = moments(y)\n return y, m, v";
  };
  // With a larger kernel the windows of chunks would overlap.
  const std::pair<const char*, bool> convolutions[] = {
      {"kernel=1, bias=false", true}, {"kernel=1, stride=2, bias=false", true}, {"kernel=3, padding=1, bias=false", false}};
  for (const auto& [convolution, in_chunks] : convolutions) {
    CAPTURE(convolution);
    const Graph graph = test::parse_network("x: f32[N, 56, 56, 160]", network(convolution)).main().clone();
    for (const auto& [cpu, note] :
         {std::pair{"skylake-avx512", "rows ahead"}, {"haswell", "rows at a time"}}) {  // by the number of registers
      Graph lowered = graph.clone();
      PassContext context = test::context_of(nullptr, 1, cpu);
      run_passes(lowered, test::CodeOptions{}.passes, context);
      lower_to_loops(lowered, context);
      CHECK(std::ranges::any_of(context.remarks, [&](const Remark& remark) { return remark.text.find(note) != std::string::npos; }) ==
            in_chunks);
    }
    for (int threads : {1, 2}) {
      for (bool fixed : {true, false}) {
        test::CodeOptions options{.threads = threads};
        options.fixed_batch = fixed;
        test::check_generated(graph, test::random_bindings(graph, 1), options, 1e-5);
      }
    }
  }
}

// What a window of stride 1 reads lies in lines that other tasks compute, though its middle lies in the task's own.
TEST_CASE("overlapping windows over a product, and moments of them") {
  for (const std::string body : {"return y = max_pool(h, kernel=3, stride=1, padding=1)",
                                 "mean, variance = moments(max_pool(h, kernel=3, stride=1, padding=1))\nreturn mean, variance"}) {
    for (const auto& [size, batch] :
         {std::pair{"24, 20", 1}, {"24, 20", 5}, {"24, 20", 16}, {"64, 64", 3}}) {  // split by lines, and by images
      CAPTURE(body);
      CAPTURE(batch);
      const Graph graph =
          test::parse_network(fmt::format("x: f32[N, {}, 16]", size), "h = conv2d(x, 24, kernel=1)\n" + body).main().clone();
      for (bool fixed : {true, false}) test::check_generated(graph, test::random_bindings(graph, batch), {.fixed_batch = fixed}, 1e-5);
    }
  }
}

TEST_CASE("results too large for the caches are stored past them, wherever arguments begin") {
  const std::pair<const char*, const char*> networks[] = {
      {"x: f32[N, 5, 7, 32]", "return y = relu(x)"},
      {"x: f32[N, 5, 7, 35]", "return y = exp(x)"},   // rows that begin within a line
      {"x: f32[N, 9, 11, 48]", "return y = conv2d(x, 48, kernel=3, padding=1, groups=48, bias=false)"},
      {"x: f32[N, 13, 9, 16]", "return y = conv2d(x, 96, kernel=3, stride=2, bias=false)"},
      {"x: f32[N, 16, 16, 32]", "y = conv2d(x, 128, kernel=1)\nmean, variance = moments(y)\nreturn y, mean, variance"},
      {"x: f32[N, 16, 16, 32]", "h = relu(conv2d(x, 128, kernel=1))\nmean, variance = moments(h)\nreturn h, mean, variance"},
      {"x: f32[N, 4, 4, 16]", "h = exp(x)\nreturn y = reduce_sum(h, axes=[1, 2]), h"}};
  for (const auto& [inputs, body] : networks) {
    CAPTURE(body);
    const Graph graph = test::parse_network(inputs, body).main().clone();
    for (int64_t offset : {0, 4}) {
      CAPTURE(offset);
      test::CodeOptions options{.threads = 2};
      options.cached_bytes = 0;
      options.l2_bytes = 1 << 12;   // and asked for ahead of their use
      options.argument_offset = offset;
      test::check_generated(graph, test::random_bindings(graph, 5), options, 1e-5);
    }
  }
}
