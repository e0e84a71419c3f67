// Which nodes may share a kernel, and how its work is split into independent tasks.
//
// Within a task the nodes run stage after stage, without a barrier. That is sound when the task owns everything its
// stages hand to one another:
//   columns  a task owns a panel of the last dimension, with all rows: small matrix products, per-channel moments, what follows
//   rows     a task owns a block of rows (positions of the other dimensions): products one after another, softmax, pooling
//   tiles    both would do; a task owns a block of rows and a panel of columns
//   single   one task does it all: for work too small to share
// Images and tall matrices have many rows; those are always split. A reduction over all rows then gives a partial result a
// task, which a kernel behind this one merges, so that only later kernels may read it.
#pragma once

#include <functional>
#include <optional>
#include <unordered_set>
#include <vector>

#include "passes/schedule/access.h"

namespace bnc {

enum class Partition { single, columns, rows, tiles };

// Estimated floating-point operations of a node at a nominal batch size where N is symbolic.
double work_of(const Node& node, std::optional<int64_t> batch);

// Scalar arithmetic: every task that needs such a node's value computes it for itself.
bool is_scalar_element(const Node& node);

// A reduction over all rows that leaves one number a column.
bool reduces_rows(const Node& node);
// Whether a node works on images, or on so many rows that tasks must share them: then its kernel is split by rows.
bool has_many_rows(const Node& node, std::optional<int64_t> batch);

class KernelPlan {
 public:
  // `lanes`: how many columns a vector of the target holds. `rides`: whether a node outside of the plan is computed where
  // its reader in the plan reads it.
  KernelPlan(Accesses& accesses, std::optional<int64_t> batch, int lanes, std::function<bool(const Node*)> rides)
      : accesses_(accesses), batch_(batch), lanes_(lanes), rides_(std::move(rides)) {}

  // Whether `node`, all of whose operands are computed before or in this kernel, can be part of it. One task alone computes
  // it only where `work`, its own and that of nodes that are to follow it, is small. `narrows` is set when that would take
  // away a way to split the kernel.
  bool fits(const Node& node, double work, bool* narrows) const;
  void add(Node* node);

  // Whether the kernel computes an operand of the node, or what a node that rides with it reads.
  bool feeds(const Node& node) const;
  // Whether computing the node reads what this kernel stores, also through nodes that ride with it.
  bool reads_member(const Node& node) const;
  bool contains(const Node* node) const { return members_.count(node) != 0; }
  bool empty() const { return nodes_.empty(); }
  const std::vector<Node*>& nodes() const { return nodes_; }

  // Whether a task that reads an operand this way reads only what it owns itself, however the kernel is going to be split.
  bool stays_in_task(const Access& access) const;

  Partition partition() const;
  // Whether reductions over all rows are left to be merged by another kernel.
  bool splits_reductions() const { return partition() == Partition::rows || partition() == Partition::tiles; }
  Dim column_extent() const { return columns_; }
  // The leading dimensions that all nodes have in common; a task owns a range of positions in them.
  const Shape& units() const { return units_; }

 private:
  bool reads_member_as(const Node& node, size_t k) const;   // by this operand
  bool columns_allow(const Node& node) const;
  Shape units_with(const Node& node) const;
  bool too_coarse(const Shape& units, const Node& node) const;
  // Calls `visit` for each access by which computing the node reads what this kernel computes, also through nodes that ride.
  void each_inner_access(const Node& node, const std::function<void(const Node& read, const Access&)>& visit) const;
  double idle_work(const Node& contraction) const;

  Accesses& accesses_;
  std::optional<int64_t> batch_;
  int lanes_;
  std::function<bool(const Node*)> rides_;
  std::vector<Node*> nodes_;
  std::unordered_set<const Node*> members_;
  bool by_columns_ = true, by_rows_ = true;
  Dim columns_;          // these two are meaningful once a node of rank one or more is in
  Shape units_;
  bool shaped_ = false;
  bool many_rows_ = false;   // some node has_many_rows
  bool contracts_ = false, contracts_rows_ = false;   // some node is a contraction, one over many rows
  bool batched_ = false;     // some node is a batched product
  double work_ = 0;
};

}  // namespace bnc
