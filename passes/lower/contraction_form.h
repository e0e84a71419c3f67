// A contraction as numbers: which element of each operand and of the result belongs to a position of the iteration space
// and of the reduction.
#pragma once

#include "passes/lower/lowering.h"

namespace bnc::lower {

// index[d] = offset[d] + sum over j of space[d][j]*i[j] + sum over j of reduction[d][j]*k[j]
struct AffineIndex {
  std::vector<int64_t> offset;
  std::vector<std::vector<int64_t>> space, reduction;

  // Row-major position of the index in an operand of these strides, as one affine function: its parts.
  int64_t flat_offset(const std::vector<int64_t>& strides) const;
  int64_t flat_space(const std::vector<int64_t>& strides, size_t j) const;
  int64_t flat_reduction(const std::vector<int64_t>& strides, size_t j) const;
};

struct FormPart {
  Shape space, reduction;          // reduction dimensions that walk the left operand backwards are turned around
  AffineIndex result, left, right;

  size_t columns() const { return space.size() - 1; }
  // Dimensions that choose another panel of the right operand: groups.
  bool is_group(size_t j) const;
  bool left_has_columns() const;   // depthwise: each column has a left operand of its own
  bool empty() const;              // no products at all: the result is zero
};

struct ContractionForm {
  std::vector<FormPart> parts;
  Shape left, right, result;
  bool zero_outside = false;

  // The number of group dimensions' positions, the same in all parts.
  int64_t groups(size_t part) const;
  // Whether some index of the left operand lies outside of it.
  bool reads_outside(const Lowering& lowering) const;
  // Whether rows of left, so far apart, keep each other out of the first cache.
  bool conflicting_rows(const TargetDescription& target) const;
};

ContractionForm form_of(const Node& node);

// Row-major strides of a shape, whose leading dimension alone may be the batch; of the innermost `count` dimensions only.
std::vector<int64_t> row_major(const Shape& shape);
// The operand itself, or what it is a view of with the same last dimension, where that view is computed in place.
Value viewed(const Lowering& lowering, Value value);
// Whether it lies in memory as it is: neither computed where it is read, nor one number everywhere.
bool is_stored(const Lowering& lowering, Value viewed);
// Whether `value`, with all that is inlined into it, may be computed at {0, ... 0, row, column} for a flattened row: what
// it reads has its shape or is one number a column.
bool reads_flat_rows(const Lowering& lowering, Value value);
// Likewise of what a node reads, whether or not the node itself is inlined.
bool operands_read_flat_rows(const Lowering& lowering, const Node& node);
// The index for a flattened row and a column.
Index flat_index(const Lowering& lowering, const Shape& shape, bool flat, Expr row, Expr column);

}  // namespace bnc::lower
