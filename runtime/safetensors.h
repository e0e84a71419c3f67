// The safetensors format: a little-endian u64 header length, a JSON object `name -> {dtype, shape, data_offsets}`, which may hold strings
// by name under `__metadata__`, the data.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/file_bytes.h"
#include "runtime/weight_store.h"

namespace bnc {

// The F32 tensors of a file in the order of their data; values point into `file`. Of others it tells names and types. Everything is
// checked: lengths, types, shapes against bytes, offsets contiguous from the first byte to the last, names unique. `path` is for errors.
WeightStore::Data parse_safetensors(const std::shared_ptr<const FileBytes>& file, const std::string& path);

// The bytes of a file: the same tensors and metadata give the same bytes. Data begins at a multiple of 8.
std::string write_safetensors(const Weights& weights, const ModelMetadata& metadata);

// Tensors beside which there are integers, as in a state dictionary of PyTorch.
struct PyTorchState {
  Weights tensors;
  std::vector<std::pair<std::string, int64_t>> counters;   // I64 scalars
};

// Integers come first, so that all data are aligned to their size.
std::string write_state_dict(const PyTorchState& dict);

}  // namespace bnc
