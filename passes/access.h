// How a node reads its operands, found by asking its lowering for an element at a symbolic index.
#pragma once

#include "ir/op.h"

namespace bnc {

// How the index at which an operand is read relates to the index of the node's own iteration space.
struct Access {
  bool reads = false;        // false where only the operand's shape matters
  bool pointwise = true;     // every dimension is the same, counted from the last; broadcast dimensions read index 0
  bool same_column = true;   // the last dimension is the iteration space's last (or the operand does not vary there)
  bool same_row = true;      // the first dimension is the iteration space's first (or the operand does not vary there)

  void merge(const Access& other) {
    reads = true;
    pointwise = pointwise && other.pointwise;
    same_column = same_column && other.same_column;
    same_row = same_row && other.same_row;
  }
};

// The shape a node's loops run over: the result's, or a reduction's operand's.
const Shape& iteration_shape(const Node& node);

// Access of operand `k`, relative to iteration_shape(node). For a contraction relative to the result, whatever the reduction index.
Access access_of(const Node& node, int k);

// The leading dimension of a shape (1 for a scalar) and its last.
Dim leading_dim(const Shape& shape);
Dim last_dim(const Shape& shape);

}  // namespace bnc
