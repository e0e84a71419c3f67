// Arrays as callers give and take them.
#include "runtime/error.h"

namespace bnc {

namespace {

int64_t checked_size(const std::vector<int64_t>& dims, size_t values) {
  int64_t size = 1;
  for (const int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(size, dim, &size)) fail("an array of shape [{}] cannot be", fmt::join(dims, ", "));
  }
  if (static_cast<uint64_t>(size) != values) fail("an array of shape [{}] holds {} values, not {}", fmt::join(dims, ", "), size, values);
  return size;
}

}  // namespace

Array::Array(std::vector<int64_t> dims, std::vector<float> values) : dims_(std::move(dims)), floats_(std::move(values)) {
  checked_size(dims_, floats_.size());
}

Array::Array(std::vector<int64_t> dims, std::vector<int32_t> values)
    : dims_(std::move(dims)), integers_(std::move(values)), is_float_(false) {
  checked_size(dims_, integers_.size());
}

int64_t Array::size() const { return static_cast<int64_t>(is_float_ ? floats_.size() : integers_.size()); }

}  // namespace bnc
