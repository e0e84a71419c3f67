// What a training step computes of the number of steps done, schedules of the learning rate and bias corrections: the reference
// evaluation against formulas, and the compiled one beside it.
#include <doctest/doctest.h>

#include <cmath>

#include "bnc/bnc.h"
#include "ir/evaluate.h"
#include "support/passes.h"

using namespace bnc;

namespace {

const double pi = std::acos(-1.0);

using Formula = std::function<double(int64_t t)>;

// `call` is of t: i32[].
void check_call(const std::string& call, const std::vector<int64_t>& steps, const Formula& formula, double tolerance) {
  INFO(call);
  const std::string source = "network net(x: f32[N], t: i32[]) {\n  return rate = " + call + "\n}\n";
  const Module module = parse_module(make_source(source));
  const Network network = Network::from_text(source);
  Session session = network.compile({.mode = Mode::infer, .batch = 1}, network.initialize(0));
  session.bind("x", Array({1}, std::vector<float>{0}));
  for (int64_t t : steps) {
    INFO("step ", t);
    const Bindings bindings = {{"x", {DType::f32, {1}, {0}}}, {"t", {DType::i32, {}, {static_cast<double>(t)}}}};
    const double expected = formula(t);
    CHECK(evaluate(module.main(), bindings).outputs.at("rate").data[0] == doctest::Approx(expected).epsilon(1e-12));
    session.bind("t", Array({}, std::vector<int32_t>{static_cast<int32_t>(t)}));
    session.run();
    CHECK(session.read("rate").floats()[0] == doctest::Approx(expected).epsilon(tolerance));
  }
}

void check(const std::string& schedule, const std::vector<int64_t>& steps, const Formula& formula, double tolerance = 3e-7) {
  check_call("learning_rate(t, schedule=" + schedule + ")", steps, formula, tolerance);
}

std::vector<int64_t> first(int64_t count) {
  std::vector<int64_t> steps;
  for (int64_t t = 0; t < count; ++t) steps.push_back(t);
  return steps;
}

}  // namespace

TEST_CASE("learning_rate: constant, and a warm-up by equal parts") {
  check("constant(start=0.125)", {0, 1, 2147483647}, [](int64_t) { return 0.125; });
  check("constant(start=0.5, warmup=4)", first(9), [](int64_t t) { return t < 4 ? 0.1 * static_cast<double>(t + 1) : 0.5; });
}

TEST_CASE("learning_rate: steps by a factor, every so often or at milestones") {
  check("step(start=0.5, every=3, factor=0.5)", {0, 1, 2, 3, 5, 6, 8, 9, 30, 299},
        [](int64_t t) { return 0.5 * std::pow(0.5, std::floor(static_cast<double>(t) / 3)); });
  check(
      "step(start=2, every=1, factor=0.99)", {0, 1, 7, 255, 1000, 2047},
      [](int64_t t) { return 2 * std::pow(0.99, static_cast<double>(t)); }, 2e-6);
  check("step(start=1, every=1000)", {0, 999, 1000, 60000, 2147483647},
        [](int64_t t) { return t < 100000 ? std::pow(0.1, static_cast<double>(t / 1000)) : 0; });
  check("step(start=0.5, at=[2, 3, 7])", first(12), [](int64_t t) { return 0.5 * std::pow(0.1, (t >= 2) + (t >= 3) + (t >= 7)); });
  check("step(start=0.5, at=[2], factor=0.25, warmup=3)", first(9), [](int64_t t) {
    return t < 3 ? 0.125 * static_cast<double>(t + 1) : t < 5 ? 0.5 : 0.125;
  });
}

TEST_CASE("learning_rate: half a cosine, exact to its last digits near the end") {
  const auto cosine = [](double start, double end, double part) { return end + (start - end) * std::pow(std::cos(pi / 2 * part), 2); };
  check("cosine(start=0.5, steps=13)", first(16), [&](int64_t t) { return t < 13 ? cosine(0.5, 0, static_cast<double>(t) / 13) : 0; });
  check("cosine(start=0.5, end=0.125, steps=13, warmup=4)", first(16), [&](int64_t t) {
    return t < 4 ? 0.1 * static_cast<double>(t + 1) : t < 13 ? cosine(0.5, 0.125, static_cast<double>(t - 4) / 9) : 0.125;
  });
  check("cosine(start=0.001, end=0.5, steps=100000)", {0, 1, 77, 50000, 99999, 100000},
        [&](int64_t t) { return cosine(0.001, 0.5, static_cast<double>(t) / 1e5); });
}

TEST_CASE("learning_rate: one cycle up and down") {
  const auto half = [](double from, double to, double part) { return to + (from - to) * (1 + std::cos(pi * part)) / 2; };
  check("one_cycle(peak=0.5, steps=20)", first(24), [&](int64_t t) {
    return t <= 5 ? half(0.02, 0.5, static_cast<double>(t) / 5) : t < 19 ? half(0.5, 2e-6, static_cast<double>(t - 5) / 14) : 2e-6;
  });
  check("one_cycle(peak=0.5, start=0.1, end=0.05, rise=0.45, steps=9, warmup=2)", first(12), [&](int64_t t) {
    const double u = static_cast<double>(t - 2), top = 0.45 * 7 - 1;
    return t < 2     ? 0.1 / 3 * static_cast<double>(t + 1)
           : u < top ? half(0.1, 0.5, u / top)
           : u < 6   ? half(0.5, 0.05, (u - top) / (6 - top))
                     : 0.05;
  });
  check("one_cycle(peak=0.5, steps=1)", first(3), [](int64_t) { return 2e-6; });
  check("one_cycle(peak=0.5, start=0.1, end=0.05, rise=0.1, steps=3)", first(5),
        [&](int64_t t) { return t < 2 ? half(0.5, 0.05, static_cast<double>(t) / 2) : 0.05; });
}

TEST_CASE("one_minus_power: bias corrections are accurate over long runs") {
  std::vector<int64_t> steps = first(50);
  for (int64_t t = 51; t < int64_t{1} << 31; t += t / 3) steps.push_back(t);
  for (const char* decay : {"0.9", "0.999", "0.99999", "0.125"}) {
    const double logarithm = std::log(std::stod(decay));
    check_call(
        "one_minus_power(t, decay=" + std::string(decay) + ")", steps,
        [&](int64_t t) { return -std::expm1(static_cast<double>(t) * logarithm); }, 4e-7);
    check_call(
        "one_minus_power(t, decay=" + std::string(decay) + ", offset=1)", first(9),
        [&](int64_t t) { return -std::expm1(static_cast<double>(t + 1) * logarithm); }, 4e-7);
  }
}
