// A contraction over rows within one task.
//
//   where the reduction is over the batch, for its blocks: stage left and right, or neither; else, for chunks of the rows,
//   stage left at most
//     for parts, groups and panels of columns (and else for blocks of the reduction)
//       for rows: a register tile that sums over the block
//
// Without blocks the tile's sums are final, and what follows them is computed on the tile. With blocks they are added up
// in scratch, each block's sum by itself, and a pass over those finishes them.
#pragma once

#include "ir/integers.h"
#include "passes/lower/contraction_window.h"
#include "passes/lower/elements.h"
#include "passes/lower/tall_reduction.h"

namespace bnc::lower {

inline Stmt unrolled(const std::string& name, int64_t count, std::vector<Stmt> body) {
  return loops::loop(name, 0, Expr(count), 1, std::move(body), loops::LoopKind::unrolled);
}

class RowContraction {
 public:
  using Body = std::function<void(std::vector<Stmt>&)>;

  // Of a task that goes in chunks: whether the ranges are its first one, and the row where the next one begins (the last: itself).
  struct Chunk {
    Expr is_first, next_row;
  };
  RowContraction(Lowering& lowering, const Stage& stage, const Ranges& ranges, const ContractionPlan& plan,
                 const std::vector<TileReduction>& reductions, Chunk chunk = {}, Expr slice = {});
  std::vector<Stmt> run();
  // Copies the ranges' window.
  std::vector<Stmt> stage_chunk();
  std::vector<Stmt> finish_reductions();

 private:
  const FormPart& part() const { return form_.parts[part_]; }
  bool is_grouped() const { return part().left_has_columns() || form_.groups(part_) > 1; }
  bool is_row(size_t p, size_t j) const { return j != form_.parts[p].columns() && !form_.parts[p].is_group(j); }

  // What a task owns (contraction_loops.cpp).
  void find_spans(std::vector<Stmt>& out);
  static Span scaled(const Span& span, int64_t scale, int64_t offset);
  Span slice_of(const Dim& dim, std::vector<Stmt>& out) const;

  void blocks(std::vector<Stmt>& out, const Body& body) { block_dimension(0, out, body); }
  void block_dimension(int d, std::vector<Stmt>& out, const Body& body);
  void panels(std::vector<Stmt>& out, const Body& body);
  void group_dimension(size_t j, Expr number, std::vector<Stmt>& out, const Body& body);
  void own_columns(Ranges& ranges) const;

  // What it copies to scratch, and the panels of the right operand (contraction_staging.cpp).
  void stage_left(std::vector<Stmt>& out);
  void copy_window(std::vector<Stmt>& out);
  void stage_right(std::vector<Stmt>& out);
  bool reads_right() const { return plan_.long_reduction && !plan_.stage_right; }   // in place
  int right_buffer() const;
  Expr right_first() const;
  Expr panel_begin() const;
  int64_t panel_elements(size_t p) const;
  // Panels of a group: staged those of the task, packed all.
  int64_t panel_count(size_t p) const {
    return plan_.stage_right ? panels_of(p) : divide_up(*lowering_.fixed(form_.parts[p].space.back()), width_);
  }
  int64_t packed_depth(const FormPart& part) const;
  Expr first_column() const { return part().space.back() == form_.result.back() ? ranges_.column_begin : Expr(0); }
  Expr within_panels(int64_t depth, Expr column) const;

  // Partial sums.
  int64_t partial_rows(size_t p) const;
  Expr all_partial_rows() const;
  int64_t panels_of(size_t p) const;
  Expr partial_begin() const;
  void clear(Expr count, std::vector<Stmt>& out);

  // Rows. Where a tile begins: element of left, flattened row of the result, row of the partial sums, element of left in
  // its own memory, the steps of all loops so far; and the index in each dimension of left that has guarded edges.
  struct Place {
    Expr left, result, partial, source, steps = 0;
    Index guarded = {};
    Place plus(const RowDimension& dimension, Expr more) const {
      Index index = guarded;
      for (size_t g = 0; g < dimension.guarded.size(); ++g) index[g] = index[g] + more * Expr(dimension.guarded[g]);
      return {left + more * Expr(dimension.left),
              result + more * Expr(dimension.result),
              partial + more * Expr(dimension.partial),
              source + more * Expr(dimension.source),
              steps + more,
              std::move(index)};
    }
  };
  std::vector<RowDimension> row_dimensions(bool with_left) const;

  int64_t left_stride(size_t j) const {
    return plan_.stage_left ? window_.space_stride(part(), j) : part().left.flat_space(left_strides_, j);
  }
  int64_t left_step(size_t j) const {
    return plan_.stage_left ? window_.reduction_stride(part(), j) : part().left.flat_reduction(left_strides_, j);
  }
  Place first_place() const;
  void rows(bool final, std::vector<Stmt>& out);
  void row_dimension(const std::vector<RowDimension>& dimensions, size_t d, const Place& place, bool final, std::vector<Stmt>& out);
  void along(const RowDimension& dimension, int64_t tile, std::vector<Stmt>& out, const TileBody& body);

  // The rows of a tile: `lines` of `pixels` each (contraction_tile.cpp).
  struct TileShape {
    int lines, pixels;
    RowDimension line, pixel;

    int rows() const { return lines * pixels; }
    Expr distance(Expr r, int64_t RowDimension::*of) const {
      if (lines == 1) return r * Expr(pixel.*of);
      return r / Expr(pixels) * Expr(line.*of) + r % Expr(pixels) * Expr(pixel.*of);
    }
    Expr guarded(Expr r, size_t g) const {
      if (lines == 1) return r * Expr(pixel.guarded[g]);
      return r / Expr(pixels) * Expr(line.guarded[g]) + r % Expr(pixels) * Expr(pixel.guarded[g]);
    }
    bool moves(size_t g) const { return pixel.guarded[g] != 0 || (lines > 1 && line.guarded[g] != 0); }
  };
  // The loops of a sum, outermost first. The innermost one goes in stretches of so many steps.
  struct ReductionLoops {
    std::vector<ReductionDimension> dimensions;
    std::vector<std::string> variables;
    int64_t stretch = 1;
    std::string stretch_name;
    // A long sum is added up in parts: so many steps of this dimension, behind which `end_part` adds the tile's sums to their
    // totals in scratch and begins again from zero. 0: in one.
    size_t parted = 0;
    int64_t part_steps = 0;
    std::vector<Stmt> end_part = {};
  };
  ReductionLoops reduction_loops();
  void choose_parts(ReductionLoops& loops) const;
  // Whether what is read lies within left: what all of a step's loads have in common, and what each asks. Absent: yes.
  struct Guard {
    Expr step, load;
  };
  Guard guard_of(const TileShape& tile, const Place& place, const ReductionLoops& sum, int taps, const Expr& row) const;
  // Names: the sums, a step's vectors of right, and the tile's row and vector of columns.
  struct Registers {
    std::string acc, panel, r, v;
  };
  void micro(const TileShape& tile, const Place& place, bool final, std::vector<Stmt>& out);
  void add_products(const TileShape& tile, const Place& place, ReductionLoops sum, int taps, const Registers& registers, bool final,
                    std::vector<Stmt>& out);
  Stmt innermost(const ReductionLoops& sum, std::vector<Stmt> step, std::vector<Stmt> ahead);
  Stmt loop_of(const ReductionLoops& sum, size_t d, std::vector<Stmt> body);
  void add_parts(const TileShape& tile, const Place& place, ReductionLoops sum, const Registers& registers, bool final,
                 std::vector<Stmt>& out);
  using TotalBody = std::function<std::vector<Stmt>(const Expr& position, const Expr& total)>;
  std::vector<Stmt> over_totals(const TileShape& tile, const Registers& registers, const TotalBody& body);
  std::vector<Stmt> products(const TileShape& tile, Expr left, const Expr& inside, const Expr& tap, const Registers& registers);
  int taps_of(const ReductionLoops& sum) const;
  void results(const TileShape& tile, const Place& place, const std::string& acc, std::vector<Stmt>& out);
  void add_to_partial(const TileShape& tile, const Place& place, const std::string& acc, std::vector<Stmt>& out);
  std::vector<Stmt> epilogue(Expr row, Expr column, Expr sum);
  void finish(std::vector<Stmt>& out);

  // Lines asked for ahead of their use (contraction_prefetch.cpp).
  void prefetch(const TileShape& tile, const Place& place, const ReductionLoops& reduction, const Expr& left, bool final,
                std::vector<Stmt>& out);
  struct Share {
    Expr first;
    int64_t count;
  };
  struct Steps {
    Expr number = 0;
    int64_t count = 1;
    Share share(int64_t things) const;
  };
  static Steps steps_of(const ReductionLoops& reduction, size_t first = 0);
  Share share_of_task(const TileShape& tile, const Place& place, const Steps& steps) const;
  loops::Prefetch far() const;
  void prefetch_result(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out);
  void prefetch_window(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out);
  void prefetch_staging(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out);
  void prefetch_panel(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out);
  void prefetch_tile(const TileShape& tile, Expr begin, const ReductionLoops& reduction, int64_t ReductionDimension::* along,
                     int64_t RowDimension::* across, const std::vector<int>& buffers, std::vector<Stmt>& out);
  void prefetch_left_block(const TileShape& tile, const Place& place, const ReductionLoops& reduction, std::vector<Stmt>& out);
  void prefetch_right(const ReductionLoops& reduction, std::vector<Stmt>& out);
  void prefetch_lines(int buffer, const Expr& begin, int64_t lines, loops::Prefetch what, std::vector<Stmt>& out) const;
  int64_t cache_line() const { return lowering_.target.cache_line_floats(); }
  int64_t lines_of(int64_t elements) const;
  std::vector<int> sources_of(Value value);
  std::vector<int> sources_of_operands(const Node& node, const Shape& shape);
  std::vector<int> read_beside();
  int64_t distance_to_next() const;

  // The next chunk's window, copied among the products (contraction_ahead.cpp).
  Expr window_begin() const;
  void find_next(std::vector<Stmt>& out);
  void stage_ahead(const TileShape& tile, const Place& place, const ReductionLoops& reduction, std::vector<Stmt>& out);
  void stage_vector(const Expr& number, std::vector<Stmt>& out);

  Lowering& lowering_;
  const Stage& stage_;
  const ContractionPlan& plan_;
  const std::vector<TileReduction>& reductions_;
  const Chunk chunk_;                       // absent: all of a task
  const Expr slice_;                        // of the reduction; absent: all of it
  const Node& node_;
  const ContractionForm form_;
  const Ranges ranges_;
  const Value left_, right_;
  const int64_t width_;
  const std::vector<int64_t> left_strides_;
  std::vector<int64_t> result_rows_;        // distances of the result's dimensions, in rows
  bool flat_ = false;                       // what follows may be computed at flattened rows
  int64_t panels_ = 1;                      // of the task
  std::vector<Spans> space_, reduction_;    // of each part: what the task owns; the current block
  Window window_;
  std::vector<size_t> guarded_;             // dimensions of left in which what lies outside is left out
  Index next_origin_;                       // of the next chunk's window
  // The current part, group and column step.
  size_t part_ = 0;
  Index groups_;
  Expr group_;
  ColumnRun run_;
  Expr column_;
  Expr tile_number_ = 0;
};

}  // namespace bnc::lower
