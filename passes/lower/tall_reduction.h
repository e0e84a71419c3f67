// Reductions over rows that several tasks share.
//
// Each task reduces the rows it owns to a partial result, as a later stage of the kernel that computes them; a kernel
// behind that one merges the partial results pairwise in a fixed tree, so that the result is the same bits for any number
// of threads.
#pragma once

#include "passes/lower/reducer.h"

namespace bnc::lower {

class TallReduction {
 public:
  // Tasks own blocks of `block_rows` rows of the stage's space; the last one may own fewer.
  TallReduction(Lowering& lowering, const Stage& stage, int64_t block_rows);

  // Block `block` of the rows, over the region's columns.
  std::vector<Stmt> partial(const Region& region, Expr block);
  loops::Kernel merge_kernel();

 private:
  ColumnRun vector_run() const;
  Expr place(const ColumnRun& run, Expr block, Expr column) const;
  Expr load(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr predicate) const;
  Stmt store(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr value, Expr predicate) const;
  std::vector<Stmt> reduce_block(const ColumnRun& run, Expr column, Expr block, const Ranges& rows);
  Expr rows_of(Expr first, int64_t half) const;
  std::vector<Stmt> merge_pair(const ColumnRun& run, Expr column, Expr predicate, Expr first, int64_t half);

  Lowering& lowering_;
  Stage stage_;
  Ranges whole_;
  int64_t block_rows_, blocks_;
  std::map<std::pair<const Node*, std::string>, int> partial_;   // buffers [block][column]
};

}  // namespace bnc::lower
