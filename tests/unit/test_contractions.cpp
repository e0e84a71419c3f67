// Convolutions and their gradients as generated code, against the reference evaluator: odd sizes, every target.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "ir/builder.h"
#include "support/frontend.h"
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
    return fmt::format("batch {} of {}x{}x{} -> {}, kernel {}x{}, stride {}x{}, padding {} {} {} {}, dilation {}x{}, groups {}", batch,
                       height, width, in, out, kernel_height, kernel_width, stride[0], stride[1], padding[0], padding[1], padding[2],
                       padding[3], dilation[0], dilation[1], groups);
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
    {2, 7, 3, 24, 24, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 24},   // depthwise: tiles of several lines
    {1, 13, 21, 35, 35, 5, 5, {1, 2}, {4, 3, 4, 5}, {2, 1}, 35},
    {2, 1, 1, 16, 16, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 16},
    {33, 1, 1, 6, 4, 1, 1},
    {2, 1, 300, 3, 9, 1, 5, {1, 2}, {0, 0, 2, 2}},
    {40, 1, 1, 5, 7, 3, 3, {1, 1}, {1, 1, 1, 1}},                // pixels and lines of one
    {2, 35, 1, 5, 7, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {2, 23, 23, 2, 2, 7, 7, {2, 2}, {3, 3, 3, 3}},
    {2, 9, 7, 182, 190, 3, 3, {2, 2}, {1, 1, 1, 1}},  // weights beyond the cache: the reduction in blocks
    {1, 6, 5, 200, 180, 3, 3, {1, 1}, {1, 1, 1, 1}},
};

Graph convolution_graph(const Case& c, const char* op) {
  Graph graph;
  graph.name = op;
  GraphBuilder builder(graph);
  const TensorType image{DType::f32, {batch_dim, {c.height}, {c.width}, {c.in}}},
      weight{DType::f32, {{c.kernel_height}, {c.kernel_width}, {c.in / c.groups}, {c.out}}};
  const Value x = builder.input("x", image), w = builder.parameter("w", weight, normal);
  const Value y = builder.value("convolution", {x, w}, c.attributes());
  AttributeMap attributes = c.attributes();
  Value result = y;
  if (std::string(op) != "convolution") {
    const Value dy = builder.input("dy", y.type());
    attributes[std::string(op) == "convolution_weight_gradient" ? "kernel" : "size"] =
        std::string(op) == "convolution_weight_gradient" ? IntList{c.kernel_height, c.kernel_width} : IntList{c.height, c.width};
    result = std::string(op) == "convolution_weight_gradient" ? builder.value(op, {x, dy}, attributes)
                                                              : builder.value(op, {dy, w}, attributes);
  }
  graph.outputs.push_back({Output::Role::output, "y", result});
  return graph;
}

// The moments of a 1 x 1 convolution from 6 to 37 channels.
Graph moments_graph(int64_t height, int64_t width) {
  Graph graph = convolution_graph({1, height, width, 6, 37, 1, 1}, "convolution");
  GraphBuilder builder(graph);
  Node* moments = builder.create("moments", {graph.outputs.front().value});
  graph.outputs = {{Output::Role::output, "mean", moments->result(0)}, {Output::Role::output, "variance", moments->result(1)}};
  return graph;
}

void return_with_moments(Graph& graph, Value y) {
  Node* moments = GraphBuilder(graph).create("moments", {y});
  graph.outputs = {{Output::Role::output, "y", y},
                   {Output::Role::output, "mean", moments->result(0)},
                   {Output::Role::output, "variance", moments->result(1)}};
}

// How the graph is lowered for AVX-512, with the remarks about it; of caches of so many bytes, if given.
std::string lowered_text(const Graph& graph, std::optional<int64_t> batch, const char* cpu = "skylake-avx512",
                         std::optional<int64_t> cache_bytes = {}) {
  Graph lowered = graph.clone();
  PassContext context;
  context.target = codegen::target_for(cpu, false);   // nothing is run
  if (cache_bytes) context.target.l1_bytes = context.target.l2_bytes = *cache_bytes;
  context.batch = batch;
  run_passes(lowered, test::CodeOptions{}.passes, context);
  std::string text = loops::to_string(lower_to_loops(lowered, context));
  for (const Remark& remark : context.remarks) text += remark.text + "\n";
  return text;
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

TEST_CASE("weights embedded in a program are packed when it is compiled") {
  for (const Case& c : cases) {
    for (const char* op : {"convolution", "convolution_input_gradient"}) {
      INFO(c.describe(), " ", op);
      const Graph graph = convolution_graph(c, op);
      test::check_generated(graph, test::random_bindings(graph, c.batch), {.embed = true});
      if (c.groups > 1)
        test::check_generated(graph, test::random_bindings(graph, c.batch), {.cpu = "x86-64", .fixed_batch = false, .embed = true});
    }
  }
}

TEST_CASE("products of many rows, and reductions over them, with what follows") {
  for (int64_t channels : {3, 17, 64}) {
    Graph graph;
    graph.name = "rows";
    GraphBuilder builder(graph);
    const Value x = builder.input("x", {DType::f32, {batch_dim, {9}, {5}, {channels}}}),
                r = builder.input("r", {DType::f32, {batch_dim, {9}, {5}, {33}}});
    const Value w = builder.parameter("w", {DType::f32, {{channels}, {33}}}, normal),
                b = builder.parameter("b", {DType::f32, {{33}}}, normal);
    const Value y = builder.value("relu", {builder.value("add", {builder.value("bias", {builder.value("matmul", {x, w}), b}), r})});
    graph.outputs.push_back({Output::Role::output, "y", y});
    const Value rows = builder.value("reshape", {x}, {{"shape", Shape{{45, true}, {channels}}}}),
                dy = builder.value("reshape", {r}, {{"shape", Shape{{45, true}, {33}}}});
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

TEST_CASE("what does not fit the caches is prefetched, and nothing changes") {
  constexpr int64_t small_cache = 512;
  const Case pointwise{5, 60, 40, 9, 20, 1, 1}, long_sum{2, 6, 5, 64, 136, 3, 3, {1, 1}, {1, 1, 1, 1}};
  std::vector<Case> all(std::begin(cases), std::end(cases));
  all.insert(all.end(), {pointwise, long_sum});
  for (const Case& c : all) {
    for (const char* op : {"convolution", "convolution_input_gradient", "convolution_weight_gradient"}) {
      INFO(op, " ", c.describe());
      const Graph graph = convolution_graph(c, op);
      test::check_generated(graph, test::random_bindings(graph, c.batch), {.l2_bytes = small_cache}, 3e-6);
    }
  }
  const struct {
    const char* op;
    const Case& c;
    std::vector<const char*> lines;
  } asked_for[] = {
      {"convolution", cases[1], {"prefetch to second cache x[", "prefetch %t1_window["}},
      {"convolution", pointwise, {"prefetch x[", "prefetch for store output/y["}},
      {"convolution", long_sum, {"for stretch in 0..8 {", "if not all {", "prefetch to second cache %t1_right["}},
      {"convolution_weight_gradient", cases[1], {"prefetch to second cache x[", "prefetch to second cache dy["}},
  };
  for (const auto& [op, c, lines] : asked_for) {
    const std::string text = lowered_text(convolution_graph(c, op), 3, "skylake-avx512", small_cache);
    for (const char* line : lines) CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("what a convolution's epilogue reads is there when the sums are") {
  constexpr int64_t small_cache = 512;
  const Graph graph = test::graph_of(R"(
network f(x: f32[N, 9, 7, 36], weight: f32[1, 1, 36, 36], joined: f32[N, 9, 7, 36], mask: f32[N, 9, 7, 36], bias: f32[36]) {
  h = relu(convolution(x, weight) + bias + joined)
  return h, relu(h - mask)
}
)");
  const std::string text = lowered_text(graph, 3, "skylake-avx512", small_cache);
  // The sums' own place and no other: of the product's operand, as large as the result, the next tile.
  const size_t begin = text.find("prefetch for store output/");
  REQUIRE(begin != std::string::npos);
  const size_t index = text.find('[', begin);
  const std::string place = text.substr(index, text.find('\n', begin) - index + 1);
  for (const char* read : {"joined", "mask"}) CHECK(text.find(std::string("prefetch ") + read + place) != std::string::npos);
  for (const char* other : {"x", "bias"}) CHECK(text.find(std::string("prefetch ") + other + place) == std::string::npos);
  test::check_generated(graph, test::random_bindings(graph, 3), {.l2_bytes = small_cache}, 3e-6);
}

// Depthwise it does not: there each line would displace one that the task reads.
TEST_CASE("what is used much later comes into all caches of a CPU that may take no notice otherwise") {
  const char* l2 = "prefetch to second cache";
  const Graph strided = convolution_graph({64, 32, 32, 96, 96, 3, 3, {2, 2}, {1, 1, 1, 1}}, "convolution"),
              depthwise = convolution_graph({32, 56, 56, 144, 144, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 144}, "convolution");
  CHECK(lowered_text(strided, 64, "sapphirerapids").find(l2) != std::string::npos);
  CHECK(lowered_text(strided, 64, "znver4").find(l2) == std::string::npos);
  for (const char* cpu : {"sapphirerapids", "znver4"}) CHECK(lowered_text(depthwise, 32, cpu).find(l2) != std::string::npos);
}

// A copy of the window would cost more: every place asks for its edges, tiles at an edge for each row. What lies outside counts as
// nothing, whatever memory holds there; the large element is where reading goes instead.
TEST_CASE("strided convolutions read in place, and ask at the edges") {
  const Case strided[] = {
      {3, 9, 11, 33, 20, 3, 3, {2, 2}, {1, 1, 1, 1}},
      {2, 16, 16, 40, 24, 3, 3, {2, 2}, {0, 1, 1, 0}},
      {2, 13, 7, 48, 18, 5, 3, {3, 2}, {2, 1, 0, 3}},
      {2, 15, 30, 32, 35, 3, 5, {2, 3}, {2, 2, 1, 4}, {2, 1}},
      {5, 5, 4, 64, 33, 3, 3, {2, 2}, {1, 1, 1, 1}},   // tiles of several lines
  };
  for (const Case& c : strided) {
    INFO(c.describe());
    const Graph graph = convolution_graph(c, "convolution");
    CHECK(lowered_text(graph, std::nullopt).find("if not all {") != std::string::npos);
    test::check_generated_everywhere(graph, c.batch, 3e-6);
    Bindings bindings = test::random_bindings(graph, c.batch);
    bindings.at("x").data.front() = 1e20;
    const Tensor outside = test::run_generated(graph, bindings).at("output/y");
    const Tensor expected = evaluate(graph, bindings).outputs.at("y");
    for (size_t i = 0; i < expected.data.size(); ++i) CHECK((std::abs(outside.data[i]) > 1e10) == (std::abs(expected.data[i]) > 1e10));
  }
}

// Of a copied window the kernel lines in its edge are left out, and lines too short for a tile are not put together where that
// would keep them. The last: most lines of the kernel lie outside.
TEST_CASE("kernel lines beyond the edge are left out") {
  const std::pair<Case, const char*> padded[] = {
      {{32, 4, 4, 64, 64, 3, 3, {1, 1}, {1, 1, 1, 1}}, "tile 4 x 4 "},   // 8 x 3 would be two lines
      {{11, 8, 10, 48, 40, 3, 3, {1, 1}, {1, 1, 1, 1}}, "tile 5 x 3 "},
      {{5, 9, 7, 33, 70, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}}, "tile 7 x 3 "},
      {{20, 3, 7, 32, 35, 7, 3, {1, 1}, {3, 3, 1, 1}}, "tile 7 x 3 "},
  };
  for (const auto& [c, tile] : padded) {
    INFO(c.describe());
    Graph graph = convolution_graph(c, "convolution");
    GraphBuilder builder(graph);
    graph.outputs.front().value = builder.value("convolution", {builder.value("relu", {graph.find("x")}), graph.find("w")},
                                                c.attributes());  // computed: no place to read it in
    const std::string text = lowered_text(graph, c.batch);
    CHECK(text.find("if 0 <= ") != std::string::npos);
    CHECK(text.find("left staged") != std::string::npos);
    CHECK(text.find(tile) != std::string::npos);
    test::check_generated_everywhere(graph, c.batch, 3e-6);
  }
}

// A vector of the next chunk with each stretch of this one's sums: as many as stretches, and fewer; strided pixels, a last panel
// that is narrower, a residual, and moments of the result, for which the task's first chunk counts.
TEST_CASE("what a product's left operand is computed from is staged among the products of the chunk before") {
  const Case pointwise[] = {
      {16, 16, 14, 64, 40, 1, 1},
      {1, 56, 28, 64, 250, 1, 1},
      {12, 8, 8, 192, 192, 1, 1},
      {25, 23, 15, 96, 33, 1, 1, {2, 2}},
      {16, 16, 14, 112, 130, 1, 1},   // more stretches than the chunk has vectors
  };
  for (const Case& c : pointwise) {
    INFO(c.describe());
    Graph graph = convolution_graph(c, "convolution");
    GraphBuilder builder(graph);
    const Value x = graph.find("x"), w = graph.find("w"), residual = builder.input("residual", x.type()),
                scale = builder.parameter("scale", {DType::f32, {{c.in}}}, normal),
                shift = builder.parameter("shift", {DType::f32, {{c.in}}}, normal);
    const Value normalized = builder.value("relu", {builder.value("add", {builder.value("scale_shift", {x, scale, shift}), residual})}),
                y = builder.value("convolution", {normalized, w}, c.attributes());
    return_with_moments(graph, y);
    const std::string loops = lowered_text(graph, c.batch);
    CHECK(loops.find("let next = ") != std::string::npos);
    CHECK(loops.find(", in runs from ") != std::string::npos);
    CHECK((loops.find("if number < ") != std::string::npos) == (c.in == 112));
    test::check_generated_everywhere(graph, c.batch, 3e-6);
    const Bindings bindings = test::random_bindings(graph, c.batch);
    const auto alone = test::run_generated(graph, bindings);
    for (const int threads : {2, 3, 7}) {   // runs of several lengths
      const auto shared = test::run_generated(graph, bindings, {.threads = threads});
      for (const char* name : {"output/y", "output/mean", "output/variance"}) CHECK(shared.at(name).data == alone.at(name).data);
    }
  }
}

// Enough for any number of threads, and not many more parts of the moments to merge.
TEST_CASE("tasks that stage ahead own more rows where there are plenty of them") {
  const Case c{32, 56, 56, 64, 256, 1, 1};
  Graph graph = convolution_graph(c, "convolution");
  GraphBuilder builder(graph);
  const Value y = builder.value("convolution", {builder.value("relu", {graph.find("x")}), graph.find("w")}, c.attributes());
  return_with_moments(graph, y);
  const std::string loops = lowered_text(graph, c.batch);
  const size_t runs = loops.find(", in runs from ");
  REQUIRE(runs != std::string::npos);
  const size_t last = loops.rfind("..", runs) + 2;
  const int tasks = std::stoi(loops.substr(last, runs - last));
  CHECK(tasks >= 96);
  CHECK(tasks < 2 * 96);
}

// Slices of unequal length and, of a batch that is not known, empty ones; what follows the gradient reads their sum.
TEST_CASE("tasks share a long reduction in slices, to the same bits for any number of threads") {
  const Case long_reductions[] = {
      {13, 31, 29, 3, 7, 3, 3, {1, 1}, {1, 1, 1, 1}},
      {5, 60, 40, 9, 20, 1, 1},
      {9, 40, 41, 6, 12, 3, 3, {2, 2}, {1, 1, 1, 1}, {1, 1}, 2},
      {7, 45, 39, 20, 20, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 20},
  };
  for (const Case& c : long_reductions) {
    INFO(c.describe());
    Graph graph = convolution_graph(c, "convolution_weight_gradient");
    GraphBuilder builder(graph);
    const Value gradient = graph.outputs.front().value, weight = graph.find("w");
    graph.outputs.push_back({Output::Role::update, "w", builder.value("sub", {weight, gradient})});
    CHECK(lowered_text(graph, c.batch).find("_slices ") != std::string::npos);
    test::check_generated_everywhere(graph, c.batch, 3e-6);
    const Bindings bindings = test::random_bindings(graph, c.batch);
    CHECK(test::run_generated(graph, bindings, {.threads = 3}).at("w").data == test::run_generated(graph, bindings).at("w").data);
  }
}

// With a kernel of 3 x 3 the large mean is missing in the first row and column, where the first tile lies. Few deviations are not
// subtracted; and all of a panel's columns are treated as the one with the largest mean.
TEST_CASE("moments ride on the register tile, also where the mean is far larger than the deviation") {
  for (const double mean : {0.0, 5.0, 1e4}) {
    for (const auto& [kernel, every] : {std::pair<int64_t, int64_t>{1, 1}, {1, 5}, {3, 1}}) {
      constexpr int64_t in = 6, channels = 37;
      Graph graph;
      graph.name = "moments";
      GraphBuilder builder(graph);
      const Value x = builder.input("x", {DType::f32, {batch_dim, {29}, {23}, {in}}}),
                  w = builder.parameter("w", {DType::f32, {{kernel}, {kernel}, {in}, {channels}}}, normal);
      const int64_t pad = kernel / 2;
      const Value y = builder.value(
          "convolution", {x, w},
          {{"stride", IntList{1, 1}}, {"padding", IntList{pad, pad, pad, pad}}, {"dilation", IntList{1, 1}}, {"groups", 1}});
      Node* moments = builder.create("moments", {y});
      graph.outputs.push_back({Output::Role::output, "y", y});
      graph.outputs.push_back({Output::Role::output, "mean", moments->result(0)});
      graph.outputs.push_back({Output::Role::output, "variance", moments->result(1)});
      Bindings bindings = test::random_bindings(graph, 5);
      // The first input channel is the mean, and goes as it is into each result from the kernel's first pixel alone.
      for (size_t i = 0; i < bindings.at("x").data.size(); i += in) bindings.at("x").data[i] = mean;
      for (int64_t pixel = 0; pixel < kernel * kernel; ++pixel) {
        for (int64_t o = 0; o < channels; ++o) bindings.at("w").data[pixel * in * channels + o] = pixel == 0 && o % every == 0;
      }
      INFO("mean ", mean, " in each ", every, "th channel, kernel ", kernel);
      const auto got = test::run_generated(graph, bindings);
      const std::vector<double>& values = got.at("output/y").data;
      const auto rows = static_cast<double>(values.size() / channels);
      for (size_t o = 0; o < channels; ++o) {
        double expected = 0, squares = 0;
        for (size_t i = o; i < values.size(); i += channels) expected += values[i] / rows;
        for (size_t i = o; i < values.size(); i += channels) squares += (values[i] - expected) * (values[i] - expected) / rows;
        CHECK(got.at("output/mean").data[o] == doctest::Approx(expected).epsilon(1e-6));
        CHECK(got.at("output/variance").data[o] == doctest::Approx(squares).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("moments of one column do not depend on what another one holds") {
  const Graph graph = moments_graph(29, 23);
  Bindings bindings = test::random_bindings(graph, 5);
  for (size_t i = 0; i < bindings.at("x").data.size(); i += 6) bindings.at("x").data[i] = 30;   // many deviations in each column
  const auto clean = test::run_generated(graph, bindings);
  constexpr size_t other = 3;
  bindings.at("w").data[other] = std::nan("");
  const auto got = test::run_generated(graph, bindings);
  for (const char* name : {"output/mean", "output/variance"}) {
    for (size_t o = 0; o < 37; ++o) {
      INFO(name, " of column ", o);
      if (o == other) CHECK(std::isnan(got.at(name).data[o]));
      else CHECK(got.at(name).data[o] == clean.at(name).data[o]);
    }
  }
}

TEST_CASE("a constant whose square overflows has no variance") {
  constexpr double huge = 1e25;
  const Graph graph = moments_graph(9, 7);
  Bindings bindings = test::random_bindings(graph, 5);
  constexpr size_t column = 20;
  for (size_t i = 0; i < bindings.at("x").data.size(); i += 6) bindings.at("x").data[i] = 1;
  for (size_t k = 0; k < 6; ++k) bindings.at("w").data[k * 37 + column] = k == 0 ? huge : 0;
  const auto got = test::run_generated(graph, bindings);
  CHECK(got.at("output/mean").data[column] == doctest::Approx(huge));
  CHECK(got.at("output/variance").data[column] == 0);
}

TEST_CASE("a reduction over 65536 pixels is accurate") {
  Graph graph;
  graph.name = "long";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", {DType::f32, {batch_dim, {64}, {64}, {5}}}),
              dy = builder.input("dy", {DType::f32, {batch_dim, {64}, {64}, {7}}});
  const AttributeMap window{
      {"stride", IntList{1, 1}}, {"padding", IntList{1, 1, 1, 1}}, {"dilation", IntList{1, 1}}, {"groups", 1}, {"kernel", IntList{3, 3}}};
  graph.outputs.push_back({Output::Role::output, "dw", builder.value("convolution_weight_gradient", {x, dy}, window)});
  test::check_generated(graph, test::random_bindings(graph, 16), {}, 3e-6);
}
