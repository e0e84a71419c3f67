// Types, shapes and compile-time values.
#include <doctest/doctest.h>

#include <cmath>

#include "ir/attribute.h"
#include "ir/diagnostic.h"

using namespace bnc;

namespace {

constexpr Dim fixed(int64_t extent) { return {extent, false}; }
constexpr Dim batch(int64_t factor = 1) { return {factor, true}; }

}  // namespace

TEST_CASE("types print with their batch symbol") {
  CHECK(to_string(TensorType{}) == "f32[]");
  CHECK(to_string(TensorType{DType::i32, {batch()}}) == "i32[N]");
  CHECK(to_string(TensorType{DType::f32, {batch(2), fixed(3)}}, "B") == "f32[2*B, 3]");
}

TEST_CASE("element_count multiplies, with the batch size at most once") {
  CHECK(element_count(Shape{}) == Dim{1, false});
  CHECK(element_count(Shape{batch(2), fixed(15)}) == batch(30));
  CHECK_FALSE(element_count(Shape{batch(), batch()}));
  CHECK(element_count(Shape{fixed(int64_t{1} << 31), fixed(int64_t{1} << 31)}) == fixed(int64_t{1} << 62));
  CHECK_FALSE(element_count(Shape{fixed(int64_t{1} << 31), fixed(int64_t{1} << 32)}));
  CHECK(element_count(Shape{fixed(0), fixed(int64_t{1} << 62)}) == fixed(0));
}

TEST_CASE("broadcast follows NumPy") {
  CHECK(broadcast({batch(), fixed(5)}, {fixed(5)}) == Shape{batch(), fixed(5)});
  CHECK(broadcast({fixed(5)}, {batch(), fixed(1)}) == Shape{batch(), fixed(5)});
  CHECK(broadcast({}, {fixed(3)}) == Shape{fixed(3)});
  CHECK_FALSE(broadcast({fixed(3)}, {fixed(5)}));
  CHECK_FALSE(broadcast({batch()}, {batch(2)}));
  CHECK_FALSE(broadcast({batch()}, {fixed(7)}));
}

TEST_CASE("numbers print with the fewest digits that read back") {
  CHECK(format_number(0.1) == "0.1");
  CHECK(format_number(1) == "1");
  CHECK(format_number(-0.0) == "-0.0");
  CHECK(format_number(-INFINITY) == "-inf");
  CHECK(format_number(-std::nan("")) == "nan");
  CHECK(format_number(1e-5) == "1e-05");
  CHECK(std::stod(format_number(1.0 / 3)) == 1.0 / 3);
}

TEST_CASE("attributes print as they stand in the source") {
  const Symbol ema{"ema", {{"decay", 0.9}, {"corrected", true}}};
  CHECK(to_string(Attribute(ema)) == "ema(decay=0.9, corrected)");
  CHECK(to_string(Attribute(Symbol{"ones", {{"trainable", false}}})) == "ones(trainable=false)");
  CHECK(to_string(Attribute(IntList{1, -1})) == "[1, -1]");
  CHECK(to_string(Attribute(Shape{batch(), fixed(3)}), "B") == "[B, 3]");
  CHECK(to_string(Attribute(NumberList{0.5, 2})) == "[0.5, 2]");
  CHECK(to_string(Attribute("same")) == "same");
}

TEST_CASE("attributes widen, and refuse another kind") {
  CHECK(Attribute(3).number() == 3.0);
  CHECK(Attribute(2.5).numbers() == NumberList{2.5});
  CHECK(Attribute(IntList{2, 3}).shape() == Shape{fixed(2), fixed(3)});
  CHECK_THROWS_AS(Attribute(2.5).integer(), InternalError);
  CHECK_THROWS_AS(Attribute("same").number(), InternalError);
  const Symbol ema{"ema", {{"decay", 1}, {"corrected", true}}};
  CHECK(ema.number("decay", 0.9) == 1.0);
  CHECK(ema.number("other", 0.25) == 0.25);
  CHECK(ema.flag("corrected"));
  CHECK_FALSE(ema.flag("other"));
}
