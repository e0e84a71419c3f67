// Numbers are judged by what code computes with: the nearest f32.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "bnc/bnc.h"
#include "ir/number_range.h"
#include "ir/op.h"
#include "support/frontend.h"
#include "support/op_cases.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// Numbers that are others as f32: 0, 1, infinite.
constexpr double tricky[] = {1e-46, -1e-46, 1e-50, 1 - 1e-9, 1 + 1e-9, 1e39, -1e39, 1e300};

bool accepts(OpCase test, const std::string& attribute, double number) {
  test.attributes[attribute] = number;
  try {
    make_graph(test);
  } catch (const CompileError&) {
    return false;
  }
  return true;
}

std::string refusal_of(const std::string& body) {
  try {
    const Network network = Network::from_text("network net(x: f32[N, 4]) {\n  return " + body + "\n}\n");
    network.initialize(1);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a range holds the f32 nearest to a number, or of a decay the number") {
  CHECK(positive.holds(1e-45));
  CHECK_FALSE(positive.holds(1e-46));
  CHECK(not_negative.holds(1e-46));
  CHECK(not_negative.holds(-1e-46));
  CHECK(below_one.holds(1 - 1e-7));
  CHECK_FALSE(below_one.holds(1 - 1e-9));
  CHECK(decay_range.holds(1 - 1e-9));
  CHECK_FALSE(decay_range.holds(1));
  CHECK_FALSE(any_finite.holds(1e39));
  CHECK_FALSE(any_finite.holds(-INFINITY));
  CHECK_FALSE(share_of_one.holds(std::nan("")));
  CHECK(positive.text() == "a number above 0");
  CHECK(share_of_one.text() == "a number of at least 0 and of at most 1");
  CHECK(any_finite.text() == "a finite number");
  CHECK(as_computed_with(1e-46) == "1e-46, which is 0 as f32");
  CHECK(as_computed_with(0.1) == "0.1");
  CHECK(as_computed_with(1e39) == "1e+39, which is inf as f32");
}

TEST_CASE("every attribute of every op takes a number exactly where it takes the f32 nearest to it") {
  // Of a decay code computes 1 - decay and log(decay), taken in f64; bounds of clip that differ must differ as f32 too.
  const std::set<std::string> others = {"decay", "low", "high"};
  std::set<std::string> seen;
  for (const OpCase& test : op_cases()) {
    for (const AttributeSpec& spec : find_op(test.op)->attributes) {
      if (spec.kind != AttributeKind::number || others.count(spec.name)) continue;
      seen.insert(spec.name);
      for (const double number : tricky) {
        CAPTURE(test.describe());
        CAPTURE(spec.name);
        CAPTURE(number);
        CHECK(accepts(test, spec.name, number) == accepts(test, spec.name, static_cast<float>(number)));
      }
    }
  }
  for (const char* name : {"epsilon", "slope", "alpha", "value", "rate", "smoothing"}) CHECK(seen.count(name));
}

TEST_CASE("a number that is finite, but not as f32, is refused at its place") {
  for (const char* body : {"x * 1e39", "1e39 - x", "clip(x, 0, 1e39)", "pad(reshape(x, [N, 2, 2, 1]), 1, value=1e39)", "relu(x) / 1e300"}) {
    const std::string text = refusal_of(body);
    CHECK_MESSAGE(text.find("which is inf as f32") != std::string::npos, body << ": " << text);
    CHECK(text.find("<text>:2:") != std::string::npos);
    CHECK(text.find("write `inf`") != std::string::npos);
  }
  for (const char* body : {"x * inf", "clip(x, 0, inf)", "x + 1e-50", "x * 3.4e38"})
    CHECK_MESSAGE(refusal_of(body).empty(), refusal_of(body));
}

TEST_CASE("initializers make numbers that are finite as f32") {
  const auto refuses = [](const std::string& initializer, const std::string& part) {
    const std::string text = refusal_of("dense(x, 500, weight=" + initializer + ")");
    CHECK_MESSAGE(text.find(part) != std::string::npos, initializer << ": " << text);
  };
  refuses("constant(value=1e39)", "`value` of constant is 1e+39, which is inf as f32, expected a finite number");
  refuses("constant(value=nan)", "`value` of constant is nan");
  refuses("normal(deviation=-1)", "`deviation` of normal is -1, expected a number of at least 0");
  refuses("normal(mean=inf)", "`mean` of normal is inf");
  refuses("normal(deviation=2e38)", "normal(deviation=2e+38) draws ");
  refuses("uniform(low=1, high=0)", "`low` of uniform is 1, but `high` is 0");
  for (const char* fine : {"normal(deviation=0)", "normal(deviation=1e-50)", "uniform(low=2, high=2)", "constant(value=3e38)"})
    CHECK_MESSAGE(refusal_of(std::string("dense(x, 500, weight=") + fine + ")").empty(), fine);
}
