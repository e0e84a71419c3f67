// Python's pickle format, as far as torch.save writes it for state dicts. A machine that knows a few opcodes, containers, numbers, strings
// and the functions that rebuild tensors, by name: nothing is looked up, imported or called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/file_bytes.h"

namespace bnc {

// One value of a pickle. Containers, storages and tensors are numbers of those that the Pickle holds.
struct PickleValue {
  enum class Kind : uint8_t { none, boolean, integer, number, text, tuple, list, dict, global, storage, tensor, mark };
  Kind kind = Kind::none;
  uint32_t object = 0;
  int64_t integer = 0;       // of a boolean and an integer
  std::string_view text;     // of a text; of a global its module and name

  bool is(Kind wanted) const { return kind == wanted; }
};

// Where the elements of tensors lie: a record of the archive.
struct PickleStorage {
  std::string_view key;      // of the record `data/KEY`
  std::string dtype;         // as safetensors calls it
  int64_t elements = 0;
};

struct PickleTensor {
  uint32_t storage = 0;
  int64_t offset = 0;        // in elements, as the strides
  std::vector<int64_t> dims, strides;
};

// What a pickle holds. The texts point into its bytes.
struct Pickle {
  using Items = std::vector<PickleValue>;
  using Entries = std::vector<std::pair<PickleValue, PickleValue>>;

  PickleValue root;
  std::vector<Items> sequences;   // tuples and lists
  std::vector<Entries> dicts;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
};

// Throws Error where the bytes are damaged or hold anything else; `path` is for its text. Time and memory are bounded by the bytes.
Pickle parse_pickle(Bytes bytes, const std::string& path);

}  // namespace bnc
