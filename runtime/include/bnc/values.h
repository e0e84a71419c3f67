// What networks take and give: errors, arrays, NumPy archives, weights. Part of bnc/bnc.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bnc {

// What a caller or user can cause: a wrong network, file, shape or option.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "bnc 0.1.0 (LLVM 22.1.8)"
std::string version();

// A dense row-major array of f32 or i32, as networks take and give them.
class Array {
 public:
  Array() = default;
  Array(std::vector<int64_t> dims, std::vector<float> values);
  Array(std::vector<int64_t> dims, std::vector<int32_t> values);

  const std::vector<int64_t>& dims() const { return dims_; }
  int64_t size() const;
  bool is_float() const { return is_float_; }
  std::span<const float> floats() const { return floats_; }
  std::span<const int32_t> integers() const { return integers_; }

 private:
  std::vector<int64_t> dims_;
  std::vector<float> floats_;
  std::vector<int32_t> integers_;
  bool is_float_ = true;
};

using NamedArrays = std::vector<std::pair<std::string, Array>>;

// Replaces a file as a whole: written to a temporary file beside it and renamed, so that a failure (full disk, no
// permission) throws Error and leaves what was there. Of a symbolic link the target is replaced. What is not a regular file (a pipe,
// /dev/null) is written to directly, and so is an open file (/dev/stdout, /dev/fd/3).
void write_file(const std::string& path, std::string_view bytes);
// The file that this writes: where symbolic links lead, also to one that is not there yet; an open file's path stays as it is.
std::string written_file(const std::string& path);

// The candidate nearest to `name` by edit distance, for "did you mean ...?"; empty when none is near enough.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

// NumPy archives. Reading accepts f4, f8, i1..i8, u1..u8 and b1, little-endian, C order; floats become f32, integers i32.
NamedArrays load_npz(const std::string& path);
void save_npz(const std::string& path, const NamedArrays& arrays);

// Named f32 tensors of a safetensors file, memory-mapped; in the order of the file. With them goes what the file says of its model, such
// as how the numbers it was trained on were stored.
class WeightStore {
 public:
  WeightStore();
  ~WeightStore();
  WeightStore(WeightStore&&) noexcept;
  WeightStore& operator=(WeightStore&&) noexcept;

  static WeightStore load(const std::string& path);
  // Written to a temporary file beside `path` and renamed, so that a failure leaves what was there.
  void save(const std::string& path) const;

  std::vector<std::string> names() const;
  std::vector<int64_t> dims(const std::string& name) const;
  std::span<const float> values(const std::string& name) const;
  void set(const std::string& name, std::vector<int64_t> dims, std::vector<float> values);
  // What the file says of its model beside the tensors, by key (`bnc.network`, `bnc.classes`); in the order of the keys.
  std::vector<std::pair<std::string, std::string>> metadata() const;
  // Says such things in place of all that was said before. Error where an entry of bnc's own is damaged.
  void set_metadata(const std::vector<std::pair<std::string, std::string>>& entries);

  struct Data;
  Data& data() const { return *data_; }  // for the library itself

 private:
  std::unique_ptr<Data> data_;
};

}  // namespace bnc
