// Pooling and resizing against numbers that PyTorch gives (float64, one channel), in the reference and in generated code.
#include <doctest/doctest.h>

#include <numeric>

#include "ir/op.h"
#include "support/generated_code.h"
#include "support/op_cases.h"

using namespace bnc;
using namespace bnc::test;

namespace {

using Numbers = std::vector<double>;

struct Expected {
  const char* op;
  AttributeMap attributes;
  int64_t height, width;  // of the result
  Numbers y, dx;             // dx for upstream 1, 2, 3 ...; empty: not compared
};

// y = op(x) for x [1, h, w, 1] and loss = sum(y * upstream), with the gradient of x.
Graph network(const char* op, const AttributeMap& attributes, int64_t h, int64_t w) {
  Graph graph;
  GraphBuilder b(graph);
  Node* node = b.create(op, {b.input("x", f32({N, {h}, {w}, {1}}))}, attributes);
  const Value upstream = b.input("upstream", node->results[0].type);
  GradientContext context{b, *node, {upstream}};
  const Value dx = node->op->gradient(context)[0];
  graph.outputs = {{Output::Role::output, "y", node->result()}, {Output::Role::output, "dx", dx}};
  return graph;
}

void check_close(const Numbers& got, const Numbers& expected) {
  REQUIRE(got.size() == expected.size());
  for (size_t k = 0; k < got.size(); ++k) {
    INFO("element ", k);
    if (std::isnan(expected[k])) CHECK(std::isnan(got[k]));
    else if (std::isinf(expected[k])) CHECK(got[k] == expected[k]);
    else CHECK(got[k] == doctest::Approx(expected[k]).epsilon(1e-6));
  }
}

void check(const Tensor& x, const Expected& expected) {
  Graph graph = network(expected.op, expected.attributes, x.dims[1], x.dims[2]);
  Tensor upstream{DType::f32, {1, expected.height, expected.width, 1}, Numbers(expected.height * expected.width)};
  std::iota(upstream.data.begin(), upstream.data.end(), 1);
  const Bindings bindings = {{"x", x}, {"upstream", upstream}};
  INFO(expected.op);
  const Evaluation reference = evaluate(graph, bindings);
  const auto generated = run_generated(graph, bindings);
  check_close(reference.outputs.at("y").data, expected.y);
  check_close(generated.at("output/y").data, expected.y);
  if (expected.dx.empty()) return;
  check_close(reference.outputs.at("dx").data, expected.dx);
  check_close(generated.at("output/dx").data, expected.dx);
}

const IntList two = {2}, three = {3};

}  // namespace

TEST_CASE("pooling agrees with PyTorch: ties, padding, ceil mode, counts") {
  const Tensor x{DType::f32, {1, 5, 6, 1}, {1, 7, 7, 2, 0, 3, 4, 7, 5, 5, 5, 1, 2, 2, 2, 2, 8, 8, 9, 0, 9, 0, 8, 8, 1, 9, 3, 3, 3, 4}};
  const AttributeMap padded = {{"kernel", three}, {"stride", two}, {"padding", IntList{1}}};
  const AttributeMap uneven = {{"kernel", IntList{3, 2}}, {"stride", IntList{2, 3}}, {"padding", IntList{1, 1, 0, 0}}, {"ceil_mode", true}};
  auto without_pad = [](AttributeMap attributes) {
    attributes["count_include_pad"] = false;
    return attributes;
  };
  const Expected cases[] = {
      {"max_pool", {{"kernel", two}}, 2, 3, {7, 7, 5, 9, 9, 8}, {0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0,
                                                                 0, 6, 0, 4, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
      {"average_pool", {{"kernel", two}}, 2, 3, {4.75, 4.75, 2.25, 3.25, 3.25, 8}, {0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.25, 0.25, 0.5, 0.5,
                                                                                    0.75, 0.75, 1,   1,   1.25, 1.25, 1.5,  1.5,  1,   1,
                                                                                    1.25, 1.25, 1.5, 1.5, 0,    0,    0,    0,    0,   0}},
      {"max_pool", padded, 3, 3, {7, 7, 5, 9, 9, 8, 9, 9, 8}, {0, 3, 0, 0,  0, 0,  0, 0, 0, 3, 0, 0, 0, 0, 0,
                                                               0, 6, 0, 11, 0, 13, 0, 9, 0, 0, 0, 0, 0, 0, 0}},
      {"average_pool",
       padded,
       3,
       3,
       {2.11111111111, 3.66666666667, 1.77777777778, 2.66666666667, 3.55555555556, 5, 2.11111111111, 2.66666666667, 2.88888888889},
       {0.111111111111,
        0.333333333333,
        0.222222222222,
        0.555555555556,
        0.333333333333,
        0.333333333333,
        0.555555555556,
        1.33333333333,
        0.777777777778,
        1.77777777778,
        1,
        1,
        0.444444444444,
        1,
        0.555555555556,
        1.22222222222,
        0.666666666667,
        0.666666666667,
        1.22222222222,
        2.66666666667,
        1.44444444444,
        3.11111111111,
        1.66666666667,
        1.66666666667,
        0.777777777778,
        1.66666666667,
        0.888888888889,
        1.88888888889,
        1,
        1}},
      {"average_pool",
       without_pad(padded),
       3,
       3,
       {4.75, 5.5, 2.66666666667, 4, 3.55555555556, 5, 4.75, 4, 4.33333333333},
       {0.25,
        0.583333333333,
        0.333333333333,
        0.833333333333,
        0.5,
        0.5,
        0.916666666667,
        1.80555555556,
        0.888888888889,
        2.05555555556,
        1.16666666667,
        1.16666666667,
        0.666666666667,
        1.22222222222,
        0.555555555556,
        1.22222222222,
        0.666666666667,
        0.666666666667,
        2.41666666667,
        4.30555555556,
        1.88888888889,
        4.05555555556,
        2.16666666667,
        2.16666666667,
        1.75,
        3.08333333333,
        1.33333333333,
        2.83333333333,
        1.5,
        1.5}},
      {"max_pool", uneven, 3, 2, {7, 5, 9, 8, 9, 8}, {0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
                                                      0, 4, 0, 8, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}},
      {"average_pool",
       uneven,
       3,
       2,
       {3.16666666667, 2, 4, 4.66666666667, 3.16666666667, 2.33333333333},
       {0.166666666667,
        0.166666666667,
        0,
        0.333333333333,
        0.333333333333,
        0,
        0.666666666667,
        0.666666666667,
        0,
        1,
        1,
        0,
        0.5,
        0.5,
        0,
        0.666666666667,
        0.666666666667,
        0,
        1.33333333333,
        1.33333333333,
        0,
        1.66666666667,
        1.66666666667,
        0,
        0.833333333333,
        0.833333333333,
        0,
        1,
        1,
        0}},
      {"average_pool",
       without_pad(uneven),
       3,
       2,
       {4.75, 3, 4, 4.66666666667, 4.75, 3.5},
       {0.25,           0.25,           0, 0.5,  0.5,  0, 0.75,          0.75,          0, 1.16666666667, 1.16666666667, 0, 0.5, 0.5, 0,
        0.666666666667, 0.666666666667, 0, 1.75, 1.75, 0, 2.16666666667, 2.16666666667, 0, 1.25,          1.25,          0, 1.5, 1.5, 0}},
      {"max_pool", {{"kernel", two}, {"ceil_mode", true}}, 3, 3, {7, 7, 5, 9, 9, 8, 9, 3, 4}, {0, 1, 2, 0, 0, 0, 0, 0, 0, 0,
                                                                                               3, 0, 0, 0, 0, 0, 6, 0, 4, 0,
                                                                                               5, 0, 0, 0, 0, 7, 8, 0, 0, 9}},
      {"average_pool",
       {{"kernel", two}, {"ceil_mode", true}},
       3,
       3,
       {4.75, 4.75, 2.25, 3.25, 3.25, 8, 5, 3, 3.5},
       {0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1,   1.25,
        1.25, 1.5,  1.5, 1,   1,    1.25, 1.25, 1.5,  1.5, 3.5, 3.5,  4,    4, 4.5, 4.5}},
  };
  for (const Expected& expected : cases) check(x, expected);
}

TEST_CASE("max_pool: NaN wins, the last one gets the gradient; minus infinity wins over padding") {
  const double nan = std::nan(""), infinity = INFINITY;
  check({DType::f32, {1, 2, 5, 1}, {1, nan, 2, nan, nan, 0, 3, nan, 4, 1}},
        {"max_pool", {{"kernel", two}, {"stride", IntList{1}}}, 1, 4, Numbers(4, nan), {0, 1, 0, 0, 4, 0, 0, 5, 0, 0}});
  check({DType::f32, {1, 2, 2, 1}, Numbers(4, -infinity)},
        {"max_pool", {{"kernel", two}, {"padding", IntList{1}}}, 2, 2, Numbers(4, -infinity), {1, 2, 3, 4}});
}

TEST_CASE("resize agrees with PyTorch: nearest-exact, bilinear, aligned corners") {
  const Tensor x{DType::f32, {1, 3, 4, 1}, {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8}};
  const IntList size = {5, 3};
  const Expected cases[] = {
      {"resize", {{"size", size}}, 5, 3, {3, 4, 1, 3, 4, 1, 5, 2, 6, 5, 5, 8, 5, 5, 8}, {5, 0, 7, 9, 7, 0, 8, 9, 23, 0, 25, 27}},
      {"resize",
       {{"size", size}, {"mode", "bilinear"}},
       5,
       3,
       {2.66666666667, 2.5, 1.5, 3.86666666667, 3.7, 3.03333333333, 5.66666666667, 5.5, 5.33333333333, 5.06666666667, 4.6, 6.63333333333,
        4.66666666667, 4, 7.5},
       {2.83333333333, 3.06666666667, 3.6, 5.5, 10.5, 9.3, 9.9, 13.5, 15.8333333333, 13.4666666667, 14, 18.5}},
      {"resize",
       {{"size", size}, {"mode", "bilinear"}, {"align_corners", true}},
       5,
       3,
       {3, 2.5, 1, 4, 4, 3.5, 5, 5.5, 6, 5, 4.75, 7, 5, 4, 8},
       {3, 2.25, 2.25, 6, 14, 8, 8, 18, 18, 9.75, 9.75, 21}},
  };
  for (const Expected& expected : cases) check(x, expected);
}
