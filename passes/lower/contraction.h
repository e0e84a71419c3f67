// Contractions over many rows: convolutions, their gradients, and large matrix products.
//
// Small products (an MLP's layers, whose tasks own panels of columns with all rows) keep the loops of contract.cpp. All
// others follow a plan: tasks own blocks of rows (and maybe panels of columns), copy the window of the left operand they
// need into scratch, and run a register tile over panels of the right operand. "Rows" are the dimensions of the result
// but the last, flattened.
#pragma once

#include "passes/lower/lowering.h"

namespace bnc::lower {

class TallReduction;

// Whether a product of matrices has a right operand for each of several matrices, or rows that lie apart: it then goes matrix by
// matrix (contract.cpp).
bool is_batched_product(const Node& node);
// Whether a contraction's kernel is split by rows as its plan says. Its operands may then be computed elementwise within
// the kernel: they are inlined, and computed once while they are copied to scratch or packed.
bool is_row_contraction(const Node& node, std::optional<int64_t> batch);

// Everything decided for one contraction.
struct ContractionPlan {
  // A task owns so many rows; the last one maybe fewer.
  int64_t rows_per_task = 1;
  // A multiple of the panel's width, or all columns. A kernel's other stages follow the same panels.
  int64_t columns_per_task = 1;

  Tile tile;                      // rows of the register tile along the last row dimension x vectors
  int tile_lines = 1;             // lines of the tile, where lines of pixels are short
  int taps = 1;                   // depthwise: a row of the kernel's weights held in registers, so that what is loaded meets all of them
  int split_dimension = 0;        // the dimension of the result that blocks of rows split; those before it are single
  int64_t split_block = 1;        // how much of that dimension a task owns
  // What of that a task copies to scratch at a time, where less than all then stays near the first cache: so much of a
  // dimension of the result, in rows; 0: all.
  int chunk_dimension = 0;
  int64_t chunk_block = 0, rows_per_chunk = 0;
  int blocked_reduction = 0;      // how many leading reduction dimensions are looped outside of the rows
  int64_t reduction_block = 1;    // how much of the last of them one step takes
  bool long_reduction = false;    // over the batch: taken in blocks, panel after panel in each
  // Tasks share a long reduction: each sums a slice of it into `slice_sums`, whose elements are added up where they are
  // read. A number of its own, not the threads', so that the same bits come out of any number of them.
  int64_t slices = 1;
  int slice_sums = -1;            // arena: of each slice the elements of the result
  bool stage_left = false, stage_right = false;   // copied to scratch by each task
  // Each chunk but a task's first is copied while the products of the one before are summed, into the other of two windows; where
  // tasks hand on, but the first of a run of them: the first chunk of a task among the products of the task before.
  bool stage_ahead = false, hands_on = false;
  int64_t window_elements = 0;    // of one window
  bool guard_left = false;        // read in place up to its edges: each load that may lie outside asks whether it does
  int packed_right = -1;          // the buffer of packed panels, where the right operand is not staged
  int window = -1, panels = -1, partial = -1;     // scratch: staged left, staged right, sums between reduction blocks
  int totals = -1;                // scratch: of a tile whose sums are long, what the parts of them come to
  bool prefetch_left = false, prefetch_right = false, prefetch_result = false;   // too large for the caches
  double efficiency = 0;          // predicted share of the peak
  std::string note;               // one line for `explain`

  // The same for one chunk of a task's rows; this plan where a task is one.
  ContractionPlan chunk() const;
};

// Decides; allocates scratch, and appends the kernel that packs the right operand (or a packed constant). `unit_rows`: a task
// is to own a multiple of so many rows. Without `split_columns` it owns all columns.
// `stands_alone`: it is its kernel's only contraction, and reads nothing that the kernel computes.
ContractionPlan plan_contraction(Lowering& lowering, const Node& node, int64_t unit_rows, bool split_columns, bool stands_alone);

// A reduction over rows of what the register tile computes, which takes the rows as the tile leaves them.
struct TileReduction {
  TallReduction* reduction;
  Expr block;   // of the rows the task owns
};

// The loops of one task over a region of the plan's split; the stage's other roots are computed on the register tile.
std::vector<Stmt> lower_row_contraction(Lowering& lowering, const Stage& stage, const Region& region, const ContractionPlan& plan,
                                        const std::vector<TileReduction>& reductions);
// The same for one slice of the reduction: only its sums.
std::vector<Stmt> lower_slice(Lowering& lowering, const Stage& stage, const Region& region, const ContractionPlan& plan, const Expr& slice);
// Whether the plan's tiles can hand their rows to a reduction.
bool tiles_are_final(const Node& node, const ContractionPlan& plan);

}  // namespace bnc::lower
