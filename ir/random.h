// Counter-based random numbers (Philox-4x32-10; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
// a pure function of key and counter, so that any element can be drawn in any order on any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace bnc {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// FNV-1a, to derive keys from names.
uint64_t hash_name(std::string_view name);

// A stream of draws for one purpose (an initializer, a shuffle), identified by seed and name.
class RandomStream {
 public:
  RandomStream(uint64_t seed, std::string_view name);
  uint32_t next_u32();
  uint64_t below(uint64_t bound);  // uniform in [0, bound)
  double uniform();                // [0, 1)
  double normal();                 // mean 0, deviation 1 (Box and Muller)

 private:
  std::array<uint32_t, 2> key_;  // the seed
  uint64_t purpose_;             // hash of the name, the counter's upper half
  uint64_t counter_ = 0;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace bnc
