#include "runtime/input_scale.h"

#include <algorithm>
#include <array>

#include "runtime/error.h"

namespace bnc {

namespace {

constexpr double highest_byte = 255;
// Pixels lie between 0 and 1, and noise added to them does not go far beyond.
constexpr double room_for_noise = 0.5, rounding = 1e-3;
// Other bytes may reach this many times as far as those the network was trained on.
constexpr double most_growth = 2;

template <class T>
StoredNumbers range_of(std::span<const T> numbers, bool bytes) {
  if (numbers.empty()) return {bytes};
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  return {bytes, static_cast<double>(*least), static_cast<double>(*most)};
}

const std::array<float, 256> pixel_values = [] {
  std::array<float, 256> values{};
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(static_cast<double>(k) / highest_byte);
  return values;
}();

}  // namespace

StoredNumbers StoredNumbers::of(std::span<const uint8_t> bytes) { return range_of(bytes, true); }
StoredNumbers StoredNumbers::of(std::span<const float> numbers) { return range_of(numbers, false); }
StoredNumbers StoredNumbers::of(std::span<const int32_t> numbers) { return range_of(numbers, false); }

float pixel_value(uint8_t byte) { return pixel_values[byte]; }

InputScale scale_of(const StoredNumbers& numbers) {
  if (numbers.bytes) return {true, 0, 1};
  return {false, numbers.lowest, numbers.highest};
}

bool divides_by_255(const StoredNumbers& numbers, const std::optional<InputScale>& rule, const std::string& what,
                    const std::string& source) {
  if (!rule) return numbers.bytes;
  if (!numbers.bytes) {
    if (rule->from_bytes && (numbers.lowest < -room_for_noise || numbers.highest > 1 + room_for_noise)) {
      fail(
          "{} holds numbers from {:g} to {:g}, but {} held bytes, which were divided by 255\nhelp: store these numbers as bytes (uint8) "
          "too, or divided by 255",
          what, numbers.lowest, numbers.highest, source);
    }
    return false;
  }
  if (rule->from_bytes) return true;
  const auto refuse = [&](const char* why) {
    fail(
        "{} holds bytes from {:g} to {:g}, but {} held numbers from {:g} to {:g}{}\nhelp: store them as float32, as the network takes them",
        what, numbers.lowest, numbers.highest, source, rule->lowest, rule->highest, why);
  };
  if (rule->lowest < -rounding) refuse("");
  if (rule->highest <= 1 + rounding) {
    if (numbers.highest == 1) refuse(": a byte 1 may mean 1 or 1 / 255");
    return true;
  }
  if (rule->highest > highest_byte || numbers.highest > most_growth * rule->highest) refuse("");
  return false;
}

}  // namespace bnc
