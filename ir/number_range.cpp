#include "ir/number_range.h"

#include <cmath>

#include <fmt/format.h>

#include "ir/attribute.h"

namespace bnc {

bool NumberRange::holds(double number) const {
  const double judged = is_decay ? number : static_cast<float>(number);
  return (with_low ? judged >= low : judged > low) && (with_high ? judged <= high : judged < high);
}

std::string NumberRange::text() const {
  const bool has_low = std::isfinite(low), has_high = std::isfinite(high);
  if (!has_low && !has_high) return "a finite number";
  std::string text = "a number";
  if (has_low) text += fmt::format(" {} {}", with_low ? "of at least" : "above", format_number(low));
  if (has_low && has_high) text += " and";
  if (has_high) text += fmt::format(" {} {}", with_high ? "of at most" : "below", format_number(high));
  return text;
}

bool overflows_f32(double number) { return std::isfinite(number) && !std::isfinite(static_cast<float>(number)); }

std::string as_computed_with(double number) {
  const double rounded = static_cast<float>(number);
  const bool told = rounded != number && (rounded == 0 || rounded == 1 || std::isinf(rounded));
  return told ? fmt::format("{}, which is {} as f32", format_number(number), format_number(rounded)) : format_number(number);
}

}  // namespace bnc
