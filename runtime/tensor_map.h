// The file that says which tensor of a state dict becomes which parameter of a network, where that is to be decided by hand.
//
//   # a comment
//   stem.conv_1.weight = conv1.weight
//   ignore = head.bias
//
// A line that begins with `?` is uncertain: a draft has such lines, and a map with one is refused.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/diagnostic.h"

namespace bnc {

struct TensorMapLine {
  std::string parameter;   // empty: the tensor is ignored
  std::string tensor;
  SourceRange parameter_range, tensor_range;
};

// Throws one CompileError with every line that is wrong.
std::vector<TensorMapLine> parse_tensor_map(const std::shared_ptr<const SourceFile>& source);

}  // namespace bnc
