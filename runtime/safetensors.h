// The safetensors format: a little-endian u64 header length, a JSON object `name -> {dtype, shape, data_offsets}`, the data.
#pragma once

#include <memory>
#include <string>

#include "ir/tensor.h"
#include "runtime/file_bytes.h"

namespace bnc {

// The tensors of a file in the order of their data; values point into `file`. Only F32. Everything is checked: lengths,
// types, shapes against bytes, offsets contiguous from the first byte to the last, names unique. `path` is for errors.
Weights parse_safetensors(const std::shared_ptr<const FileBytes>& file, const std::string& path);

// The bytes of a file: the same tensors give the same bytes. Data begins at a multiple of 8.
std::string write_safetensors(const Weights& weights);

}  // namespace bnc
