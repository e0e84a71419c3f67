// Random orders of examples.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace bnc {

// 0 .. count-1 in an order that depends on seed and purpose alone (Fisher and Yates).
std::vector<int64_t> shuffled_indices(int64_t count, uint64_t seed, std::string_view purpose);

}  // namespace bnc
