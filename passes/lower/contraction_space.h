// What tasks of a contraction over rows may own: blocks of rows, the spans of all dimensions that go with a block, and what of
// them a tile goes along. The planner decides among these.
#pragma once

#include "passes/lower/contraction_window.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {


class ContractionSpace {
 public:
  ContractionSpace(Lowering& lowering, const Node& node, int64_t unit_rows);

  // Of an unknown batch one example counts.
  int64_t extent(const Dim& dim) const { return lowering_.fixed(dim).value_or(dim.factor); }
  double elements_of(const Shape& shape) const;
  // The rows of one step along a dimension of the result.
  int64_t inner_rows(int split) const;
  // How much of a dimension of the result a task may own: of so many rows, where one step has not more.
  std::vector<int64_t> blocks_of(int split, int64_t most_rows = cost::most_task_rows) const;
  // The spans of a task, or of one block of its reduction, all as long as they get; the window of left that goes with them.
  void make_spans(const ContractionPlan& plan);
  Window window() const { return window_of(form_, space_, reduction_, lowering_.target); }
  std::vector<RowDimension> rows_of(size_t p, const ContractionPlan& plan, const Window& window) const;
  // The share of the products that tiles of so many lines have to compute: kernel lines beyond left's edge are left out where
  // they are for all lines of a tile (RowContraction::guard_of).
  double needed_share(int64_t lines) const;

 protected:
  Lowering& lowering_;
  const Node& node_;
  const int64_t unit_rows_;                 // a task owns a multiple of so many
  const ContractionForm form_;
  const int lanes_;
  const int64_t columns_;
  const size_t row_dims_;
  bool vectors_of_left_ = false;
  std::vector<Spans> space_, reduction_;
};

// Decides what a task copies at a time, and maybe that it owns more (contraction_chunks.cpp).
void choose_chunks(const ContractionSpace& space, ContractionPlan& plan);

}  // namespace bnc::lower
