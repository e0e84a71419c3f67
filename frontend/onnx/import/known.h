// Tensors that are known while a model is imported: initializers, and what is computed from them and from shapes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "frontend/onnx/onnx_model.h"
#include "ir/attribute.h"

namespace bnc::onnx {

struct Known {
  OnnxType type = OnnxType::f32;
  std::vector<int64_t> dims;
  std::vector<double> numbers;   // in row-major order
  std::vector<bool> batch;       // which of them are multiples of the batch size; empty: none
  std::string name;              // that of the initializer it is; else empty

  int64_t size() const { return static_cast<int64_t>(numbers.size()); }
  bool is_integer() const;       // or truth values
  bool is_batch(size_t k) const { return !batch.empty() && batch[k]; }
  bool mentions_batch() const;
  // Whether all are that number.
  bool is_all(double number) const;
};
using KnownPointer = std::shared_ptr<const Known>;

Known known_of(const OnnxTensor& tensor);
// Integers [n]: dimensions.
Known known_of(const Shape& shape);

// Elements of `from`, element k being its `indices[k]`-th.
Known gathered(const Known& from, std::vector<int64_t> dims, const std::vector<int64_t>& indices);
// Dimension k of the result is dimension order[k].
Known permuted(const Known& from, const IntList& order);
Known reshaped(Known from, std::vector<int64_t> dims);
Known broadcast(const Known& from, const std::vector<int64_t>& dims);

// What a node gives whose operands are all known; nothing where it must be computed when the network runs. A missing operand is null.
std::optional<Known> fold(const OnnxNode& node, std::span<const KnownPointer> operands, int64_t opset);

// An element as an integer, at most 2^62 on either side of 0. CompileError where it is not a number.
int64_t integer_of(const OnnxNode& node, double element);

// An attribute of integers, or (since some opset) an operand of the same meaning; nothing where it is left out. None is larger than 2^62.
std::optional<IntList> integers_of(const OnnxNode& node, std::string_view attribute, const Known* operand);

}  // namespace bnc::onnx
