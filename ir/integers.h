// Arithmetic of sizes.
#pragma once

#include <cstdint>

namespace bnc {

// a / b, rounded up.
constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
// The smallest multiple of b that is not below a.
constexpr int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

}  // namespace bnc
