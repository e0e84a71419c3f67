// Moments of data in an unfortunate order or scale, by every road to them: the register tile of a convolution, tasks that share
// the rows, and one task alone. Held to 1e-5 of float64, as docs/batch-norm.md promises.
#include <doctest/doctest.h>

#include <cmath>

#include "ir/builder.h"
#include "ir/random.h"
#include "support/generated_code.h"

using namespace bnc;

namespace {

// Element `i` of `n`, from a normal number.
using Data = std::function<double(int64_t i, int64_t n, double normal)>;

struct MomentsCase {
  const char* name;
  Data data;
};

const MomentsCase hard_cases[] = {
    {"a few zeros, then 1000 and little deviation", [](int64_t i, int64_t, double z) { return i < 8 ? 0 : 1000 + 0.1 * z; }},
    {"little deviation around 1000, then zeros", [](int64_t i, int64_t n, double z) { return i >= n - 8 ? 0 : 1000 + 0.1 * z; }},
    {"one outlier first", [](int64_t i, int64_t, double z) { return i == 0 ? 1e6 : z; }},
    {"a mean that grows", [](int64_t i, int64_t n, double z) { return 1e4 * static_cast<double>(i) / static_cast<double>(n) + z; }},
    {"constant but for the last", [](int64_t i, int64_t n, double) { return i == n - 1 ? 2.0 : 1.0; }},
    {"blocks of one sign", [](int64_t i, int64_t, double z) { return (i / 512 % 2 ? 1e3 : -1e3) + z; }},
    {"mean 1e4, deviation 1", [](int64_t, int64_t, double z) { return 1e4 + z; }},
    {"deviation 1e18", [](int64_t, int64_t, double z) { return 1e18 * z; }},
    {"mean 1e18, deviation 1e17", [](int64_t, int64_t, double z) { return 1e18 + 1e17 * z; }},
    {"deviation 1e-15", [](int64_t, int64_t, double z) { return 1e-15 * z; }},
    {"mean 1e-10, deviation 1e-13", [](int64_t, int64_t, double z) { return 1e-10 + 1e-13 * z; }},
};

// Moments of `rows` x `channels`: of an input, or of what a 1 x 1 convolution by the identity makes of it.
void check(const MomentsCase& hard, Shape shape, bool convolved, const char* cpu, bool fixed_batch, int64_t batch) {
  Graph graph;
  graph.name = "moments";
  GraphBuilder builder(graph);
  const int64_t channels = shape.back().factor;
  const Value x = builder.input("x", {DType::f32, shape});
  Value y = x;
  if (convolved)
    y = builder.value("convolution", {x, builder.parameter("w", {DType::f32, {{1}, {1}, {channels}, {channels}}}, Symbol{"zeros", {}})});
  Node* moments = builder.create("moments", {y});
  graph.outputs = {{Output::Role::output, "mean", moments->result(0)}, {Output::Role::output, "variance", moments->result(1)}};
  if (convolved) graph.outputs.push_back({Output::Role::output, "y", y});

  Bindings bindings = test::random_bindings(graph, batch);
  Tensor& data = bindings.at("x");
  RandomStream random(7, "hard moments");
  const auto rows = static_cast<int64_t>(data.data.size()) / channels;
  for (size_t i = 0; i < data.data.size(); ++i)
    data.data[i] = static_cast<float>(hard.data(static_cast<int64_t>(i) / channels, rows, random.normal()));
  if (convolved) {
    Tensor& w = bindings.at("w");
    for (int64_t i = 0; i < channels * channels; ++i) w.data[i] = i % (channels + 1) == 0 ? 1 : 0;
  }
  INFO(hard.name, ", ", rows, " rows of ", channels, convolved ? ", convolved" : "", ", cpu ", cpu);
  const Evaluation reference = evaluate(graph, bindings);
  test::CodeOptions options;
  options.cpu = cpu;
  options.fixed_batch = fixed_batch;
  const auto got = test::run_generated(graph, bindings, options);
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = reference.outputs.at("mean").data[c], variance = reference.outputs.at("variance").data[c],
                 deviation = std::sqrt(variance);
    CHECK(std::abs(got.at("output/variance").data[c] - variance) <= 1e-5 * variance);
    CHECK(std::abs(got.at("output/mean").data[c] - mean) <= 1e-5 * deviation + 1e-7 * std::abs(mean));
  }
}

}  // namespace

TEST_CASE("moments of data in any order and scale") {
  const Dim N{1, true};
  for (const MomentsCase& hard : hard_cases) {
    for (const char* cpu : {"native", "haswell", "x86-64"}) {
      check(hard, {N, {28}, {28}, {4}}, true, cpu, true, 16);     // register tiles, many tasks
      check(hard, {N, {28}, {28}, {4}}, false, cpu, true, 16);    // tasks that share the rows
    }
    check(hard, {N, {28}, {28}, {19}}, true, "native", true, 3);
    check(hard, {N, {7}}, false, "native", true, 3000);           // one task
    check(hard, {N, {7}}, false, "native", true, 100);            // one chunk
    check(hard, {N, {7}}, false, "native", false, 1000);          // of a batch size known when the code runs
  }
}
