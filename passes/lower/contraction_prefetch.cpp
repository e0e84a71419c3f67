// Prefetching: during the arithmetic of a tile, the lines that it, the next tile and the next task will use, each about once, so
// that arithmetic hides the memory. What was measured: docs/performance.md, "Prefetching".
#include "ir/integers.h"
#include "passes/lower/row_contraction.h"
#include "passes/schedule/cost.h"

#include <algorithm>

namespace bnc::lower {


int64_t RowContraction::lines_of(int64_t elements) const { return divide_up(elements, cache_line()); }

static void append_new(std::vector<int>& all, const std::vector<int>& more) {
  for (int id : more) {
    if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
  }
}

// With each stretch of the reduction, lines that are not in the caches: of the result, of what the next tile reads, of what
// will be staged next, of the next panel. Few at a time, and each about once: those under way hold up the tile's own loads.
void RowContraction::prefetch(const TileShape& tile, const Place& place, const ReductionLoops& reduction, const Expr& left, bool final,
                              std::vector<Stmt>& out) {
  const bool grouped = is_grouped();
  const Steps steps = steps_of(reduction);
  if (final && plan_.prefetch_result) prefetch_result(tile, place, steps, out);
  if (part().left_has_columns() && plan_.prefetch_left && (plan_.stage_left || plan_.guard_left)) prefetch_window(tile, place, steps, out);
  if (plan_.long_reduction && !grouped) {
    if (plan_.prefetch_left) prefetch_left_block(tile, place, reduction, out);
    if (plan_.prefetch_right) prefetch_right(reduction, out);
  } else if (!grouped) {
    if (plan_.prefetch_left && !plan_.stage_ahead)
      plan_.stage_left
          ? prefetch_staging(tile, place, steps, out)
          : prefetch_tile(tile, place.source, reduction, &ReductionDimension::left_source, &RowDimension::source, sources_of(left_), out);
    if (plan_.prefetch_right) prefetch_panel(tile, place, steps, out);
    if (plan_.stage_left && 4 * window_.elements > lowering_.target.l1_bytes / 2)
      prefetch_tile(tile, left, reduction, &ReductionDimension::left, &RowDimension::left, {plan_.window}, out);
  }
}

// A prefetch and its address take instructions that each step of a long sum would feel: the innermost loop is cut into
// stretches that ask once for as much.
int64_t stretch_of(const std::vector<ReductionDimension>& reduction) {
  const auto innermost = loops::as_integer(reduction.back().count);
  return innermost && *innermost >= cost::least_stretched_sum && *innermost % cost::most_stretch == 0 ? cost::most_stretch : 1;
}

// The stretches of a tile's sum, numbered through its loops from the `first` on.
RowContraction::Steps RowContraction::steps_of(const ReductionLoops& reduction, size_t first) {
  Steps steps;
  for (size_t d = first; d < reduction.dimensions.size(); ++d) {
    const bool stretches = d + 1 == reduction.dimensions.size() && reduction.stretch > 1;
    const int64_t most = reduction.dimensions[d].most / (stretches ? reduction.stretch : 1);
    const std::string& name = stretches ? reduction.stretch_name : reduction.variables[d];
    const Expr extent = stretches ? Expr(most) : reduction.dimensions[d].count,
               number = loops::as_integer(extent) ? loops::bounded_variable(name, 0, most - 1) : loops::variable(name);
    steps.number = steps.number * extent + number;
    steps.count *= most;
  }
  return steps;
}

// Of so many things, each step has its share in turn; where there are fewer than steps, some steps in a row have the same.
RowContraction::Share RowContraction::Steps::share(int64_t things) const {
  if (things >= count) {
    const int64_t each = divide_up(things, count);
    return {number * Expr(each), each};
  }
  if (things <= 0 || count % things == 0) return {number / Expr(count / std::max<int64_t>(things, 1)), 1};
  constexpr int64_t one = 1 << 16;   // a division by this is a shift
  return {number * Expr((things * one + count - 1) / count) / Expr(one), 1};
}

// The tile's own rows and the lines read beside the result, with all lines in each of a row's stretches, since some CPUs take at times
// no notice. A depthwise tile has few steps: its share of what the next task touches.
void RowContraction::prefetch_result(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out) {
  const int64_t columns = *lowering_.fixed(form_.result.back()), lines = lines_of(int64_t{run_.vectors} * run_.lanes);
  std::vector<std::pair<Expr, int64_t>> ahead;   // first element, lines
  if (part().left_has_columns()) {
    const Share share = share_of_task(tile, place, steps);
    ahead.push_back({ranges_.row_end * Expr(columns) + share.first, share.count});
  } else {
    const Share rows = steps.share(tile.rows());
    for (int64_t row = 0; row < rows.count; ++row)
      ahead.push_back({(place.result + tile.distance(rows.first + Expr(row), &RowDimension::result)) * Expr(columns) + column_, lines});
  }
  for (Node* root : stage_.roots) {
    if (root->results[0].type.shape != form_.result || lowering_.streamed.count(root->result())) continue;
    for (int buffer : lowering_.destinations(root->result())) {
      for (const auto& [begin, count] : ahead) prefetch_lines(buffer, begin, count, loops::Prefetch::store, out);
    }
  }
  if (part().left_has_columns()) return;
  for (int buffer : read_beside()) {
    for (const auto& [begin, count] : ahead) prefetch_lines(buffer, begin, count, loops::Prefetch::l1, out);
  }
}

// The buffers that what follows the sums reads at the result's places: what is added to it, what a mask is computed from.
std::vector<int> RowContraction::read_beside() {
  std::vector<int> all;
  for (Node* root : stage_.roots) {
    if (root == &node_ || root->results[0].type.shape != form_.result) continue;
    append_new(all, sources_of_operands(*root, form_.result));
  }
  return all;
}

// What a step of a depthwise tile asks for of the next task: as much as the tile has of this task's results, in the order of
// memory; the first element, counted from the first that the next task touches.
RowContraction::Share RowContraction::share_of_task(const TileShape& tile, const Place& place, const Steps& steps) const {
  const Share share = steps.share(tile.rows() * lines_of(int64_t{run_.vectors} * run_.lanes));
  return {column_ * Expr(plan_.rows_per_task) + (place.result - ranges_.row_begin + share.first) * Expr(cache_line()), share.count};
}

// Into the second cache, where the CPU takes notice.
loops::Prefetch RowContraction::far() const {
  return lowering_.target.prefetches_to_l2 ? loops::Prefetch::l2 : loops::Prefetch::l1;
}

// What the next task's window has beyond this one's: never into the first cache, where it would displace what this task reads.
void RowContraction::prefetch_window(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out) {
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
  const Share share = share_of_task(tile, place, steps);
  for (int buffer : sources_of(left_))
    prefetch_lines(buffer, end + share.first * Expr(distance / results), share.count * distance / results, loops::Prefetch::l2,
                   out);
}

// What is staged next lies as far behind what the task staged: of each row, as each panel of columns passes, its part.
void RowContraction::prefetch_staging(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out) {
  const int64_t a_row = distance_to_next() / plan_.rows_per_task, panels = panel_count(part_);
  if (a_row == 0) return;
  const Expr rows_before = column_ / Expr(width_) * Expr(plan_.rows_per_task) + (place.result - ranges_.row_begin);
  const Share lines = steps.share(lines_of(divide_up(tile.rows() * a_row, panels)));
  const Expr begin = first_place().source + Expr(distance_to_next()) + rows_before * Expr(a_row) / Expr(panels) +
                     lines.first * Expr(cache_line());
  for (int buffer : sources_of(left_)) prefetch_lines(buffer, begin, lines.count, far(), out);
}

// The packed panel behind the one that the task's rows all go through, or the panel's next block: each row has its part.
void RowContraction::prefetch_panel(const TileShape& tile, const Place& place, const Steps& steps, std::vector<Stmt>& out) {
  int64_t elements = width_;
  for (const Span& span : reduction_[part_]) elements *= span.most;
  const Share lines = steps.share(lines_of(tile.rows() * elements / plan_.rows_per_task));
  const Expr begin = (place.result - ranges_.row_begin) * Expr(elements) / Expr(plan_.rows_per_task);
  prefetch_lines(right_buffer(), right_first() + Expr(elements) + begin + lines.first * Expr(cache_line()), lines.count, far(), out);
}

// What the next tile reads: as the first cache does not hold what a task reads again for each panel of columns, this is due
// for each. In the order of memory where the innermost loop goes along it, else a line for each of its steps.
void RowContraction::prefetch_tile(const TileShape& tile, Expr begin, const ReductionLoops& reduction, int64_t ReductionDimension::* along,
                                   int64_t RowDimension::* across, const std::vector<int>& buffers, std::vector<Stmt>& out) {
  const size_t last = reduction.dimensions.size() - 1;
  const int64_t elements = tile.rows() * tile.pixel.*across, step = reduction.dimensions[last].*along;
  size_t first = last;   // of the loops that all go through the same elements
  while (step == 1 && first > 0 && reduction.dimensions[first - 1].*along < elements) --first;
  begin = begin + Expr(elements);
  for (size_t d = 0; d < first; ++d) begin = begin + loops::variable(reduction.variables[d]) * Expr(reduction.dimensions[d].*along);
  if (step == 1) {
    const Share lines = steps_of(reduction, first).share(lines_of(elements));
    for (int buffer : buffers)
      prefetch_lines(buffer, begin + lines.first * Expr(cache_line()), lines.count, loops::Prefetch::l1, out);
    return;
  }
  for (int64_t s = 0; s < reduction.stretch; ++s) {
    for (int buffer : buffers)
      prefetch_lines(buffer, begin + (loops::variable(reduction.stretch_name) * Expr(reduction.stretch) + Expr(s)) * Expr(step), 1,
                     loops::Prefetch::l1, out);
  }
}

// Where the reduction is taken in blocks: the same element of the next block; where rows are dense, those of the tile in the
// order of memory.
void RowContraction::prefetch_left_block(const TileShape& tile, const Place& place, const ReductionLoops& reduction,
                                         std::vector<Stmt>& out) {
  Expr begin = place.source + Expr(distance_to_next());
  if (tile.pixel.source == 1) {
    for (size_t d = 0; d < reduction.dimensions.size(); ++d)
      begin = begin + loops::variable(reduction.variables[d]) * Expr(reduction.dimensions[d].left_source);
  } else {
    begin = begin + loops::variable(reduction.variables.back()) * Expr(tile.rows());
  }
  for (int buffer : sources_of(left_)) prefetch_lines(buffer, begin, tile.pixel.source == 1 ? 1 : lines_of(tile.rows()), far(), out);
}

// Where the right operand is staged: a line of the next block's row, another for each tile.
void RowContraction::prefetch_right(const ReductionLoops& reduction, std::vector<Stmt>& out) {
  const auto strides = row_major(form_.right);
  Expr begin = Expr(part().right.flat_offset(strides)) + column_ + tile_number_ % Expr(run_.vectors) * Expr(run_.lanes);
  for (size_t d = 0; d < reduction.dimensions.size(); ++d)
    begin = begin + loops::variable(reduction.variables[d]) * Expr(reduction.dimensions[d].right_source);
  for (size_t j = 0; j < part().reduction.size(); ++j) {
    const bool blocked = static_cast<int>(j) + 1 == plan_.blocked_reduction;
    begin = begin +
            (reduction_[part_][j].begin + Expr(blocked ? plan_.reduction_block : 0)) * Expr(part().right.flat_reduction(strides, j));
  }
  for (int buffer : sources_of(right_)) prefetch_lines(buffer, begin, 1, far(), out);
}

void RowContraction::prefetch_lines(int buffer, const Expr& begin, int64_t lines, loops::Prefetch what, std::vector<Stmt>& out) const {
  if (lines > cost::most_prefetched_lines) return;
  for (int64_t line = 0; line < lines; ++line) out.push_back(loops::prefetch(buffer, begin + Expr(line * cache_line()), what));
}

// The buffers of a value's shape that are read for it; none for what the tile itself computes.
std::vector<int> RowContraction::sources_of(Value value) {
  if (value.node->is("constant") || std::find(stage_.roots.begin(), stage_.roots.end(), value.node) != stage_.roots.end()) return {};
  if (!lowering_.inlined.count(value.node)) return {lowering_.buffer_of(value)};
  return sources_of_operands(*value.node, value.type().shape);
}

// Of the operands of that shape; some are there for their shape alone.
std::vector<int> RowContraction::sources_of_operands(const Node& node, const Shape& shape) {
  std::vector<int> all;
  for (size_t k = 0; k < node.operands.size(); ++k) {
    const Value operand = node.operands[k];
    if (operand && operand.type().shape == shape && lowering_.accesses.of(node, static_cast<int>(k)).reads)
      append_new(all, sources_of(operand));
  }
  return all;
}

// How far on in left's memory what is staged next lies: the next block of the reduction, or the next task.
int64_t RowContraction::distance_to_next() const {
  if (plan_.long_reduction) {
    return plan_.blocked_reduction == 0
               ? 0
               : plan_.reduction_block * part().left.flat_reduction(left_strides_, static_cast<size_t>(plan_.blocked_reduction) - 1);
  }
  const auto split = static_cast<size_t>(plan_.split_dimension);
  for (size_t j = 0; j < part().columns(); ++j) {
    if (is_row(part_, j) && result_dimension(part(), j) == split)
      return plan_.split_block / part().result.space[split][j] * part().left.flat_space(left_strides_, j);
  }
  return 0;
}

}  // namespace bnc::lower
