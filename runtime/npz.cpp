// The .npy format after NumPy's NEP 1: a magic, a version, a Python dict as text, the data.
#include "runtime/npz.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <limits>
#include <string_view>

#include "runtime/error.h"
#include "runtime/zip.h"

namespace bnc {

namespace {

struct NpyHeader {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> dims;
};

// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order of the keys.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader parse() {
    NpyHeader header;
    expect('{');
    bool descr = false, order = false, shape = false;
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        header.descr = string();
        descr = true;
      } else if (key == "fortran_order" && !order) {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        header.dims = tuple();
        shape = true;
      } else {
        damaged();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty() || !descr || !order || !shape) damaged();
    return header;
  }

 private:
  std::string_view text_;
  const std::string& where_;

  [[noreturn]] void damaged() const { fail("{}: the header of the array is not understood", where_); }
  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n')) text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) damaged();
  }
  std::string string() {
    skip_space();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) damaged();
    const size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) damaged();
    std::string result(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return result;
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return word == "True";
    }
    damaged();
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> dims;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t dim = 0;
      size_t digits = 0;
      for (; digits < text_.size() && std::isdigit(static_cast<unsigned char>(text_[digits])); ++digits) {
        if (__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, text_[digits] - '0', &dim)) damaged();
      }
      if (digits == 0) damaged();
      text_.remove_prefix(digits);
      dims.push_back(dim);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return dims;
  }
};

template <class T>
std::vector<T> raw_values(Bytes data) {
  std::vector<T> values(data.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), data.data(), data.size());
  return values;
}

template <class T>
Array float_array(const std::vector<int64_t>& dims, Bytes data) {
  const std::vector<T> values = raw_values<T>(data);
  return Array(dims, std::vector<float>(values.begin(), values.end()));
}

template <class T>
Array integer_array(const std::vector<int64_t>& dims, Bytes data, const std::string& where) {
  const std::vector<T> values = raw_values<T>(data);
  std::vector<int32_t> integers(values.size());
  for (size_t k = 0; k < values.size(); ++k) {
    if (!std::in_range<int32_t>(values[k])) fail("{}: the value {} at position {} does not fit in 32 bits", where, values[k], k);
    integers[k] = static_cast<int32_t>(values[k]);
  }
  return Array(dims, std::move(integers));
}

int element_bytes(const std::string& dtype) {
  static const std::vector<std::string> known = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"};
  return std::find(known.begin(), known.end(), dtype) == known.end() ? 0 : dtype[1] - '0';
}

Array make_array(const std::string& dtype, const std::vector<int64_t>& dims, Bytes data, const std::string& where) {
  if (dtype == "f4") return float_array<float>(dims, data);
  if (dtype == "f8") return float_array<double>(dims, data);
  if (dtype == "i1") return integer_array<int8_t>(dims, data, where);
  if (dtype == "i2") return integer_array<int16_t>(dims, data, where);
  if (dtype == "i4") return integer_array<int32_t>(dims, data, where);
  if (dtype == "i8") return integer_array<int64_t>(dims, data, where);
  if (dtype == "u2") return integer_array<uint16_t>(dims, data, where);
  if (dtype == "u4") return integer_array<uint32_t>(dims, data, where);
  if (dtype == "u8") return integer_array<uint64_t>(dims, data, where);
  return integer_array<uint8_t>(dims, data, where);  // u1, b1
}

// The bytes in row-major order of an array stored column-major.
std::vector<uint8_t> to_row_major(Bytes data, const std::vector<int64_t>& dims, size_t width) {
  std::vector<uint8_t> result(data.size());
  const size_t rank = dims.size();
  std::vector<int64_t> index(rank, 0), stride(rank, 1);
  for (size_t axis = 1; axis < rank; ++axis) stride[axis] = stride[axis - 1] * dims[axis - 1];
  for (size_t at = 0; at < data.size(); at += width) {
    size_t source = 0;
    for (size_t axis = 0; axis < rank; ++axis) source += static_cast<size_t>(index[axis] * stride[axis]);
    std::memcpy(&result[at], &data[source * width], width);
    for (size_t axis = rank; axis-- > 0 && ++index[axis] == dims[axis];) index[axis] = 0;
  }
  return result;
}

StoredArray parse_npy(const std::string& name, Bytes bytes, const std::string& where) {
  constexpr std::string_view magic = "\x93NUMPY";
  if (bytes.size() < 10 || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) fail("{}: not a NumPy array", where);
  const int version = bytes[6];
  if (version < 1 || version > 3) fail("{}: version {} of the .npy format is not known", where, version);
  const size_t prefix = version == 1 ? 10 : 12;
  size_t length = bytes[8] | bytes[9] << 8;
  if (version > 1 && bytes.size() >= prefix) length |= static_cast<size_t>(bytes[10]) << 16 | static_cast<size_t>(bytes[11]) << 24;
  if (bytes.size() < prefix || bytes.size() - prefix < length) fail("{}: the array is cut short", where);
  const NpyHeader header = HeaderParser({reinterpret_cast<const char*>(bytes.data()) + prefix, length}, where).parse();

  if (header.descr.starts_with(">")) fail("{}: the array is big-endian ({}); bnc reads little-endian ones", where, header.descr);
  const std::string dtype = header.descr.empty() || std::isalpha(static_cast<unsigned char>(header.descr[0])) ? header.descr
                                                                                                              : header.descr.substr(1);
  const int width = element_bytes(dtype);
  if (width == 0) fail("{}: elements of type `{}` cannot be read; bnc reads f4, f8, i1 to i8, u1 to u8 and b1", where, header.descr);
  // Without the extents of 0 an array must be possible in any type: its strides are computed from them.
  int64_t largest = sizeof(double), expected = width;
  for (const int64_t dim : header.dims) {
    if (__builtin_mul_overflow(largest, std::max<int64_t>(dim, 1), &largest))
      fail("{}: its shape ({}) is too large", where, fmt::join(header.dims, ", "));
    expected *= dim;
  }
  const Bytes data = bytes.subspan(prefix + length);
  if (data.size() != static_cast<uint64_t>(expected)) {
    fail("{}: shape ({}) of {} takes {} bytes, but {} are there", where, fmt::join(header.dims, ", "), header.descr, expected, data.size());
  }
  if (!header.fortran_order) return {name, dtype, make_array(dtype, header.dims, data, where)};
  return {name, dtype, make_array(dtype, header.dims, to_row_major(data, header.dims, static_cast<size_t>(width)), where)};
}

std::string write_npy(const Array& array) {
  std::string shape;
  for (const int64_t dim : array.dims()) shape += fmt::format("{}, ", dim);
  if (array.dims().size() > 1) shape.resize(shape.size() - 2);
  else if (!shape.empty()) shape.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", array.is_float() ? "<f4" : "<i4", shape);
  constexpr size_t prefix = 10;
  header.append(63 - (prefix + header.size()) % 64, ' ').push_back('\n');
  std::string bytes = "\x93NUMPY";
  bytes += {'\x01', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  bytes += header;
  const void* data = array.is_float() ? static_cast<const void*>(array.floats().data()) : array.integers().data();
  return bytes.append(static_cast<const char*>(data), static_cast<size_t>(array.size()) * 4);
}

}  // namespace

std::vector<StoredArray> read_npz(const std::string& path) {
  std::vector<StoredArray> arrays;
  for (const ZipEntry& entry : read_zip(open_file(path)->bytes(), path)) {
    if (!entry.name.ends_with(".npy")) fail("{}: `{}` is no .npy array", path, entry.name);
    const std::string name = entry.name.substr(0, entry.name.size() - 4);
    arrays.push_back(parse_npy(name, entry.bytes, fmt::format("{}: array `{}`", path, name)));
  }
  return arrays;
}

NamedArrays load_npz(const std::string& path) {
  return at_boundary([&] {
    NamedArrays arrays;
    for (StoredArray& stored : read_npz(path)) arrays.emplace_back(std::move(stored.name), std::move(stored.array));
    return arrays;
  });
}

void save_npz(const std::string& path, const NamedArrays& arrays) {
  at_boundary([&] {
    std::vector<std::pair<std::string, std::string>> entries;
    for (const auto& [name, array] : arrays) entries.emplace_back(name + ".npy", write_npy(array));
    write_file(path, write_zip(entries));
  });
}

}  // namespace bnc
