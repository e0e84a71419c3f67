#include "runtime/overlap.h"

#include <functional>
#include <string_view>
#include <unordered_set>

namespace bnc {

namespace {

// The bytes of the `width` elements of row k.
template <class T>
std::string_view row(const std::vector<T>& rows, int64_t k, int64_t width) {
  if (rows.empty()) return {};
  return {reinterpret_cast<const char*>(rows.data() + k * width), static_cast<size_t>(width) * sizeof(T)};
}

size_t hash_of(const Dataset::Data& data, int64_t k) {
  size_t hash = 0;
  for (const std::string_view part : {row(data.pixels, k, data.example_size), row(data.values, k, data.example_size),
                                      row(data.labels, k, data.target_size), row(data.targets, k, data.target_size)})
    hash = hash * 31 + std::hash<std::string_view>()(part);
  return hash;
}

}  // namespace

int64_t examples_in_common(const Dataset::Data& data, const Dataset::Data& other) {
  if (data.example_size != other.example_size || data.target_size != other.target_size) return 0;
  if (!data.others.empty() || !other.others.empty()) return 0;
  std::unordered_set<size_t> seen;
  for (int64_t k = 0; k < other.count; ++k) seen.insert(hash_of(other, k));
  int64_t common = 0;
  for (int64_t k = 0; k < data.count; ++k) common += seen.contains(hash_of(data, k));
  return common;
}

int64_t repeated_examples(const Dataset::Data& data) {
  if (!data.others.empty()) return 0;
  std::unordered_set<size_t> seen;
  int64_t again = 0;
  for (int64_t k = 0; k < data.count; ++k) again += !seen.insert(hash_of(data, k)).second;
  return again;
}

}  // namespace bnc
