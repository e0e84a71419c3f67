// What a StateDict holds, for the library itself.
#pragma once

#include "bnc/state_dict.h"
#include "runtime/state_layers.h"
#include "runtime/stored_tensor.h"

namespace bnc {

struct StateDict::Data {
  std::vector<StoredTensor> tensors;   // in the order of the file
  std::string path, part;
  Dialect dialect = Dialect::pytorch;  // by its names
  bool in_order = true;                // the tensors stand in the order of the modules, not in that of their names
  bool is_of_bnc = false;              // the file says so
  bool from_torch = false;             // a file of PyTorch's own
};

// How a tensor of a state dict becomes one of a network.
struct TensorConversion {
  std::vector<size_t> axes;                               // of the tensor, in the order here; empty: the same
  std::shared_ptr<const FeatureOrder> rows, columns;      // null: the same
};

// Empty where the shapes do not go together. `by_map`: a shape that fits as it is stands for its layout.
std::optional<TensorConversion> conversion(const NetworkTensor& to, const StoredTensor& from, Dialect dialect, bool by_map);
// Error where the elements are of a type that is not read; `path` is for its text.
Weight convert(const NetworkTensor& to, const StoredTensor& from, const TensorConversion& how, const std::string& path);

}  // namespace bnc
