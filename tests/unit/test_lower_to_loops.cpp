// Generated code of fused kernels against the reference evaluator, at sizes around the vector length.
#include <doctest/doctest.h>

#include "ir/builder.h"
#include "support/generated_code.h"

using namespace bnc;

namespace {

constexpr int64_t odd_sizes[] = {1, 3, 15, 16, 17, 33, 100};
const Dim batch_dim{1, true};
const Symbol normal{"normal", {}};

TensorType matrix(int64_t columns) { return {DType::f32, {batch_dim, Dim{columns, false}}}; }
TensorType vector(int64_t size) { return {DType::f32, {Dim{size, false}}}; }
TensorType weight(int64_t rows, int64_t columns) { return {DType::f32, {Dim{rows, false}, Dim{columns, false}}}; }

void hand_out(Graph& graph, const std::string& name, Value value) { graph.outputs.push_back({Output::Role::output, name, value}); }

}  // namespace

TEST_CASE("matrix products of all sizes and orientations") {
  int number = 0;
  for (int64_t rows : odd_sizes) {
    for (int64_t columns : {1, 10, 16, 17, 100}) {
      for (int orientation = 0; orientation < 3; ++orientation) {
        if (++number % 2 == 0) continue;   // any two of the three occur together
        Graph graph;
        graph.name = "product";
        GraphBuilder builder(graph);
        const bool left_transposed = orientation == 1, right_transposed = orientation == 2;
        const Value x = builder.input("x", matrix(33));
        const Value other = left_transposed ? builder.input("d", matrix(columns))
                                            : builder.parameter("w", right_transposed ? weight(columns, 33) : weight(33, columns), normal);
        hand_out(graph, "y",
                 builder.value("matmul", {x, other}, {{"transpose_left", left_transposed}, {"transpose_right", right_transposed}}));
        INFO("rows ", rows, " columns ", columns, " orientation ", orientation);
        test::check_generated_everywhere(graph, rows);
      }
    }
  }
}

TEST_CASE("a product large enough to be packed") {
  Graph graph;
  graph.name = "packed";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", matrix(600));
  hand_out(graph, "y", builder.value("matmul", {x, builder.parameter("w", weight(600, 512), normal)}));
  hand_out(graph, "g", builder.value("matmul", {x, x}, {{"transpose_left", true}}));
  for (int64_t batch : {130, 200}) test::check_generated_everywhere(graph, batch);
}

TEST_CASE("one column, and what follows it in the tile") {
  for (int64_t rows : {1, 3, 17}) {
    Graph graph;
    graph.name = "one_column";
    GraphBuilder builder(graph);
    const Value product = builder.value("matmul", {builder.input("x", {DType::f32, {batch_dim, Dim{3, false}, Dim{7, false}}}),
                                                   builder.parameter("w", weight(7, 1), normal)});
    hand_out(graph, "y", builder.value("relu", {builder.value("bias", {product, builder.parameter("b", vector(1), normal)})}));
    test::check_generated_everywhere(graph, rows);
  }
}

TEST_CASE("elementwise chains, broadcasting and several outputs") {
  for (int64_t size : odd_sizes) {
    Graph graph;
    graph.name = "chain";
    GraphBuilder builder(graph);
    const Value x = builder.input("x", matrix(size)), row = builder.parameter("row", vector(size), normal);
    const Value column = builder.value("reduce_sum", {x}, {{"axes", IntList{1}}, {"keep_dims", true}});
    const Value y = builder.value("sigmoid", {builder.add(builder.mul(x, row), column)});
    hand_out(graph, "y", y);
    hand_out(graph, "z", builder.value("relu", {builder.sub(y, builder.constant(0.5))}));
    hand_out(graph, "t", builder.value("transpose", {y}));
    hand_out(graph, "total", builder.value("reduce_sum", {y}));
    test::check_generated_everywhere(graph, 17);
  }
}

TEST_CASE("reductions along every axis") {
  for (int64_t batch : {1, 5, 129, 300}) {
    Graph graph;
    graph.name = "reductions";
    GraphBuilder builder(graph);
    const Value x = builder.input("x", {DType::f32, {batch_dim, Dim{3, false}, Dim{19, false}}});
    for (const char* op : {"reduce_sum", "reduce_mean", "reduce_max"}) {
      for (const IntList& axes : {IntList{0}, IntList{1}, IntList{2}, IntList{0, 1}, IntList{1, 2}, IntList{0, 2}, IntList{0, 1, 2}}) {
        const std::string name = std::string(op) + std::to_string(axes.size()) + std::to_string(axes.front()) + std::to_string(axes.back());
        hand_out(graph, name, builder.value(op, {x}, {{"axes", axes}}));
        hand_out(graph, name + "_kept", builder.value(op, {x}, {{"axes", axes}, {"keep_dims", true}}));
      }
    }
    test::check_generated_everywhere(graph, batch, 5e-6);
  }
}

TEST_CASE("maxima of negative numbers") {
  for (const IntList& axes : {IntList{0}, IntList{1}, IntList{2}, IntList{1, 2}, IntList{0, 1, 2}}) {
    Graph graph;
    graph.name = "negative";
    GraphBuilder builder(graph);
    const Value x = builder.input("x", {DType::f32, {batch_dim, {130}, {37}}});
    hand_out(graph, "y", builder.value("reduce_max", {builder.neg(builder.value("exp", {x}))}, {{"axes", axes}}));
    test::check_generated_everywhere(graph, 3);
  }
}

TEST_CASE("moments keep their digits where the mean is far larger than the deviation") {
  for (int64_t batch : {2, 60, 129, 1000, 10007}) {
    for (int axis : {-1, 1}) {
      Graph graph;
      graph.name = "moments_of_offset";
      GraphBuilder builder(graph);
      const Value x = builder.input("x", {DType::f32, {batch_dim, Dim{5, false}, Dim{21, false}}});
      Node* moments = builder.create("moments", {x}, {{"axis", axis}});
      hand_out(graph, "mean", moments->result(0));
      hand_out(graph, "variance", moments->result(1));
      Bindings bindings = test::random_bindings(graph, batch);
      RandomStream stream(1, "offset");
      for (double& value : bindings["x"].data) value = static_cast<double>(static_cast<float>(1e4 + stream.normal()));
      for (const char* cpu : {"native", "haswell", "x86-64"}) {
        test::CodeOptions options;
        options.cpu = cpu;
        test::check_generated(graph, bindings, options, 1e-5);
      }
    }
  }
}

TEST_CASE("reductions over many rows, shared among tasks") {
  for (int64_t batch : {4096, 5001, 9217}) {
    for (int64_t columns : {1, 17, 33}) {
      Graph graph;
      graph.name = "tall";
      GraphBuilder builder(graph);
      const Value x = builder.input("x", matrix(columns));
      Node* moments = builder.create("moments", {builder.value("tanh", {x})}, {});
      hand_out(graph, "mean", moments->result(0));
      hand_out(graph, "variance", moments->result(1));
      for (const char* op : {"reduce_sum", "reduce_mean", "reduce_max"})
        hand_out(graph, op, builder.value(op, {x}, {{"axes", IntList{0}}}));
      test::check_generated_everywhere(graph, batch, 1e-5);
    }
  }
}

TEST_CASE("a constant channel has variance exactly zero") {
  for (int64_t batch : {3, 60, 131, 700, 7000}) {
    Graph graph;
    graph.name = "constant_channel";
    GraphBuilder builder(graph);
    Node* moments = builder.create("moments", {builder.input("x", matrix(5))}, {});
    hand_out(graph, "mean", moments->result(0));
    hand_out(graph, "variance", moments->result(1));
    Bindings bindings;
    bindings["x"] = Tensor::filled(DType::f32, {batch, 5}, static_cast<double>(0.1f));
    const auto got = test::run_generated(graph, bindings);
    for (double variance : got.at("output/variance").data) CHECK(variance == 0);
    for (double mean : got.at("output/mean").data) CHECK(mean == static_cast<double>(0.1f));
  }
}

TEST_CASE("updates in place see the old values only") {
  Graph graph;
  graph.name = "updates";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", matrix(20));
  const Value w = builder.parameter("w", weight(20, 20), normal), v = builder.state("v", weight(20, 20), normal);
  const Value y = builder.value("matmul", {x, w});
  const Value gradient = builder.value("matmul", {x, y}, {{"transpose_left", true}});
  const Value velocity = builder.add(builder.scale(v, 0.9), gradient);
  hand_out(graph, "y", y);
  hand_out(graph, "back", builder.value("matmul", {y, w}, {{"transpose_right", true}}));
  graph.outputs.push_back({Output::Role::update, "v", velocity});
  graph.outputs.push_back({Output::Role::update, "w", builder.sub(w, builder.scale(velocity, 0.01))});
  test::check_generated_everywhere(graph, 33);
}

TEST_CASE("two parameters that trade places") {
  Graph graph;
  graph.name = "swap";
  GraphBuilder builder(graph);
  const Value a = builder.parameter("a", vector(20), normal), b = builder.parameter("b", vector(20), normal);
  hand_out(graph, "sum", builder.add(a, builder.input("x", matrix(20))));
  graph.outputs.push_back({Output::Role::update, "a", builder.scale(b, 2)});
  graph.outputs.push_back({Output::Role::update, "b", builder.scale(a, 3)});
  test::check_generated_everywhere(graph, 3);
}

TEST_CASE("two parameters, the old value of each read beside the new one of the other") {
  Graph graph;
  graph.name = "cross";
  GraphBuilder builder(graph);
  const Value a = builder.parameter("a", vector(20), normal), b = builder.parameter("b", vector(20), normal),
              x = builder.input("x", matrix(20));
  const Value next_a = builder.add(a, builder.constant(1)), next_b = builder.add(b, builder.constant(2));
  hand_out(graph, "y", builder.mul(x, builder.mul(a, next_b)));
  hand_out(graph, "z", builder.mul(x, builder.mul(b, next_a)));
  graph.outputs.push_back({Output::Role::update, "a", next_a});
  graph.outputs.push_back({Output::Role::update, "b", next_b});
  test::check_generated_everywhere(graph, 3);
}

TEST_CASE("rows of an old value that other tasks read too") {
  Graph graph;
  graph.name = "rows";
  GraphBuilder builder(graph);
  const Value v = builder.parameter("v", weight(128, 64), normal), w = builder.parameter("w", weight(64, 96), normal);
  hand_out(graph, "y", builder.value("matmul", {v, w}));
  hand_out(graph, "z", builder.value("matmul", {builder.input("x", matrix(64)), w}));
  graph.outputs.push_back({Output::Role::update, "w", builder.scale(w, 0.5)});
  test::check_generated_everywhere(graph, 64, 5e-6);
}

TEST_CASE("an old value that is read behind products with the new one") {
  Graph graph;
  graph.name = "behind";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", matrix(300)), w = builder.parameter("w", weight(300, 300), normal), next = builder.scale(w, 0.5);
  hand_out(graph, "y", builder.value("matmul", {builder.value("matmul", {x, next}), w}));
  graph.outputs.push_back({Output::Role::update, "w", next});
  test::check_generated_everywhere(graph, 5, 1e-5);
}

TEST_CASE("an old value that is read once all of the new one is there, and a new value that reads the old one elsewhere") {
  for (const bool elsewhere : {false, true}) {
    Graph graph;
    graph.name = "old";
    GraphBuilder builder(graph);
    const Value w = builder.parameter("w", weight(600, 600), normal), x = builder.value("reduce_max", {builder.input("x", matrix(3))});
    const Value next = elsewhere ? builder.add(w, builder.value("transpose", {w})) : builder.scale(w, 0.5);
    hand_out(graph, "z", elsewhere ? x : builder.mul(builder.mul(w, builder.value("reduce_max", {next})), x));
    graph.outputs.push_back({Output::Role::update, "w", next});
    test::check_generated_everywhere(graph, 5);
  }
}

TEST_CASE("columns that come from several places: concatenations, what rides on them, their gradients") {
  for (const auto& widths : {std::vector<int64_t>{20, 37, 3}, {16, 1, 32}, {5, 12, 12, 12}, {64, 64}}) {
    Graph graph;
    graph.name = "joined";
    GraphBuilder b(graph);
    std::vector<Value> parts;
    int64_t columns = 0;
    for (int64_t width : widths) {
      parts.push_back(b.input("x" + std::to_string(width) + std::to_string(parts.size()), {DType::f32, {batch_dim, Dim{3}, Dim{width}}}));
      columns += width;
    }
    const Value joined = b.value("concat", parts);
    hand_out(graph, "joined", joined);
    hand_out(graph, "sigmoid", b.value("sigmoid", {b.value("concat", parts)}));
    hand_out(graph, "sum", b.value("reduce_sum", {b.value("relu", {b.value("concat", parts)})}, {{"axes", IntList{0, 1}}}));
    hand_out(graph, "slice", b.value("slice", {joined}, {{"axis", 2}, {"begin", 2}, {"end", columns - 1}}));
    hand_out(graph, "spread", b.value("slice_gradient", {joined}, {{"axis", 2}, {"begin", 7}, {"extent", columns + 20}}));
    hand_out(graph, "sparse", b.value("slice_gradient", {joined}, {{"axis", 2}, {"begin", 1}, {"step", 2}, {"extent", 2 * columns + 5}}));
    hand_out(graph, "padded", b.value("pad", {joined}, {{"low", IntList{0, 1, 3}}, {"high", IntList{0, 0, 17}}, {"value", 0.5}}));
    INFO("widths ", widths.size(), ", first ", widths[0]);
    test::check_generated_everywhere(graph, 7);
  }
}

TEST_CASE("reductions over axes anywhere, with the batch anywhere") {
  const Shape shapes[] = {{batch_dim, Dim{5}, Dim{3}, Dim{18}}, {Dim{5}, batch_dim, Dim{3}, Dim{2}}, {Dim{3}, Dim{4}, batch_dim}};
  for (const Shape& shape : shapes) {
    Graph graph;
    graph.name = "reductions";
    GraphBuilder b(graph);
    const Value x = b.input("x", {DType::f32, shape});
    const int rank = static_cast<int>(shape.size());
    for (int mask = 1; mask < 1 << rank; ++mask) {
      IntList axes;
      for (int axis = 0; axis < rank; ++axis)
        if (mask >> axis & 1) axes.push_back(axis);
      for (const char* op : {"reduce_sum", "reduce_mean", "reduce_max"})
        hand_out(graph, op + std::to_string(mask), b.value(op, {x}, {{"axes", axes}, {"keep_dims", mask % 2 == 1}}));
    }
    for (int axis = 0; axis < rank; ++axis) {
      if (shape[axis].batch) continue;
      Node& moments = *b.create("moments", {x}, {{"axis", axis}});
      hand_out(graph, "mean" + std::to_string(axis), moments.result(0));
      hand_out(graph, "variance" + std::to_string(axis), moments.result(1));
    }
    INFO("rank ", rank);
    test::check_generated_everywhere(graph, 7, 3e-6);
  }
}

TEST_CASE("moments of channels on any axis do not cancel, and equal elements have variance 0") {
  for (int axis : {1, 2}) {
    Graph graph;
    graph.name = "moments";
    GraphBuilder b(graph);
    Node& moments = *b.create("moments", {b.input("x", {DType::f32, {batch_dim, Dim{3}, Dim{4}, Dim{37}}})}, {{"axis", axis}});
    hand_out(graph, "mean", moments.result(0));
    hand_out(graph, "variance", moments.result(1));
    Bindings bindings = test::random_bindings(graph, 5);
    Tensor& x = bindings.at("x");
    for (int64_t p = 0; p < x.size(); ++p) {
      const int64_t channel = axis == 1 ? p / (4 * 37) % 3 : p / 37 % 4;
      x.data[p] = static_cast<float>(channel == 0 ? 0.1 : 1e4 + x.data[p]);
    }
    test::check_generated(graph, bindings, {}, 1e-5);
    CHECK(test::run_generated(graph, bindings).at("output/variance").data[0] == 0);
  }
}
