// The one place where numbers of a network are held against what they may be: attributes, and arguments of optimizers, schedules and
// initializers.
#pragma once

#include <limits>
#include <string>

namespace bnc {

// Code computes in f32, so it is the f32 nearest to a number that must lie in the range: 1e-46 is 0, 1 - 1e-9 is 1, 1e39 is infinite.
// Infinite bounds do not belong to it, and neither does NaN.
struct NumberRange {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool with_low = false, with_high = false;
  bool is_decay = false;   // code computes with 1 - number and log(number), taken in f64: the number itself is what counts

  bool holds(double number) const;
  // "a number above 0", "a number of at least 0 and below 1"
  std::string text() const;
};

inline constexpr NumberRange any_finite{}, positive{.low = 0}, not_negative{.low = 0, .with_low = true};
inline constexpr NumberRange below_one{.low = 0, .high = 1, .with_low = true},
    share_of_one{.low = 0, .high = 1, .with_low = true, .with_high = true};
inline constexpr NumberRange decay_range{.low = 0, .high = 1, .with_low = true, .is_decay = true};

// A finite number that is infinite as f32.
bool overflows_f32(double number);
// The number, and what it is as f32 where that is 0, 1 or infinite and the number is not: "1e-46, which is 0 as f32".
std::string as_computed_with(double number);

}  // namespace bnc
