// Files as torch.save writes them, put together by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/zip.h"

namespace bnc::test {

// Parts of a pickle of protocol 2.
inline std::string pickled(int64_t value) {
  std::string bytes = "\x8a\x08";
  for (int k = 0; k < 8; ++k) bytes += static_cast<char>(value >> (8 * k));
  return bytes;
}
inline std::string pickled(const std::string& text) {
  std::string bytes = "X";
  for (int k = 0; k < 4; ++k) bytes += static_cast<char>(text.size() >> (8 * k));
  return bytes + text;
}
inline std::string pickled_global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }
inline std::string pickled(const std::vector<int64_t>& values) {
  std::string bytes = "(";
  for (const int64_t value : values) bytes += pickled(value);
  return bytes + "t";
}

struct PickledView {
  std::vector<int64_t> dims, strides;
  int64_t offset = 0, elements = 16;
  std::string key = "0", storage = "FloatStorage";
};
inline std::string pickled(const PickledView& view) {
  const std::string storage = "(" + pickled("storage") + pickled_global("torch", view.storage) + pickled(view.key) + pickled("cpu") +
                              pickled(view.elements) + "tQ";
  return pickled_global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + pickled(view.offset) + pickled(view.dims) +
         pickled(view.strides) + "\x89" + pickled_global("collections", "OrderedDict") + ")RtR";
}

using PickledEntries = std::vector<std::pair<std::string, std::string>>;   // keys, and values that are pickled already
inline std::string pickled(const PickledEntries& entries) {
  std::string bytes = "}(";
  for (const auto& [key, value] : entries) bytes += pickled(key) + value;
  return bytes + "u";
}

// An archive with that value, one record of bytes `0`, and further entries.
inline std::string torch_archive(const std::string& value, const std::string& record,
                                 std::vector<std::pair<std::string, std::string>> more = {}) {
  std::vector<std::pair<std::string, std::string>> entries = {{"w/data.pkl", "\x80\x02" + value + "."}, {"w/data/0", record}};
  entries.insert(entries.end(), more.begin(), more.end());
  return write_zip(entries);
}

}  // namespace bnc::test
