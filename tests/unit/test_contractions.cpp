// Convolutions and their gradients as generated code, against the reference evaluator: odd sizes, every target.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "ir/builder.h"
#include "support/generated_code.h"

using namespace bnc;

namespace {

const Dim batch_dim{1, true};
const Symbol normal{"normal", {}};

struct Case {
  int64_t batch, height, width, in, out, kernel_height, kernel_width;
  IntList stride{1, 1}, padding{0, 0, 0, 0}, dilation{1, 1};
  int64_t groups = 1;

  AttributeMap attributes() const { return {{"stride", stride}, {"padding", padding}, {"dilation", dilation}, {"groups", groups}}; }
  std::string describe() const {
    return fmt::format("batch {} of {}x{}x{} -> {}, kernel {}x{}, stride {}x{}, padding {} {} {} {}, dilation {}x{}, groups {}", batch, height, width, in, out, kernel_height,
                       kernel_width, stride[0], stride[1], padding[0], padding[1], padding[2], padding[3], dilation[0], dilation[1], groups);
  }
};

// Odd and unequal on purpose.
const Case cases[] = {
    {2, 7, 5, 3, 17, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {3, 8, 8, 16, 32, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {1, 9, 14, 5, 33, 5, 3, {2, 1}, {2, 1, 0, 1}},
    {2, 11, 6, 1, 6, 5, 5, {1, 1}, {2, 2, 2, 2}},
    {2, 10, 13, 17, 3, 3, 3, {2, 2}, {0, 1, 1, 0}},
    {1, 9, 9, 4, 8, 3, 2, {1, 1}, {2, 2, 1, 1}, {2, 1}},
    {2, 12, 7, 3, 5, 3, 3, {3, 2}, {1, 1, 1, 1}, {2, 3}},
    {3, 5, 4, 33, 20, 1, 1, {2, 2}, {0, 0, 0, 0}},
    {2, 6, 9, 4, 10, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2},
    {1, 7, 8, 12, 24, 3, 3, {2, 1}, {1, 1, 1, 1}, {1, 1}, 4},
    {2, 9, 7, 19, 19, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 19},
    {1, 8, 9, 32, 32, 3, 3, {2, 2}, {1, 0, 0, 1}, {1, 1}, 32},
    {2, 6, 5, 7, 14, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 7},
    {33, 1, 1, 6, 4, 1, 1},
    {2, 1, 300, 3, 9, 1, 5, {1, 2}, {0, 0, 2, 2}},
    {2, 23, 23, 2, 2, 7, 7, {2, 2}, {3, 3, 3, 3}},
    {2, 9, 7, 182, 190, 3, 3, {2, 2}, {1, 1, 1, 1}},  // weights beyond the cache: the reduction in blocks
    {1, 6, 5, 200, 180, 3, 3, {1, 1}, {1, 1, 1, 1}},
};

Graph convolution_graph(const Case& c, const char* op) {
  Graph graph;
  graph.name = op;
  GraphBuilder builder(graph);
  const TensorType image{DType::f32, {batch_dim, {c.height}, {c.width}, {c.in}}}, weight{DType::f32, {{c.kernel_height}, {c.kernel_width}, {c.in / c.groups}, {c.out}}};
  const Value x = builder.input("x", image), w = builder.parameter("w", weight, normal);
  const Value y = builder.value("convolution", {x, w}, c.attributes());
  AttributeMap attributes = c.attributes();
  Value result = y;
  if (std::string(op) != "convolution") {
    const Value dy = builder.input("dy", y.type());
    attributes[std::string(op) == "convolution_weight_gradient" ? "kernel" : "size"] =
        std::string(op) == "convolution_weight_gradient" ? IntList{c.kernel_height, c.kernel_width} : IntList{c.height, c.width};
    result = std::string(op) == "convolution_weight_gradient" ? builder.value(op, {x, dy}, attributes) : builder.value(op, {dy, w}, attributes);
  }
  graph.outputs.push_back({Output::Role::output, "y", result});
  return graph;
}

}  // namespace

TEST_CASE("convolutions of all strides, paddings, dilations and groups") {
  for (const Case& c : cases) {
    INFO(c.describe());
    test::check_generated_everywhere(convolution_graph(c, "convolution"), c.batch);
  }
}

TEST_CASE("gradients of convolutions by the input") {
  for (const Case& c : cases) {
    INFO(c.describe());
    test::check_generated_everywhere(convolution_graph(c, "convolution_input_gradient"), c.batch);
  }
}

TEST_CASE("gradients of convolutions by the weight") {
  for (const Case& c : cases) {
    INFO(c.describe());
    test::check_generated_everywhere(convolution_graph(c, "convolution_weight_gradient"), c.batch, 3e-6);
  }
}

TEST_CASE("products of many rows, and reductions over them, with what follows") {
  for (int64_t channels : {3, 17, 64}) {
    Graph graph;
    graph.name = "rows";
    GraphBuilder builder(graph);
    const Value x = builder.input("x", {DType::f32, {batch_dim, {9}, {5}, {channels}}}), r = builder.input("r", {DType::f32, {batch_dim, {9}, {5}, {33}}});
    const Value w = builder.parameter("w", {DType::f32, {{channels}, {33}}}, normal), b = builder.parameter("b", {DType::f32, {{33}}}, normal);
    const Value y = builder.value("relu", {builder.value("add", {builder.value("bias", {builder.value("matmul", {x, w}), b}), r})});
    graph.outputs.push_back({Output::Role::output, "y", y});
    const Value rows = builder.value("reshape", {x}, {{"shape", Shape{{45, true}, {channels}}}}), dy = builder.value("reshape", {r}, {{"shape", Shape{{45, true}, {33}}}});
    graph.outputs.push_back({Output::Role::output, "dw", builder.value("matmul", {rows, dy}, {{"transpose_left", true}})});
    graph.outputs.push_back({Output::Role::output, "dx", builder.value("matmul", {r, w}, {{"transpose_right", true}})});
    INFO("channels ", channels);
    for (int64_t batch : {1, 3, 40}) test::check_generated_everywhere(graph, batch);
  }
}

TEST_CASE("panels larger than the second cache are taken in blocks of the reduction") {
  const Case c{1, 5, 7, 700, 70, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const Graph graph = convolution_graph(c, "convolution");
  for (bool fixed : {true, false}) test::check_generated(graph, test::random_bindings(graph, 1), {.fixed_batch = fixed}, 3e-6);
}

TEST_CASE("a reduction over 65536 pixels is accurate") {
  Graph graph;
  graph.name = "long";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", {DType::f32, {batch_dim, {64}, {64}, {5}}}), dy = builder.input("dy", {DType::f32, {batch_dim, {64}, {64}, {7}}});
  const AttributeMap window{{"stride", IntList{1, 1}}, {"padding", IntList{1, 1, 1, 1}}, {"dilation", IntList{1, 1}}, {"groups", 1}, {"kernel", IntList{3, 3}}};
  graph.outputs.push_back({Output::Role::output, "dw", builder.value("convolution_weight_gradient", {x, dy}, window)});
  test::check_generated(graph, test::random_bindings(graph, 16), {}, 3e-6);
}
