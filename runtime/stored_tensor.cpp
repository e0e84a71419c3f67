#include "runtime/stored_tensor.h"

#include <cstring>
#include <map>
#include <optional>

#include "ir/small_floats.h"
#include "runtime/error.h"

namespace bnc {

uint64_t bytes_of_type(const std::string& dtype) {
  static const std::map<std::string, uint64_t> bytes = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                                                        {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                                                        {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  const auto found = bytes.find(dtype);
  return found == bytes.end() ? 0 : found->second;
}

namespace {

template <class T>
float as_float(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<float>(value);
}

uint16_t two_bytes(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

using Converter = float (*)(const uint8_t*);

// Null where elements of that type are not read.
Converter converter_of(const std::string& dtype) {
  static const std::map<std::string, Converter> converters = {
      {"F32", as_float<float>},    {"F64", as_float<double>},   {"I64", as_float<int64_t>},  {"I32", as_float<int32_t>},
      {"I16", as_float<int16_t>},  {"I8", as_float<int8_t>},    {"U64", as_float<uint64_t>}, {"U32", as_float<uint32_t>},
      {"U16", as_float<uint16_t>}, {"U8", as_float<uint8_t>},   {"BOOL", [](const uint8_t* bytes) { return *bytes ? 1.0f : 0.0f; }},
      {"F16", [](const uint8_t* bytes) { return float_of_half(two_bytes(bytes)); }},
      {"BF16", [](const uint8_t* bytes) { return float_of_bfloat16(two_bytes(bytes)); }}};
  const auto found = converters.find(dtype);
  return found == converters.end() ? nullptr : found->second;
}

// The strides of row-major order without gaps.
std::vector<int64_t> row_major(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t step = 1;
  for (size_t k = dims.size(); k-- > 0; step *= dims[k]) strides[k] = step;
  return strides;
}

}  // namespace

bool StoredTensor::is_integer() const { return dtype == "BOOL" || dtype.starts_with("I") || dtype.starts_with("U"); }

bool StoredTensor::is_readable() const { return converter_of(dtype) != nullptr; }

bool StoredTensor::is_contiguous() const {
  if (strides.empty() || element_count(dims) == 0) return true;
  const std::vector<int64_t> expected = row_major(dims);
  for (size_t k = 0; k < dims.size(); ++k)
    if (dims[k] != 1 && strides[k] != expected[k]) return false;
  return true;
}

SharedNumbers StoredTensor::numbers(const std::string& path) const {
  const Converter convert = converter_of(dtype);
  if (!convert) fail("{}: tensor `{}` is {}, which bnc does not read", path, name, dtype);
  const size_t count = static_cast<size_t>(element_count(dims)), width = bytes_of_type(dtype);
  if (count == 0) return {};
  const bool contiguous = is_contiguous();
  if (contiguous && dtype == "F32" && reinterpret_cast<uintptr_t>(data.data()) % alignof(float) == 0)
    return {{reinterpret_cast<const float*>(data.data()), count}, owner};
  const std::vector<int64_t> steps = contiguous ? row_major(dims) : strides;
  std::vector<float> values(count);
  std::vector<int64_t> index(dims.size());
  int64_t element = 0;
  for (size_t k = 0; k < count; ++k) {
    values[k] = convert(data.data() + static_cast<size_t>(element) * width);
    for (size_t axis = dims.size(); axis-- > 0;) {   // to the next element in row-major order
      element += steps[axis];
      if (++index[axis] < dims[axis]) break;
      element -= steps[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return values;
}

}  // namespace bnc
