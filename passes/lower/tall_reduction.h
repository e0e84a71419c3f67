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

  // In place of `partial`, where a register tile computes the operands: the tile's rows are reduced while they are in the
  // first cache, and what was found so far lies in scratch between the tiles: at column `at` of those that a task owns.
  struct TileRows {
    int count = 0;
    std::function<Expr(Expr r)> row;                 // the r-th row of the tile, of all rows
    std::function<Expr(Expr r, Expr vector)> result;  // its elements of `product`, in registers for constant r
    std::function<Stmt(Expr r, Expr vector, Expr element)> replace;   // them in registers, once nothing else reads them
    Value product;
    Expr is_first;                                   // whether the tile is the first of the block
  };
  void use_tiles(int64_t columns);   // of a task, with room for its last vector
  bool in_registers(Value product) const;   // whether its tiles read nothing from memory
  std::vector<Stmt> tile(const ColumnRun& run, Expr column, Expr at, Expr block, const TileRows& rows);
  // Behind the last tile, for the panel at `column` of the task's rows.
  std::vector<Stmt> finish_tiles(const ColumnRun& run, Expr column, Expr at, Expr block, const Ranges& rows);

 private:
  struct TileSums {
    std::vector<Expr> sum, square;   // of each vector of columns
  };
  TileSums sums_in_registers(const ColumnRun& run, const TileRows& rows, std::vector<Stmt>& out);
  void add_registers(const ColumnRun& run, const Expr& at, const TileRows& rows, std::vector<Stmt>& out);
  void add_elements(const ColumnRun& run, const Expr& column, const Expr& at, const TileRows& rows, const std::vector<Expr>& predicates,
                    std::vector<Stmt>& out);
  Expr element(const ColumnRun& run, const Node& node, const TileRows& rows, Expr r, int vector, Expr column, Expr predicate,
               std::vector<Stmt>& out) const;
  Expr kept(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector) const;
  Stmt keep(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector, Expr value) const;
  void find_pivots(const ColumnRun& run, const Node& root, const Expr& column, const Expr& at, const TileRows& rows,
                   const std::vector<Expr>& predicates, std::vector<Stmt>& out);
  void without_pivots(const ColumnRun& run, const Expr& at, const TileRows& rows, const std::vector<Expr>& predicates,
                      std::vector<Stmt> find, std::vector<Stmt>& out);
  void subtract_pivots(const ColumnRun& run, const Expr& at, const TileRows& rows, std::vector<Stmt>& out);
  std::vector<Stmt> begin_tiles(const ColumnRun& run, Expr column, Expr at, Expr block, const TileRows& rows,
                                const std::vector<Expr>& predicates);
  ColumnRun vector_run() const;
  Expr interleaved(const ColumnRun& run, const Expr& column, int64_t count, const Expr& which) const;
  Expr kept_place(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector) const;
  Expr place(const ColumnRun& run, Expr block, Expr column) const;
  Expr load(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr predicate) const;
  Stmt store(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr value, Expr predicate) const;
  std::vector<Stmt> reduce_block(const ColumnRun& run, Expr column, Expr block, const Ranges& rows, const std::vector<Node*>& roots,
                                 const std::vector<Expr>& where);
  Expr rows_of(Expr first, int64_t half) const;
  std::vector<Stmt> merge_pair(const ColumnRun& run, Expr column, Expr predicate, Expr first, int64_t half);

  Lowering& lowering_;
  Stage stage_;
  Ranges whole_;
  int64_t block_rows_, blocks_;
  int64_t stride_;   // in `partial_`, of blocks: odd, or a block's columns would lie in a few sets of the first cache
  std::map<std::pair<const Node*, std::string>, int> partial_;   // buffers [column / lanes][block of `stride_`][column % lanes]
  std::map<const Node*, int> kept_;                              // scratch [column of the task / lanes][names_of_tiles][lanes]
  std::map<const Node*, int> has_pivots_;                        // scratch [column of the task]: at the first one of a panel, of moments
};

}  // namespace bnc::lower
