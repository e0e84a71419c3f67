#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "runtime/number_text.h"

using namespace bnc;
using Kind = NumberText::Kind;

TEST_CASE("numbers of tables: every way to write one") {
  const auto value = [](std::string_view text) {
    const NumberText parsed = parse_number(text);
    CAPTURE(text);
    CHECK(parsed.kind == Kind::number);
    return parsed.value;
  };
  CHECK(value("1") == 1);
  CHECK(value("+1") == 1);
  CHECK(value(" \t-2.5 ") == -2.5f);
  CHECK(value("1.") == 1);
  CHECK(value(".5") == 0.5f);
  CHECK(value("-.5e1") == -5);
  CHECK(value("1e5") == 1e5f);
  CHECK(value("1E+5") == 1e5f);
  CHECK(value("007") == 7);
  CHECK(value("0.1") == 0.1f);
  CHECK(value("16777217") == 16777216.0f);
  CHECK(value("3.4028235e38") == std::numeric_limits<float>::max());
}

TEST_CASE("numbers of tables: too near to 0 is 0, too far from it is refused, however it is written") {
  const std::string zeros(60, '0');
  for (const std::string& text :
       {std::string("1e-50"), std::string("-1e-50"), std::string("1E-400"), std::string("1e-99999999999999999999"), "0." + zeros + "1",
        "0." + zeros + "1e3", "1" + zeros + "e-200", std::string("+1e-46"), "-0." + zeros + "1"}) {
    CAPTURE(text);
    CHECK(parse_number(text).kind == Kind::number);
    CHECK(parse_number(text).value == 0);
    CHECK(std::signbit(parse_number(text).value) == text.starts_with('-'));
  }
  CHECK(parse_number("1e-40").value > 0);   // without full precision, but not 0
  for (const std::string& text : {std::string("1e50"), std::string("-1e50"), std::string("1e400"), std::string("1e99999999999999999999"),
                                  "1" + zeros, "0." + zeros + "1e200", std::string("3.5e38")}) {
    CAPTURE(text);
    CHECK(parse_number(text).kind == Kind::too_large);
  }
}

TEST_CASE("numbers of tables: what is none") {
  for (const char* text : {"nan", "NaN", "inf", "-inf", "+Infinity"}) {
    CAPTURE(text);
    CHECK(parse_number(text).kind == Kind::not_finite);
  }
  for (const char* text :
       {"one", "0x1A", "1 2", "1,5", "1_000", "1d5", "--1", "+-1", "+", "-", ".", "e5", "1e", "NA", "1.2.3", "\xd9\xa1"}) {
    CAPTURE(text);
    CHECK(parse_number(text).kind == Kind::no_number);
  }
  CHECK(parse_number("").kind == Kind::empty);
  CHECK(parse_number(" \t").kind == Kind::empty);
}

TEST_CASE("numbers of tables: whole ones stand without point and exponent") {
  for (const char* text : {"0", "-3", "+12", " 7 "}) CHECK(parse_number(text).whole);
  for (const char* text : {"0.0", "1.", "1e3", "nan", "", "x"}) CHECK_FALSE(parse_number(text).whole);
}
