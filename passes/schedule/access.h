// How a node reads its operands, found by asking its lowering for an element at a symbolic index.
#pragma once

#include <unordered_map>
#include <vector>

#include "ir/op.h"

namespace bnc {

// How the index at which an operand is read relates to the index of the node's own iteration space.
struct Access {
  static constexpr int all_dimensions = 1 << 20;

  bool reads = false;        // false where only the operand's shape matters
  bool pointwise = true;     // every dimension is the same, counted from the last; broadcast dimensions read index 0
  bool same_column = true;   // the last dimension is the iteration space's last (or the operand does not vary there)
  int leading = all_dimensions;  // so many leading dimensions are the iteration space's
  int times = 0;             // elements read for each of the iteration space's
  bool blocked = false;      // and of the next one each index reads a block of its own (pooling without overlap)

  void merge(const Access& other);
};

// The shape a node's loops run over: the result's, or a reduction's operand's.
const Shape& iteration_shape(const Node& node);

// Access of operand `k`, relative to iteration_shape(node). For a contraction relative to the result, whatever the reduction index.
Access access_of(const Node& node, int k);

// Whether computing an operand where it is read, with its columns side by side, computes each element about once.
bool reads_about_once(const Node& reader, int k, const Access& access);

// Accesses of the nodes of a graph that does not change meanwhile, each found once.
class Accesses {
 public:
  const Access& of(const Node& node, int k);

 private:
  std::unordered_map<const Node*, std::vector<Access>> known_;
};

// The dimensions of a shape that are rows: all but the last; of a vector over the batch that one.
Shape row_dims(const Shape& shape);
// The last dimension of a shape (1 for a scalar).
Dim last_dim(const Shape& shape);

}  // namespace bnc
