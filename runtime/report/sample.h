// A sample of a sequence that may be long, the same one every time.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace bnc {

// Keeps all of up to `limit` values; of more, about half of `limit` to `limit`, evenly spread. Which ones depends on their places alone.
template <class T>
class Sample {
 public:
  explicit Sample(size_t limit) : limit_(limit) {}

  void add(const T& value) {
    const uint64_t hash = mixed(seen_++);
    if (hash > highest_) return;
    hashes_.push_back(hash);
    values_.push_back(value);
    while (values_.size() > limit_) thin();
  }
  const std::vector<T>& values() const { return values_; }

 private:
  // SplitMix64.
  static uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  void thin() {
    highest_ /= 2;
    size_t kept = 0;
    for (size_t k = 0; k < values_.size(); ++k) {
      if (hashes_[k] > highest_) continue;
      hashes_[kept] = hashes_[k];
      values_[kept++] = values_[k];
    }
    hashes_.resize(kept);
    values_.resize(kept);
  }

  size_t limit_;
  uint64_t seen_ = 0, highest_ = std::numeric_limits<uint64_t>::max();
  std::vector<uint64_t> hashes_;
  std::vector<T> values_;
};

}  // namespace bnc
