// Which nodes may share a kernel, and how its work is split into independent tasks.
//
// Within a task the nodes run stage after stage, without a barrier. That is sound when the task owns everything its
// stages hand to one another:
//   columns  a task owns a panel of the last dimension, with all rows: matrix products, per-channel moments, what follows
//   rows     a task owns a block of the leading dimension: matrix products one after another, softmax
//   tiles    both would do; a task owns a block of rows and a panel of columns
//   single   one task does it all: for work too small to share
#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include "passes/access.h"

namespace bnc {

enum class Partition { single, columns, rows, tiles };

// Estimated floating-point operations of a node at a nominal batch size where N is symbolic.
double work_of(const Node& node, std::optional<int64_t> batch);

// Scalar arithmetic: every task that needs such a node's value computes it for itself.
bool is_scalar_element(const Node& node);

// A reduction over so many rows that the rows are split among tasks: kernels of its own reduce blocks and merge them.
bool is_tall_reduction(const Node& node, std::optional<int64_t> batch);

class KernelPlan {
 public:
  // `lanes`: how many columns a vector of the target holds.
  KernelPlan(std::optional<int64_t> batch, int lanes) : batch_(batch), lanes_(lanes) {}

  // Whether `node`, all of whose operands are computed before or in this kernel, can be part of it. `narrows` is set
  // when that would take away a way to split the kernel.
  bool fits(const Node& node, bool* narrows = nullptr) const;
  void add(Node* node);

  // Whether the kernel computes an operand of the node.
  bool feeds(const Node& node) const;
  bool contains(const Node* node) const { return members_.count(node) != 0; }
  bool empty() const { return nodes_.empty(); }
  const std::vector<Node*>& nodes() const { return nodes_; }
  double work() const { return work_; }

  // Whether a task that reads an operand this way reads only what it owns itself, however the kernel is going to be split.
  bool stays_in_task(const Access& access) const;

  Partition partition() const;
  Dim column_extent() const { return columns_; }
  Dim row_extent() const { return rows_; }

 private:
  bool columns_allow(const Node& node) const;
  bool rows_allow(const Node& node) const;
  bool operands_aligned(const Node& node, bool Access::*aligned) const;
  bool reads_member(const Node& scalar) const;
  double idle_work(const Node& contraction) const;

  std::optional<int64_t> batch_;
  int lanes_;
  std::vector<Node*> nodes_;
  std::unordered_set<const Node*> members_;
  bool by_columns_ = true, by_rows_ = true;
  Dim columns_, rows_;   // meaningful once a node of rank one or more is in
  bool shaped_ = false;
  double work_ = 0;
};

}  // namespace bnc
