// Products of many matrices, attention made of them, and argmax: generated code against the reference evaluator.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "ir/builder.h"
#include "support/generated_training.h"

using namespace bnc;

namespace {

const Dim batch_of_examples{1, true};
constexpr const char* every_cpu[] = {"native", "haswell", "x86-64"};

TensorType tensor_of(Shape shape) { return {DType::f32, std::move(shape)}; }
Shape with_matrix(Shape leading, int64_t rows, int64_t columns, bool transposed) {
  leading.push_back(Dim{transposed ? columns : rows});
  leading.push_back(Dim{transposed ? rows : columns});
  return leading;
}

struct Sizes {
  Shape left, right;   // the dimensions in front
  int64_t rows, inner, columns;
};

Graph product(const Sizes& sizes, bool transpose_left, bool transpose_right) {
  Graph graph;
  graph.name = "product";
  GraphBuilder b(graph);
  const Value left = b.input("left", tensor_of(with_matrix(sizes.left, sizes.rows, sizes.inner, transpose_left))),
              right = b.input("right", tensor_of(with_matrix(sizes.right, sizes.inner, sizes.columns, transpose_right)));
  const Value y = b.value("matmul", {left, right}, {{"transpose_left", transpose_left}, {"transpose_right", transpose_right}});
  graph.outputs.push_back({Output::Role::output, "y", y});
  graph.outputs.push_back({Output::Role::output, "z", b.value("relu", {b.scale(y, 0.5)})});
  return graph;
}

// What any number of threads, and memory that a task finds undefined, must leave as it is.
void check_threads(const Graph& graph, int64_t batch) {
  const Bindings bindings = test::random_bindings(graph, batch);
  for (bool fixed : {true, false}) {
    test::CodeOptions options;
    options.fixed_batch = fixed;
    const auto one = test::run_generated(graph, bindings, options);
    for (int threads : {2, 3}) {
      options.threads = threads;
      const auto several = test::run_generated(graph, bindings, options);
      for (const auto& [name, numbers] : one) {
        INFO(name, " with ", threads, " threads");
        CHECK(several.at(name).data == numbers.data);
      }
    }
  }
}

}  // namespace

TEST_CASE("products of many matrices, of all orientations and odd sizes") {
  const Shape heads = {batch_of_examples, {3}}, none;
  const std::vector<Sizes> all = {{heads, heads, 5, 7, 9},
                                  {heads, heads, 1, 17, 1},
                                  {heads, heads, 33, 1, 18},
                                  {{batch_of_examples}, {batch_of_examples}, 50, 16, 50},
                                  {{batch_of_examples}, {batch_of_examples}, 17, 200, 33},
                                  {heads, {{3}}, 4, 5, 16},
                                  {{{3}}, heads, 16, 5, 4},
                                  {{batch_of_examples, {1}}, {{1}, {3}}, 6, 3, 5},
                                  {none, {batch_of_examples}, 7, 9, 20},
                                  {{batch_of_examples, {2}}, none, 7, 9, 20},
                                  {{{2}, batch_of_examples}, {{2}, batch_of_examples}, 3, 4, 5},
                                  {{{1}}, {{1}}, 40, 40, 40}};
  for (const Sizes& sizes : all) {
    for (int orientation = 0; orientation < 4; ++orientation) {
      INFO("left ", to_string(sizes.left), " right ", to_string(sizes.right), " rows ", sizes.rows, " inner ", sizes.inner, " columns ",
           sizes.columns, " orientation ", orientation);
      const Graph graph = product(sizes, orientation % 2 == 1, orientation / 2 == 1);
      test::check_generated_everywhere(graph, 3);
    }
  }
}

TEST_CASE("products of large matrices are shared among tasks: whole ones, parts of one, or rows that begin anywhere") {
  for (int64_t rows : {128, 200, 263}) {
    for (int64_t batch : {1, 4}) {
      INFO("rows ", rows, " batch ", batch);
      const Graph graph = product({{batch_of_examples, {2}}, {batch_of_examples, {2}}, rows, 48, 80}, false, true);
      for (const char* cpu : every_cpu) {
        for (bool fixed : {true, false}) {
          test::check_generated(graph, test::random_bindings(graph, batch),
                                {.cpu = cpu, .fixed_batch = fixed, .threads = 2, .l2_bytes = 1 << 15});
        }
      }
      check_threads(graph, batch);
    }
  }
}

TEST_CASE("operands whose lines lie far apart are copied") {
  test::check_generated_everywhere(product({{batch_of_examples}, {batch_of_examples}, 40, 64, 1024}, false, false), 2);
  test::check_generated_everywhere(product({{batch_of_examples}, {batch_of_examples}, 40, 260, 299}, false, false), 2);
  for (bool transpose_right : {false, true}) {
    for (int64_t rows : {256, 263}) {
      const Graph graph = product({{batch_of_examples}, {batch_of_examples}, rows, 260, 45}, true, transpose_right);
      for (int64_t batch : {1, 3}) test::check_generated_everywhere(graph, batch);
      check_threads(graph, 5);
    }
  }
}

TEST_CASE("the batch size among the rows, the columns and the sum") {
  for (int place = 0; place < 3; ++place) {
    for (int orientation = 0; orientation < 4; ++orientation) {
      const bool tl = orientation % 2 == 1, tr = orientation / 2 == 1;
      Dim rows{5}, inner{6}, columns{18};
      (place == 0 ? rows : place == 1 ? columns : inner) = batch_of_examples;
      Graph graph;
      graph.name = "product";
      GraphBuilder b(graph);
      const Value left = b.input("left", tensor_of({{2}, tl ? inner : rows, tl ? rows : inner})),
                  right = b.input("right", tensor_of({{2}, tr ? columns : inner, tr ? inner : columns}));
      graph.outputs.push_back(
          {Output::Role::output, "y", b.value("matmul", {left, right}, {{"transpose_left", tl}, {"transpose_right", tr}})});
      INFO("place ", place, " orientation ", orientation);
      for (int64_t batch : {1, 7, 200}) test::check_generated_everywhere(graph, batch);
    }
  }
}

TEST_CASE("attention is one kernel forward") {
  Module module = test::parse_network("q: f32[N, 4, 128, 16], k: f32[N, 4, 128, 16], v: f32[N, 4, 128, 16]",
                                      "return y = matmul(softmax(matmul(q, k, transpose_right=true) * 0.25), v)");
  Graph& graph = module.main();
  PassContext context;
  context.target = codegen::target_for("haswell", true);
  run_passes(graph, {"canonicalize", "freeze", "decompose", "constant-fold", "dead-code", "fuse"}, context);
  for (const auto& node : graph.nodes()) {
    if (!node->op->lowering_as<SourceLowering>()) CHECK(node->kernel == 0);
  }
}

TEST_CASE("attention at odd lengths, frozen") {
  for (int64_t length : {1, 7, 50}) {
    const std::string heads = fmt::format("f32[N, 3, {}, 9]", length);
    const Module module =
        test::parse_network(fmt::format("q: {0}, k: {0}, v: {0}", heads),
                            "p = softmax(matmul(q, k, transpose_right=true) * 0.125)\n"
                            "o = transpose(matmul(p, v), permutation=[0, 2, 1, 3])\n"
                            "return y = reshape(o, [q.shape[0], o.shape[1], 27])");
    for (int64_t batch : {1, 5}) test::check_generated_everywhere(module.main(), batch, 5e-6);
  }
}

namespace {

// An encoder block whose norms are batch norms over all positions of all batch_of_examples.
constexpr const char* encoder = R"(
network encoder(x: f32[N, 11, 20]) {
  h = batch_norm(dense(x, 24, bias=false))
  heads = transpose(reshape(dense(h, 72), [x.shape[0], 11, 9, 8]), permutation=[0, 2, 1, 3])
  q = slice(heads, axis=1, begin=0, end=3)
  k = slice(heads, axis=1, begin=3, end=6)
  v = slice(heads, axis=1, begin=6, end=9)
  p = softmax(matmul(q, k, transpose_right=true) * 0.35355339)
  o = reshape(transpose(matmul(p, v), permutation=[0, 2, 1, 3]), [x.shape[0], 11, 24])
  h = batch_norm(h + dense(o, 24, bias=false))
  f = dense(h, 40, bias=false)
  f = 0.5 * f * (1 + erf(f * 0.70710678))
  h = batch_norm(h + dense(f, 24, bias=false))
  return y = dense(reduce_mean(h, axes=[1]), 5)
}
train encoder {
  loss = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.01, momentum=0.9)
}
)";

}  // namespace

TEST_CASE("an encoder block with batch norm takes a training step as the reference does") {
  Module module = parse_module(make_source(encoder));
  for (int64_t batch : {1, 4, 9}) test::check_training(module, batch, 1e-4);
}

TEST_CASE("an encoder block with batch norm, frozen and folded") {
  const Module module = parse_module(make_source(encoder));
  Graph frozen = module.main().clone();
  PassContext context;
  run_passes(frozen, {"canonicalize", "freeze"}, context);
  test::CodeOptions options{.passes = {"fold-batch-norm", "canonicalize", "constant-fold", "common-subexpressions", "dead-code",
                                       "decompose", "canonicalize", "dead-code", "fuse"}};
  options.embed = true;
  for (const char* cpu : every_cpu) {
    for (bool fixed : {true, false}) {
      options.cpu = cpu;
      options.fixed_batch = fixed;
      test::check_generated(frozen, test::random_bindings(frozen, 5), options, 2e-5);
    }
  }
}

TEST_CASE("the first maximum along every axis, with ties") {
  const Shape shapes[] = {
      {batch_of_examples, {5}, {37}}, {batch_of_examples, {1}, {1}}, {batch_of_examples, {16}, {3}}, {{4}, batch_of_examples, {2}}};
  for (const Shape& shape : shapes) {
    for (int64_t batch : {1, 3, 130}) {
      Graph graph;
      graph.name = "numbers";
      GraphBuilder b(graph);
      const Value x = b.input("x", tensor_of(shape));
      const std::pair<const char*, Value> all[] = {{"plain", x},
                                                   {"ties", b.value("relu", {b.sub(x, b.constant(1))})},
                                                   {"negative", b.value("clip", {x}, {{"low", -4}, {"high", -1}})}};
      for (const auto& [name, value] : all) {
        for (int axis = 0; axis < 3; ++axis) {
          const std::string output = fmt::format("{}{}", name, axis);
          graph.outputs.push_back({Output::Role::output, output, b.value("argmax", {value}, {{"axis", axis}})});
          graph.outputs.push_back(
              {Output::Role::output, output + "_kept", b.value("argmax", {value}, {{"axis", axis}, {"keep_dims", true}})});
        }
      }
      INFO(to_string(shape), " batch ", batch);
      test::check_generated_everywhere(graph, batch, 0);
    }
  }
}

TEST_CASE("the first NaN is the maximum in generated code too") {
  Graph graph;
  graph.name = "numbers";
  GraphBuilder b(graph);
  const Value x = b.input("x", tensor_of({batch_of_examples, {37}}));
  graph.outputs.push_back({Output::Role::output, "columns", b.value("argmax", {x})});
  graph.outputs.push_back({Output::Role::output, "rows", b.value("argmax", {x}, {{"axis", 0}})});
  Bindings bindings = test::random_bindings(graph, 4);
  std::vector<double>& numbers = bindings.at("x").data;
  for (size_t at : {3, 20, 36, 37 + 36, 2 * 37 + 5}) numbers[at] = NAN;
  for (size_t at = 3 * 37; at < 4 * 37; ++at) numbers[at] = -INFINITY;
  for (const char* cpu : every_cpu) {
    for (bool fixed : {true, false}) test::check_generated(graph, bindings, {.cpu = cpu, .fixed_batch = fixed}, 0);
  }
}

TEST_CASE("what argmax reads gets no gradient through it") {
  Module module = test::parse_network("x: f32[N, 6]", "h = dense(x, 4)\nreturn y = h * one_hot(argmax(h), classes=4)",
                                      "loss = mean_squared_error(targets)\noptimizer = sgd(rate=0.1)");
  test::check_training(module, 5, 1e-5);
}
