// Random choices. The same seed and name give the same ones on every machine.
#pragma once

#include <string_view>
#include <vector>

#include "ir/random.h"

namespace bnc::fuzz {

class Random {
 public:
  Random(uint64_t seed, std::string_view purpose) : stream_(seed, purpose) {}

  // In [0, bound); 0 where that is empty.
  int64_t below(int64_t bound) { return bound < 1 ? 0 : static_cast<int64_t>(stream_.below(static_cast<uint64_t>(bound))); }
  // In [low, high].
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  bool chance(double share) { return stream_.uniform() < share; }
  double uniform(double low, double high) { return low + (high - low) * stream_.uniform(); }
  double normal() { return stream_.normal(); }
  template <class T>
  const T& pick(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int64_t>(list.size())))];
  }
  // Mostly among the last ones of a list of that many.
  int64_t recent(int64_t count) { return chance(0.7) ? count - 1 - below(count < 3 ? count : 3) : below(count); }

 private:
  RandomStream stream_;
};

}  // namespace bnc::fuzz
