// The cost model of contractions over rows: which split, tile and blocks are predicted to take the fewest cycles.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/integers.h"
#include "passes/lower/contraction_pack.h"
#include "passes/lower/contraction_space.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {
namespace {

// Cycles of one reduction step of a tile: multiply-adds, or loads and broadcasts, or the latency of the accumulators'
// chains, whichever is longest; and a little for each load that misses the first cache, as the panel's mostly do: more where
// right is read in place, a row's few lines far from the next one's.
double cycles_of_step(int64_t rows, int64_t vectors, bool left_vectors, int64_t taps, bool right_in_place) {
  const int64_t loads = left_vectors ? (rows + taps - 1) * vectors / taps + vectors : rows + vectors;
  const double misses = left_vectors ? 0 : 0.1 * static_cast<double>(rows) + (right_in_place ? 1 : 0.25) * static_cast<double>(vectors);
  return static_cast<double>(std::max({rows * vectors, loads, int64_t{8}})) + misses;
}

class Planner : ContractionSpace {
 public:
  Planner(Lowering& lowering, const Node& node, int64_t unit_rows, bool split_columns, bool stands_alone)
      : ContractionSpace(lowering, node, unit_rows), stands_alone_(stands_alone) {
    const FormPart& part = form_.parts.front();
    // Groups and spread columns take their columns together.
    split_columns_ = split_columns && form_.groups(0) == 1 && part.space.back() == form_.result.back();
  }

  ContractionPlan run() {
    decide_staging();
    const bool skips = !plan_.long_reduction && !vectors_of_left_ && form_.parts.size() == 1 && form_.reads_outside(lowering_);
    for (int64_t lines = 1; lines <= cost::most_tile_rows; ++lines) needed_share_.push_back(skips ? needed_share(lines) : 1);
    double best = std::numeric_limits<double>::infinity();
    ContractionPlan chosen;
    try_splits(best, chosen);
    if (plan_.stage_left && can_guard_channels()) {
      best /= cost::guarded_edge;
      plan_.stage_left = false;
      plan_.guard_left = true;
      try_splits(best, chosen);
    }
    BNC_CHECK(best < std::numeric_limits<double>::infinity(), "no plan for " + node_.results[0].name);
    allocate(chosen);
    return chosen;
  }

 private:
  void try_splits(double& best, ContractionPlan& chosen) {
    for (int split = 0; split < static_cast<int>(row_dims_); ++split) {
      for (int64_t block : blocks_of(split)) {
        for (int64_t tasks : column_tasks()) try_split(split, block, tasks, best, chosen);
      }
    }
  }

  void decide_staging() {
    const bool stored = is_stored(lowering_, viewed(lowering_, node_.operands[0]));
    plan_.long_reduction = node_.operands[1].type().shape.front().batch;
    plan_.guard_left = stored && !plan_.long_reduction && can_guard();
    const bool direct = plan_.long_reduction && stored && can_read_both();
    plan_.stage_right = plan_.long_reduction && !direct;
    plan_.stage_left = !plan_.guard_left && !direct &&
                       (!stored || plan_.long_reduction || vectors_of_left_ || form_.reads_outside(lowering_) ||
                        form_.conflicting_rows(lowering_.target));
    plan_.taps = taps();
    plan_.prefetch_left = is_large(form_.left);
    // Of weights, which other layers' displace before they are read again, also smaller ones.
    plan_.prefetch_right = plan_.long_reduction ? is_large(form_.right)
                                                : form_.groups(0) == 1 && !vectors_of_left_ &&
                                                      16 * elements_of(form_.right) > static_cast<double>(lowering_.target.l2_bytes);
    plan_.prefetch_result = is_large(form_.result);
  }

  // As of a 1 x 1 convolution's gradient by the weight: both operands lie as the tile reads them, channels side by side.
  bool can_read_both() const {
    const FormPart& part = form_.parts.front();
    return is_stored(lowering_, viewed(lowering_, node_.operands[1])) && form_.parts.size() == 1 && form_.groups(0) == 1 &&
           !vectors_of_left_ && !form_.reads_outside(lowering_) && part.right.flat_space(row_major(form_.right), part.columns()) == 1;
  }

  // Depthwise there are as many loads as products: a copy of the window costs more than tests at its edges.
  bool can_guard() const {
    const FormPart& part = form_.parts.front();
    const auto strides = row_major(form_.left);
    return vectors_of_left_ && form_.parts.size() == 1 && lowering_.target.masked_memory &&
           part.left.flat_space(strides, part.columns()) == 1 && !lowering_.target.is_conflicting_stride(strides[strides.size() - 2]);
  }

  // Elsewhere one test is enough for all channels of a position.
  bool can_guard_channels() const {
    const FormPart& part = form_.parts.front();
    const auto channel = part.reduction.size() - 1;
    if (channel == 0) return false;
    // Pixels of a single channel lie side by side too.
    for (size_t d = 0; d + 1 < form_.left.size(); ++d) if (part.left.reduction[d][channel] != 0) return false;
    return is_stored(lowering_, viewed(lowering_, node_.operands[0])) && !plan_.long_reduction && !vectors_of_left_ &&
           form_.parts.size() == 1 && form_.groups(0) == 1 && form_.reads_outside(lowering_) && !form_.conflicting_rows(lowering_.target) &&
           part.left.flat_reduction(row_major(form_.left), channel) == 1 &&
           lowering_.fixed(part.reduction[channel]).value_or(0) >= cost::least_guarded_channels;
  }

  int taps() const {
    const Shape& reduction = form_.parts.front().reduction;
    if (!vectors_of_left_ || form_.parts.size() > 1 || reduction.empty() || extent(reduction.back()) > cost::most_taps_in_registers)
      return 1;
    return static_cast<int>(extent(reduction.back()));
  }

  // Whether a tensor comes from beyond the second cache. Of an unknown batch one example counts.
  bool is_large(const Shape& shape) const { return 4 * elements_of(shape) > static_cast<double>(lowering_.target.l2_bytes); }

  std::vector<int64_t> column_tasks() const {
    std::vector<int64_t> tasks{1};
    const int64_t vectors = divide_up(columns_, lanes_);
    for (int64_t count = 2; split_columns_ && count <= std::min<int64_t>(vectors, 64); ++count) {
      if (vectors % count == 0 || (count <= 4 && vectors > 4)) tasks.push_back(count);
    }
    return tasks;
  }

  std::vector<int64_t> slice_counts() const {
    if (!stands_alone_ || !plan_.long_reduction || form_.parts.size() > 1) return {1};
    return {1, 2, 4, 8, 16};
  }

  // How many leading dimensions of the reduction are looped outside of the rows.
  void choose_reduction_blocks(ContractionPlan& plan) const {
    const FormPart& part = form_.parts.front();
    plan.blocked_reduction = 0;
    plan.reduction_block = 1;
    int64_t depth = 1;
    for (const Dim& dim : part.reduction) depth *= extent(dim);
    if (plan.long_reduction) {
      int64_t inner = depth;
      for (size_t j = 0; j < part.reduction.size(); ++j) {
        const int64_t count = extent(part.reduction[j]);
        inner /= std::max<int64_t>(count, 1);
        plan.blocked_reduction = static_cast<int>(j) + 1;
        if (inner > cost::block_pixels) continue;
        plan.reduction_block = even_block(count, std::max<int64_t>(1, cost::block_pixels / std::max<int64_t>(inner, 1)));
        if (j == 0 && lowering_.fixed(part.reduction[0]) && plan.reduction_block >= count) plan.blocked_reduction = 0;
        return;
      }
      return;
    }
    const int64_t panel_bytes = depth * plan.tile.vectors * lanes_ * 4;
    if (form_.parts.size() == 1 && panel_bytes > lowering_.target.l2_bytes / 2 && part.reduction.size() > 1 &&
        extent(part.reduction[0]) > 1)
      plan.blocked_reduction = 1;
  }
  // About `most`, and so that the last block is not much smaller than the others.
  static int64_t even_block(int64_t count, int64_t most) {
    return count <= most ? std::max<int64_t>(count, 1) : divide_up(count, divide_up(count, most));
  }

  double column_cycles(int64_t rows, int64_t v, int64_t columns) const {
    const int64_t vectors = divide_up(columns, lanes_);
    return static_cast<double>(vectors / v) * step_cycles(rows, v) + (vectors % v ? step_cycles(rows, vectors % v) : 0);
  }
  double step_cycles(int64_t rows, int64_t vectors) const {
    return cycles_of_step(rows, vectors, vectors_of_left_, plan_.taps, plan_.long_reduction && !plan_.stage_right);
  }

  // Cycles of one reduction step over all rows and columns of a task; fills in the best tile.
  double tile_cycles(const std::vector<RowDimension>& rows, int64_t columns, int64_t weight_depth, ContractionPlan& plan) const {
    const TargetDescription& target = lowering_.target;
    const int64_t spare = target.vector_registers >= 32 ? 2 : 1, vectors = divide_up(columns, lanes_), inner = rows.back().most;
    int64_t outer = 1, lines = 1;
    for (size_t d = 0; d + 1 < rows.size(); ++d) outer *= rows[d].most;
    if (rows.size() > 1 && rows[rows.size() - 2].fixed()) lines = rows[rows.size() - 2].most;
    double best = std::numeric_limits<double>::infinity();
    auto consider = [&](int64_t r, int64_t tile_lines, int64_t v, double cycles, bool tail) {
      cycles *= 1 + 0.01 * ((tail ? 1 : 0) + (vectors % v ? 1 : 0));                          // code for the rest
      cycles += static_cast<double>(weight_depth == 0 ? 0 : outer * inner) * static_cast<double>(vectors) * 2.0 /
                static_cast<double>(std::max<int64_t>(weight_depth, 1));  // storing
      cycles *= needed_share_.at(static_cast<size_t>(tile_lines) - 1);
      if (cycles >= best) return;
      best = cycles;
      plan.tile = {static_cast<int>(r), static_cast<int>(v)};
      plan.tile_lines = static_cast<int>(tile_lines);
    };
    // Beside the sums: the panel, and what is loaded of left, for as many rows as a row of the kernel reaches.
    auto fits = [&](int64_t r, int64_t v) {
      return (r + plan.taps) * v + (plan.taps > 1 ? plan.taps * v : vectors_of_left_ || v > 1 ? spare : 1) <= target.vector_registers;
    };
    for (int64_t v = 1; v <= std::min<int64_t>(vectors, 7); ++v) {
      for (int64_t r = 1; r <= std::min(inner, cost::most_tile_rows) && fits(r, v); ++r) {
        const double cycles = static_cast<double>(inner / r) * column_cycles(r, v, columns) +
                              (inner % r ? column_cycles(inner % r, v, columns) : 0);
        consider(r, 1, v, static_cast<double>(outer) * cycles, inner % r != 0);
      }
      for (int64_t l = 2; rows.back().fixed() && l <= lines && l * inner <= cost::most_tile_rows && fits(l * inner, v); ++l) {
        const double cycles = static_cast<double>(lines / l) * column_cycles(l * inner, v, columns) +
                              (lines % l ? column_cycles(lines % l * inner, v, columns) : 0);
        consider(inner, l, v, static_cast<double>(outer / lines) * cycles, lines % l != 0);
      }
    }
    return best;
  }

  // Where the last task owns fewer rows, no task's number is known to the code: what no tile fits goes row by row.
  double slowdown_of_rest(const ContractionPlan& plan) const {
    const auto all = lowering_.fixed(form_.result[static_cast<size_t>(plan.split_dimension)]);
    if (!all || *all % plan.split_block == 0 || plan.split_dimension + 1 != static_cast<int>(row_dims_)) return 1;
    auto cycles = [&](int64_t rows) { return step_cycles(rows, plan.tile.vectors); };
    auto of_task = [&](int64_t rows) {
      return static_cast<double>(rows / plan.tile.rows) * cycles(plan.tile.rows) + static_cast<double>(rows % plan.tile.rows) * cycles(1);
    };
    const int64_t rest = plan.split_block % plan.tile.rows;
    const double expected = static_cast<double>(plan.split_block / plan.tile.rows) * cycles(plan.tile.rows) + (rest ? cycles(rest) : 0);
    return std::max(of_task(plan.split_block), of_task(*all % plan.split_block)) / expected;
  }

  double depth_of(const FormPart& part) const { return elements_of(part.reduction); }

  void try_split(int split, int64_t block, int64_t column_tasks, double& best, ContractionPlan& chosen) {
    ContractionPlan plan = plan_;
    plan.split_dimension = split;
    plan.split_block = block;
    plan.rows_per_task = block * inner_rows(split);
    const int64_t vectors = divide_up(columns_, lanes_);
    plan.columns_per_task = column_tasks == 1 ? columns_ : divide_up(vectors, column_tasks) * lanes_;
    column_tasks = divide_up(columns_, plan.columns_per_task);
    choose_reduction_blocks(plan);
    make_spans(plan);
    const Window window = plan.stage_left || plan.guard_left ? this->window() : Window{};
    // One tile for all parts: that of the part with the most work.
    double compute = 0, ideal = 0;
    size_t heaviest = 0;
    for (size_t p = 1; p < form_.parts.size(); ++p) {
      if (depth_of(form_.parts[p]) > depth_of(form_.parts[heaviest])) heaviest = p;
    }
    const FormPart& heavy = form_.parts[heaviest];
    const int64_t columns = std::min(extent(heavy.space.back()), plan.columns_per_task);
    tile_cycles(rows_of(heaviest, plan, window), columns, static_cast<int64_t>(depth_of(heavy)), plan);
    for (size_t p = 0; p < form_.parts.size(); ++p) {
      ContractionPlan own = plan;
      const double depth = depth_of(form_.parts[p]), groups = static_cast<double>(form_.groups(p));
      const auto rows = rows_of(p, plan, window);
      int64_t count = 1;
      for (const RowDimension& row : rows) count *= row.most;
      compute += groups * depth * tile_cycles(rows, columns, static_cast<int64_t>(depth), own);
      ideal += groups * depth * static_cast<double>(count) * static_cast<double>(columns) / lanes_ *
               needed_share_.at(static_cast<size_t>(plan.tile_lines) - 1);
    }
    if (column_tasks > 1 && plan.columns_per_task % (plan.tile.vectors * lanes_) != 0) return;   // panels begin where tasks do
    choose_reduction_blocks(plan);
    const int64_t l2 = lowering_.target.l2_bytes;
    double copies = 0, panels = 0, repeats = 1;
    if (plan.stage_left) copies += static_cast<double>(window.elements) * 4 * 2;
    double panel_bytes = depth_of(heavy) * static_cast<double>(columns) * 4 * static_cast<double>(form_.groups(heaviest)) *
                         static_cast<double>(form_.parts.size());
    if (plan.stage_right) {
      double depth = 1;
      for (const Span& span : reduction_[0]) depth *= static_cast<double>(span.most);
      repeats = depth_of(heavy) / std::max(depth, 1.0);
      copies = copies * repeats + panel_bytes * 2;
    } else {
      // Read in place, both operands come once from beyond the caches.
      panels = plan.long_reduction ? depth_of(heavy) * static_cast<double>(plan.rows_per_task + columns) * 4 / cost::copy_bytes_a_cycle
                                   : panel_bytes / cost::panel_bytes_a_cycle;
    }
    const double of_task = compute * slowdown_of_rest(plan) + copies / cost::copy_bytes_a_cycle + panels;
    double slowdown = 1;
    if (plan.stage_left && window.elements * 4 > l2 / 3) slowdown *= window.elements * 4 > l2 ? 1.5 : 1.1;
    double tasks = static_cast<double>(column_tasks);
    for (int d = 0; d < split; ++d) tasks *= static_cast<double>(lowering_.fixed(form_.result[d]).value_or(1));
    tasks *= static_cast<double>(divide_up(lowering_.fixed(form_.result[split]).value_or(1), block));
    // Each panel of columns walks the task's rows again: they are to stay in the second cache.
    // Depthwise, rows of pixels are streamed: whole ones, and this task's as well as the next one's result are in that cache
    // where they are not stored past it.
    if (vectors_of_left_ && plan.prefetch_result) {
      const double results = lowering_.exceeds_caches(form_.result) ? 0 : elements_of(form_.result) / tasks;
      const double streamed = static_cast<double>(window.elements) + 2 * results;
      if (plan.columns_per_task < columns_) slowdown *= 1.5;
      if (4 * streamed > static_cast<double>(l2) / 2) slowdown *= 1.2;
    }
    const double walked = plan.long_reduction
                              ? walked_in_block(plan)
                              : (elements_of(form_.left) * static_cast<double>(column_tasks) + elements_of(form_.result)) / tasks;
    if (!plan.stage_left && 4 * walked > static_cast<double>(l2) / 2) slowdown *= 1.1;
    for (int64_t slices : slice_counts()) {
      plan.slices = slices;
      const double share = share_of_slice(plan), cycles = (of_task * share + cost::task_cycles) * slowdown;
      if (share == 0) continue;
      // The mean over a few numbers of threads.
      double total = merge_cycles(plan);
      for (int threads : {1, 2, 2, 4}) total += std::ceil(tasks * static_cast<double>(slices) / threads) * cycles * threads;
      if (total >= best) continue;
      best = total;
      chosen = plan;
      chosen.efficiency = ideal * tasks * 4 / total;
    }
  }

  // The part of the work that a task does for its slice; 0 where there are not so many slices.
  double share_of_slice(const ContractionPlan& plan) const {
    if (plan.slices == 1) return 1;
    if (plan.blocked_reduction == 0) return 0;
    const auto all = lowering_.fixed(form_.parts.front().reduction.front());
    if (!all) return 1.0 / static_cast<double>(plan.slices);
    const int64_t blocks = divide_up(*all, plan.blocked_reduction == 1 ? plan.reduction_block : 1);
    return blocks < plan.slices ? 0 : static_cast<double>(divide_up(blocks, plan.slices)) / static_cast<double>(blocks);
  }

  // What a task goes through again and again in a block of its reduction: both operands and the sums.
  double walked_in_block(const ContractionPlan& plan) const {
    const auto rows = static_cast<double>(plan.rows_per_task), columns = static_cast<double>(plan.columns_per_task);
    return static_cast<double>(block_length(plan)) * (rows + columns) + rows * columns;
  }

  // Of fetching lines for the slices' sums, storing them and reading them again, by four numbers of threads.
  double merge_cycles(const ContractionPlan& plan) const {
    if (plan.slices == 1) return 0;
    return 4 * (static_cast<double>(plan.slices) * elements_of(form_.result) * 12 / cost::memory_bytes_a_cycle + 4 * cost::task_cycles);
  }

  void allocate(ContractionPlan& plan) {
    choose_chunks(*this, plan);
    plan.hands_on = plan.stage_ahead && stands_alone_;
    make_spans(plan);
    const std::string name = node_.results[0].name;
    auto scratch = [&](const std::string& suffix, int64_t elements) {
      const int id = lowering_.arena_buffer(name + suffix, Dim{elements});
      lowering_.program.buffers[id].kind = loops::BufferKind::scratch;
      return id;
    };
    const int64_t width = static_cast<int64_t>(plan.tile.vectors) * lanes_;
    int64_t window_bytes = 0;
    if (plan.stage_left) {
      make_spans(plan.chunk());
      const int64_t elements = window().elements;
      make_spans(plan);
      window_bytes = elements * 4;
      plan.window_elements = elements;
      plan.window = scratch(".window", (plan.stage_ahead ? 2 : 1) * elements);
    }
    int64_t panels = 0, partial = 0;
    for (size_t p = 0; p < form_.parts.size(); ++p) {
      int64_t rows = 1, depth = 1;
      for (size_t j = 0; j < form_.parts[p].columns(); ++j) rows *= form_.parts[p].is_group(j) ? 1 : space_[p][j].most;
      for (const Span& span : reduction_[p]) depth *= span.most;
      const int64_t all = divide_up(space_[p].back().most, width) * width * form_.groups(p);
      panels += depth * all;
      partial = plan.long_reduction ? partial + rows * all : std::max(partial, rows * width);
    }
    if (plan.stage_right) plan.panels = scratch(".panels", panels);
    else if (!plan.long_reduction) plan.packed_right = pack_right(lowering_, node_, form_, width);
    if (plan.blocked_reduction > 0) plan.partial = scratch(".partial", partial);
    if (has_long_sums(plan)) plan.totals = scratch(".totals", 0);   // as many as a tile needs
    if (plan.slices > 1)
      plan.slice_sums = lowering_.arena_buffer(name + ".slices", Dim{plan.slices * *lowering_.fixed(*element_count(form_.result))});
    describe(plan, window_bytes);
  }

  // Whether a tile adds up more at once than is accurate. A reduction over the batch has shorter blocks.
  bool has_long_sums(const ContractionPlan& plan) const {
    if (plan.long_reduction || plan.taps > 1) return false;
    return std::ranges::any_of(form_.parts, [&](const FormPart& part) { return depth_of(part) > static_cast<double>(longest_sum); });
  }

  void describe(ContractionPlan& plan, int64_t window_bytes) const {
    const int64_t pixels = static_cast<int64_t>(plan.tile.rows) * plan.tile_lines;
    plan.note = fmt::format("tile {} x {} vectors of {}, tasks of {} rows", pixels, plan.tile.vectors, lanes_, plan.rows_per_task);
    if (plan.columns_per_task < columns_) plan.note += fmt::format(" x {} columns", plan.columns_per_task);
    if (plan.stage_left) plan.note += fmt::format(", left staged ({} KiB)", (window_bytes + 1023) / 1024);
    if (plan.guard_left) plan.note += ", left in place up to its edges";
    if (plan.rows_per_chunk > 0) plan.note += fmt::format(" {} rows {}", plan.rows_per_chunk, plan.stage_ahead ? "ahead" : "at a time");
    if (plan.packed_right < 0) plan.note += plan.stage_right ? ", right staged" : ", both read in place";
    else
      plan.note += lowering_.program.buffers[plan.packed_right].kind == loops::BufferKind::constant ? ", right packed at compile time"
                                                                                                    : ", right packed";
    if (plan.blocked_reduction > 0) plan.note += fmt::format(", reduction in blocks of {}", block_length(plan));
    if (plan.slices > 1) plan.note += fmt::format(", in {} slices", plan.slices);
    plan.note += fmt::format(", {:.0f} % of peak predicted", 100 * plan.efficiency);
  }
  int64_t block_length(const ContractionPlan& plan) const {
    int64_t length = plan.reduction_block;
    const Shape& reduction = form_.parts.front().reduction;
    for (size_t j = static_cast<size_t>(plan.blocked_reduction); j < reduction.size(); ++j) length *= extent(reduction[j]);
    return length;
  }

  const bool stands_alone_;
  bool split_columns_ = false;
  std::vector<double> needed_share_;        // by the lines of a tile
  ContractionPlan plan_;                    // what is decided before the split
};

}  // namespace

ContractionPlan ContractionPlan::chunk() const {
  if (rows_per_chunk == 0) return *this;
  ContractionPlan plan = *this;
  plan.split_dimension = chunk_dimension;
  plan.split_block = chunk_block;
  plan.rows_per_task = rows_per_chunk;
  return plan;
}

ContractionPlan plan_contraction(Lowering& lowering, const Node& node, int64_t unit_rows, bool split_columns, bool stands_alone) {
  ContractionPlan plan = Planner(lowering, node, unit_rows, split_columns, stands_alone).run();
  lowering.context.done(&node, plan.note);
  return plan;
}

}  // namespace bnc::lower
