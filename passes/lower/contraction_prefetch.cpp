// Prefetching: what one task's arithmetic takes long enough for, the next one's operands and results are fetched during it.
//
// Measured on 64 -> 256 channels of 1 x 1 at 56 x 56, batch 32, two threads: 0.75 of the peak without, 0.95 with.
#include "passes/lower/row_contraction.h"

#include <algorithm>

namespace bnc::lower {

constexpr int64_t cache_line = 16;   // elements

// With each step of the reduction, lines that are not in the caches: of the result, and of what will be staged next. Few
// at a time, as many more than the machine can wait for would hold up the loads of the tile itself.
void RowContraction::prefetch(const TileShape& tile, const Place& place, const ReductionLoops& reduction, bool final, std::vector<Stmt>& out) {
  if (final && plan_.prefetch_result) prefetch_result(tile, place, reduction, out);
  if (part().left_has_columns() && plan_.prefetch_left && (plan_.stage_left || plan_.guard_left)) prefetch_window(tile, place, reduction, out);
  if (part().left_has_columns() || form_.groups(part_) > 1) return;
  if (plan_.prefetch_left) prefetch_left(tile, place, reduction, out);
  if (plan_.prefetch_right) prefetch_right(reduction, out);
}

// Of the few steps of a depthwise tile each has its share of what the next task touches: as much as the tile has of the
// task's results, in the order of memory.
RowContraction::Share RowContraction::share_of_step(const TileShape& tile, const Place& place, const ReductionLoops& reduction) const {
  int64_t steps = 1;
  Expr step = 0;
  for (size_t d = 0; d < reduction.dimensions.size(); ++d) {
    step = step * reduction.dimensions[d].count + loops::variable(reduction.variables[d]);
    steps *= reduction.dimensions[d].most;
  }
  const int64_t all = tile.rows() * ((int64_t{run_.vectors} * run_.lanes + cache_line - 1) / cache_line), lines = (all + steps - 1) / steps;
  return {column_ * Expr(plan_.rows_per_task) + (place.result - ranges_.row_begin + step * Expr(lines)) * Expr(cache_line), lines};
}

// Step k of many asks for row k from the tile's first on.
void RowContraction::prefetch_result(const TileShape& tile, const Place& place, const ReductionLoops& reduction, std::vector<Stmt>& out) {
  const int64_t columns = *lowering_.fixed(form_.result.back());
  int64_t lines = (int64_t{run_.vectors} * run_.lanes + cache_line - 1) / cache_line;
  Expr begin = (place.result + loops::variable(reduction.variables.back())) * Expr(columns) + column_;
  if (part().left_has_columns()) {
    const Share share = share_of_step(tile, place, reduction);
    lines = share.lines;
    begin = ranges_.row_end * Expr(columns) + share.begin;
  }
  for (Node* root : stage_.roots) {
    if (root->results[0].type.shape != form_.result || lowering_.streamed.count(root->result())) continue;
    for (int buffer : lowering_.destinations(root->result())) prefetch_lines(buffer, begin, lines, true, out);
  }
}

// What the next task's window has beyond this one's.
void RowContraction::prefetch_window(const TileShape& tile, const Place& place, const ReductionLoops& reduction, std::vector<Stmt>& out) {
  const int64_t results = plan_.rows_per_task * *lowering_.fixed(form_.result.back()), distance = distance_to_next();
  if (distance == 0 || distance % results != 0) return;
  Expr end = Expr(part().left.flat_offset(left_strides_));
  for (size_t j = 0; j < part().columns(); ++j) {
    if (!is_row(part_, j)) continue;
    end = end + space_[part_][j].begin * Expr(part().left.flat_space(left_strides_, j));
    if (result_dimension(part(), j) != static_cast<size_t>(plan_.split_dimension)) continue;
    for (size_t d = 0; d < left_strides_.size(); ++d) {
      if (part().left.space[d][j] != 0) end = end + Expr(window_.extent[d] * window_.step[d] * left_strides_[d]);
    }
  }
  const Share share = share_of_step(tile, place, reduction);
  for (int buffer : sources_of(left_)) prefetch_lines(buffer, end + share.begin * Expr(distance / results), share.lines * distance / results, false, out);
}

// The same element in what is staged next; where rows are dense, those of the tile in the order of memory.
void RowContraction::prefetch_left(const TileShape& tile, const Place& place, const ReductionLoops& reduction, std::vector<Stmt>& out) {
  Expr begin = place.source + Expr(distance_to_next());
  if (tile.pixel.source == 1) {
    for (size_t d = 0; d < reduction.dimensions.size(); ++d) begin = begin + loops::variable(reduction.variables[d]) * Expr(reduction.dimensions[d].left_source);
  } else {
    begin = begin + loops::variable(reduction.variables.back()) * Expr(tile.rows());
  }
  const int64_t lines = tile.pixel.source == 1 ? 1 : (tile.rows() + cache_line - 1) / cache_line;
  for (int buffer : sources_of(left_)) prefetch_lines(buffer, begin, lines, false, out);
}

// Where the right operand is staged: a line of the next block's row, another for each tile.
void RowContraction::prefetch_right(const ReductionLoops& reduction, std::vector<Stmt>& out) {
  const auto strides = row_major(form_.right);
  Expr begin = Expr(part().right.flat_offset(strides)) + column_ + tile_number_ % Expr(run_.vectors) * Expr(run_.lanes);
  for (size_t d = 0; d < reduction.dimensions.size(); ++d) begin = begin + loops::variable(reduction.variables[d]) * Expr(reduction.dimensions[d].right_source);
  for (size_t j = 0; j < part().reduction.size(); ++j) {
    const bool blocked = static_cast<int>(j) + 1 == plan_.blocked_reduction;
    begin = begin + (reduction_[part_][j].begin + Expr(blocked ? plan_.reduction_block : 0)) * Expr(part().right.flat_reduction(strides, j));
  }
  for (int buffer : sources_of(right_)) prefetch_lines(buffer, begin, 1, false, out);
}

void RowContraction::prefetch_lines(int buffer, const Expr& begin, int64_t lines, bool for_store, std::vector<Stmt>& out) {
  for (int64_t line = 0; line < lines; ++line) out.push_back(loops::prefetch(buffer, begin + Expr(line * cache_line), for_store));
}

// The buffers of a value's shape that are read for it.
std::vector<int> RowContraction::sources_of(Value value) {
  if (value.node->is("constant")) return {};
  if (!lowering_.inlined.count(value.node)) return {lowering_.buffer_of(value)};
  std::vector<int> all;
  for (const Value& operand : value.node->operands) {
    if (!operand || operand.type().shape != value.type().shape) continue;
    for (int id : sources_of(operand)) {
      if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
    }
  }
  return all;
}

// How far on in left's memory what is staged next lies: the next block of the reduction, or the next task.
int64_t RowContraction::distance_to_next() const {
  if (plan_.long_reduction) {
    return plan_.blocked_reduction == 0 ? 0 : plan_.reduction_block * part().left.flat_reduction(left_strides_, static_cast<size_t>(plan_.blocked_reduction) - 1);
  }
  const auto split = static_cast<size_t>(plan_.split_dimension);
  for (size_t j = 0; j < part().columns(); ++j) {
    if (is_row(part_, j) && result_dimension(part(), j) == split) return plan_.split_block / part().result.space[split][j] * part().left.flat_space(left_strides_, j);
  }
  return 0;
}

}  // namespace bnc::lower
