// Whether numbers are finite.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace bnc {

// Without a branch a number, so that it goes at the speed of memory.
inline bool all_finite(std::span<const float> values) {
  constexpr uint32_t exponent = 0x7f800000;
  uint32_t found = 0;
  for (const float value : values) found |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & exponent) == exponent);
  return found == 0;
}

}  // namespace bnc
