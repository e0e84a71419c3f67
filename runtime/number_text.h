// Numbers as tables write them.
#pragma once

#include <string_view>

namespace bnc {

// What a field of a table holds. A number is decimal: an optional sign, digits with or without a point and an exponent (`1.`, `.5`,
// `+1e5`), with spaces or tabs around it. What is nearer to 0 than any float counts as 0; what is farther from it is `too_large`.
struct NumberText {
  enum class Kind { number, not_finite, too_large, empty, no_number };
  Kind kind = Kind::no_number;
  float value = 0;      // of a number
  bool whole = false;   // it is one and stands without point and exponent
};

NumberText parse_number(std::string_view text);

// The field without the spaces and tabs around it.
std::string_view trimmed(std::string_view text);

}  // namespace bnc
