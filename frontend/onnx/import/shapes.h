// What ONNX's attributes and operands say about shapes and axes, checked. All throw CompileError at the node.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "frontend/onnx/import/known.h"
#include "ir/type.h"

namespace bnc::onnx {

Shape constant_shape(const std::vector<int64_t>& dims);
// The dimensions as a user reads them.
std::string show(const Shape& shape);

// CompileError where no tensor has so many dimensions.
void check_rank(const OnnxNode& node, size_t rank);

// CompileError where the dimensions are negative, more than a tensor can have, or of more elements than that; dimensions of 0 count as 1.
void check_dims(const OnnxNode& node, const std::vector<int64_t>& dims, int64_t most);

// The dimension so many times. CompileError beyond 2^62.
Dim times(const OnnxNode& node, const Dim& dim, int64_t factor);

// An axis made non-negative.
int64_t axis_of(const OnnxNode& node, int64_t axis, int64_t rank);
IntList axes_of(const OnnxNode& node, IntList axes, int64_t rank);
// Attribute `perm`; all axes the other way round where it is left out.
IntList permutation_of(const OnnxNode& node, int64_t rank);

// Attribute `axis` of Flatten: the dimensions before it become the rows, the others the columns.
int64_t flatten_axis(const OnnxNode& node, int64_t rank);

Shape unsqueezed(const OnnxNode& node, const Shape& shape, const IntList& axes);
Shape squeezed(const OnnxNode& node, const Shape& shape, const std::optional<IntList>& axes);

// The shape that Reshape leads to: 0 keeps a dimension, -1 takes what is left. Where the file fixes the batch size to `frozen_batch` and it
// is to be free here, a first dimension of that size is the batch; 0 where nothing is frozen.
Shape reshape_target(const OnnxNode& node, const Shape& from, const Known& target, int64_t frozen_batch);

// Elements `begin`, `begin + step` ... along an axis, perhaps none; `step` may be negative.
struct SliceRange {
  int64_t axis, begin, step, count;
};
// Operands are those of Slice since opset 10, null where they are left out; attributes before.
std::vector<SliceRange> slice_ranges(const OnnxNode& node, const Shape& shape, const Known* starts, const Known* ends, const Known* axes,
                                     const Known* steps);

}  // namespace bnc::onnx
