// Random numbers and initializers.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "ir/builder.h"
#include "ir/evaluate.h"
#include "ir/random.h"

using namespace bnc;

namespace {

using Block = std::array<uint32_t, 4>;

struct Sample {
  double mean = 0, deviation = 0, low = 0, high = 0;
};

Sample describe(const std::vector<double>& data) {
  Sample sample{0, 0, data[0], data[0]};
  for (double x : data) sample.mean += x / static_cast<double>(data.size());
  for (double x : data) {
    sample.deviation += (x - sample.mean) * (x - sample.mean) / static_cast<double>(data.size());
    sample.low = std::min(sample.low, x);
    sample.high = std::max(sample.high, x);
  }
  sample.deviation = std::sqrt(sample.deviation);
  return sample;
}

Sample draw(const Symbol& initializer, const std::vector<int64_t>& dims) {
  TensorType type;
  for (int64_t dim : dims) type.shape.push_back({dim, false});
  return describe(initialize("w", type, initializer, 3).data);
}

}  // namespace

// The known answers of the authors' Random123 library for philox4x32 with 10 rounds.
TEST_CASE("Philox gives the published answers") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("FNV-1a gives the published answers") {
  CHECK(hash_name("") == 0xcbf29ce484222325);
  CHECK(hash_name("a") == 0xaf63dc4c8601ec8c);
  CHECK(hash_name("foobar") == 0x85944171f73967e8);
}

TEST_CASE("streams repeat, and differ by seed and by name") {
  RandomStream a(1, "x"), again(1, "x"), seed(2, "x"), name(1, "y"), high(1 + (uint64_t{1} << 32), "x");
  const uint32_t first = a.next_u32();
  CHECK(again.next_u32() == first);
  CHECK(seed.next_u32() != first);
  CHECK(name.next_u32() != first);
  CHECK(high.next_u32() != first);
  for (int i = 0; i < 20; ++i) CHECK(a.next_u32() == again.next_u32());
}

TEST_CASE("uniform, below and normal are distributed as they say") {
  RandomStream random(5, "distribution");
  std::vector<double> uniform, normal;
  std::vector<int> counts(7);
  constexpr int draws = 70000;
  for (int i = 0; i < draws; ++i) {
    uniform.push_back(random.uniform());
    normal.push_back(random.normal());
    ++counts[random.below(7)];
  }
  const Sample u = describe(uniform), n = describe(normal);
  CHECK(u.low >= 0);
  CHECK(u.high < 1);
  CHECK(u.mean == doctest::Approx(0.5).epsilon(0.01));
  CHECK(u.deviation == doctest::Approx(std::sqrt(1.0 / 12)).epsilon(0.01));
  CHECK(std::abs(n.mean) < 0.012);
  CHECK(n.deviation == doctest::Approx(1).epsilon(0.01));
  CHECK(n.high > 3.5);
  CHECK(n.low < -3.5);
  double fourth = 0;
  for (double x : normal) fourth += x * x * x * x / draws;
  CHECK(fourth == doctest::Approx(3).epsilon(0.05));
  for (int count : counts) CHECK(count == doctest::Approx(draws / 7).epsilon(0.04));
}

// Of 2^64 draws a quarter is left over, which would fall on the first third of the results.
TEST_CASE("numbers below a bound that does not divide 2^64 are evenly distributed") {
  RandomStream random(5, "bound");
  constexpr int draws = 30000;
  int low = 0;
  for (int i = 0; i < draws; ++i) low += random.below(uint64_t{3} << 62) < uint64_t{1} << 62;
  CHECK(low == doctest::Approx(draws / 3).epsilon(0.04));
}

// log and cos are our own: the draws must be Box and Muller's to the last digits all the same.
TEST_CASE("normal draws agree with the library's log and cos") {
  RandomStream drawn(11, "z"), uniforms(11, "z");
  for (int i = 0; i < 1000; ++i) {
    const double u = uniforms.uniform(), v = uniforms.uniform();
    const double expected = std::sqrt(-2 * std::log(1 - u)) * std::cos(2 * std::acos(-1.0) * v);
    CHECK(std::abs(drawn.normal() - expected) < 1e-14);
  }
}

TEST_CASE("initializers have the moments they state") {
  CHECK(draw({"zeros", {}}, {17}).high == 0);
  CHECK(draw({"ones", {}}, {17}).low == 1);
  CHECK(draw({"constant", {{"value", 0.25}}}, {17}).mean == 0.25);
  const Sample normal = draw({"normal", {{"mean", 2}, {"deviation", 0.1}}}, {300, 200});
  CHECK(normal.mean == doctest::Approx(2).epsilon(0.001));
  CHECK(normal.deviation == doctest::Approx(0.1).epsilon(0.02));
  const Sample uniform = draw({"uniform", {{"low", -3}, {"high", 1}}}, {300, 200});
  CHECK(uniform.low >= -3);
  CHECK(uniform.low < -2.99);
  CHECK(uniform.high < 1);
  CHECK(uniform.mean == doctest::Approx(-1).epsilon(0.02));
  CHECK(draw({"he", {}}, {200, 300}).deviation == doctest::Approx(std::sqrt(2.0 / 200)).epsilon(0.02));
  CHECK(draw({"he", {}}, {3, 5, 16, 100}).deviation == doctest::Approx(std::sqrt(2.0 / (3 * 5 * 16))).epsilon(0.02));
  CHECK(draw({"he", {{"fan_out", true}}}, {3, 5, 16, 100}).deviation == doctest::Approx(std::sqrt(2.0 / (3 * 5 * 100))).epsilon(0.02));
  const Sample dense = draw({"xavier", {}}, {200, 300});
  CHECK(dense.deviation == doctest::Approx(std::sqrt(2.0 / 500)).epsilon(0.02));
  CHECK(dense.high <= std::sqrt(6.0 / 500));
  CHECK(draw({"xavier", {}}, {3, 5, 16, 100}).deviation == doctest::Approx(std::sqrt(2.0 / (15 * 116))).epsilon(0.02));
}

// Bits that must never change: trained files and their checks depend on them.
TEST_CASE("the same seed, name and shape give the same numbers for ever") {
  const TensorType type{DType::f32, {{2, false}, {2, false}}};
  const Tensor he = initialize("dense_1.weight", type, {"he", {}}, 1), again = initialize("dense_1.weight", type, {"he", {}}, 1);
  CHECK(he.data == again.data);
  CHECK(initialize("dense_2.weight", type, {"he", {}}, 1).data != he.data);
  RandomStream random(0, "");
  CHECK(random.next_u32() == philox({0, 0, 0x84222325, 0xcbf29ce4}, {0, 0})[0]);
}

TEST_CASE("unknown initializers and arguments are refused with a suggestion") {
  CHECK_NOTHROW(check_initializer({"normal", {{"deviation", 1}, {"trainable", false}}}, {}));
  CHECK_THROWS_WITH_AS(check_initializer({"xaver", {}}, {}), "error: unknown initializer `xaver`\nhelp: did you mean `xavier`?\n",
                       CompileError);
  CHECK_THROWS_WITH_AS(check_initializer({"normal", {{"deviaton", 1}}}, {}),
                       "error: unknown argument of normal `deviaton`\nhelp: did you mean `deviation`?\n", CompileError);
  CHECK_THROWS_WITH_AS(check_initializer({"normal", {{"mean", true}}}, {}), "error: `mean` of normal is true, expected a number\n",
                       CompileError);
}

TEST_CASE("initial_weights holds parameters and states in network order") {
  Graph graph;
  GraphBuilder builder(graph);
  builder.parameter("b", {DType::f32, {{3, false}}}, {"ones", {}});
  builder.state("a", {DType::f32, {{2, false}}}, {"constant", {{"value", 0.5}}});
  const Weights weights = initial_weights(graph, 0);
  REQUIRE(weights.entries().size() == 2);
  CHECK(weights.entries()[0].first == "b");
  CHECK(weights.entries()[1].first == "a");
  CHECK(weights.find("a")->data[1] == 0.5f);
  CHECK_FALSE(weights.find("c"));
}
