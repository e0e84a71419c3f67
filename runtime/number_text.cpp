#include "runtime/number_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace bnc {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether a decimal number beyond the range of floats is so because it is near to 0: by the power of ten of its first digit that is not 0.
bool is_tiny(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const size_t mantissa_end = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, mantissa_end);
  const size_t point = std::min(mantissa.find('.'), mantissa.size()), first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  const int64_t power = first < point ? static_cast<int64_t>(point - first) - 1 : -static_cast<int64_t>(first - point);
  if (mantissa_end == text.size()) return power < 0;
  std::string_view exponent = text.substr(mantissa_end + 1);
  const bool negative = exponent.starts_with('-');
  if (negative || exponent.starts_with('+')) exponent.remove_prefix(1);
  int64_t value = 0;
  const bool fits = std::from_chars(exponent.data(), exponent.data() + exponent.size(), value).ec == std::errc();
  return fits ? power + (negative ? -value : value) < 0 : negative;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

NumberText parse_number(std::string_view text) {
  using Kind = NumberText::Kind;
  text = trimmed(text);
  if (text.empty()) return {Kind::empty};
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  NumberText result;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result.value);   // independent of the locale
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return {};
  const std::string_view digits = text.substr(text.starts_with('-'));
  if (error == std::errc::result_out_of_range) {
    if (!is_tiny(digits)) return {Kind::too_large};
    result.value = text.starts_with('-') ? -0.0F : 0.0F;
  }
  if (!std::isfinite(result.value)) return {Kind::not_finite};
  result.kind = Kind::number;
  result.whole = std::all_of(digits.begin(), digits.end(), is_digit);
  return result;
}

}  // namespace bnc
