// A tensor as a file of weights stores it: of any element type, with strides.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/tensor.h"
#include "runtime/file_bytes.h"

namespace bnc {

struct StoredTensor {
  std::string name;
  std::string dtype;                    // as safetensors calls it: F32, BF16, I64
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;         // in elements; empty: row-major without gaps
  Bytes data;                           // from the first element on
  std::shared_ptr<const void> owner;    // of the data

  bool is_integer() const;
  // Whether the elements are numbers that f32 can stand for.
  bool is_readable() const;
  bool is_contiguous() const;
  // The elements in row-major order, rounded to f32; those of a contiguous f32 tensor are shared, not copied. Error where they are not
  // readable; `path` is for its text.
  SharedNumbers numbers(const std::string& path) const;
};

// Of one element of a type of safetensors; 0 where there is no such type.
uint64_t bytes_of_type(const std::string& dtype);

}  // namespace bnc
