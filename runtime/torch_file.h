// PyTorch's files of weights: zip archives as torch.save writes them since 1.6, without TorchScript. Nothing in them is executed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/stored_tensor.h"

namespace bnc {

struct TorchFile {
  std::vector<StoredTensor> tensors;   // in the order of the state dict
  std::string part;                    // the key under which it stands, as in {"state_dict": ..., "epoch": 3}; empty: it is all there is
};

// The state dict of a file. Throws Error where it is damaged, is no such file, or holds none; `path` is for its text.
TorchFile parse_torch_file(const std::shared_ptr<const FileBytes>& file, const std::string& path);

// Whether the file begins as one of PyTorch's, those that parse_torch_file() refuses with advice among them.
bool is_torch_file(Bytes bytes);

}  // namespace bnc
