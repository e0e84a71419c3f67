// Staging ahead: while a chunk's products are summed, the next chunk's window is filled, a vector or a few with each stretch
// of a sum. The next task's first chunk is filled by a thread's task before it.
//
// What the copy waits for, the products do not, and of a core that adds and compares beside its multiply-adds they take little.
// Where windows overlap nothing is gained (docs/performance.md, "Batch norm around a convolution").
#include "ir/integers.h"
#include "passes/lower/row_contraction.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {

std::vector<Stmt> RowContraction::stage_chunk() {
  std::vector<Stmt> out;
  find_spans(out);
  window_ = window_of(form_, space_, reduction_, lowering_.target);
  copy_window(out);
  return out;
}

// Where the window of the ranges begins in its buffer: chunks take two by turns.
Expr RowContraction::window_begin() const {
  if (!plan_.stage_ahead) return 0;
  return ranges_.row_begin / Expr(plan_.rows_per_task) % Expr(2) * Expr(plan_.window_elements);
}

void RowContraction::find_next(std::vector<Stmt>& out) {
  Ranges ranges = ranges_;
  ranges.row_begin = lowering_.bind("next", chunk_.next_row, out);
  ranges.row_end = ranges.row_begin + Expr(plan_.rows_per_task);
  RowContraction next(lowering_, stage_, ranges, plan_, reductions_);
  next.find_spans(out);
  next_origin_ = window_.origin(part(), next.space_.front(), next.reduction_.front());
  for (Expr& origin : next_origin_) origin = lowering_.bind("origin", origin, out);
}

// The stretches of all panels and tiles are numbered: each has its vectors, in the order of the window's memory. Where those of a
// tile are more than enough, its first have none: a store would wait there for those of the tile before, which may go to memory.
void RowContraction::stage_ahead(const TileShape& tile, const Place& place, const ReductionLoops& reduction, std::vector<Stmt>& out) {
  const Steps steps = steps_of(reduction);
  const int64_t tiles = plan_.rows_per_task / tile.rows(), vectors = window_.vectors(lowering_.target.float_lanes()),
                all_tiles = panel_count(part_) * tiles, all = all_tiles * steps.count;
  BNC_CHECK(plan_.rows_per_task % tile.rows() == 0, "a chunk of uneven tiles staged ahead");
  int64_t each = divide_up(vectors, all);
  while (vectors % each != 0) ++each;
  const int64_t shares = vectors / each, stretches = divide_up(shares, all_tiles), without = steps.count - stretches;
  Expr tile_number = column_ / Expr(width_) * Expr(tiles);
  if (tiles > 1) tile_number = tile_number + (place.result - ranges_.row_begin) / Expr(tile.rows());
  const std::string name = lowering_.fresh("number");
  const Expr number = loops::bounded_variable(name, 0, all_tiles * stretches - 1);
  std::vector<Stmt> body{loops::let(name, tile_number * Expr(stretches) + (steps.number - Expr(without)))}, share;
  for (int64_t v = 0; v < each; ++v) stage_vector(number * Expr(each) + Expr(v), share);
  if (shares == all_tiles * stretches) append(body, std::move(share));
  else body.push_back(loops::conditional(number < Expr(shares), std::move(share)));
  if (without == 0) append(out, std::move(body));
  else out.push_back(loops::conditional(Expr(without) <= steps.number, std::move(body)));
}

// One vector of a pixel's channels.
void RowContraction::stage_vector(const Expr& number, std::vector<Stmt>& out) {
  const int lanes = lowering_.target.float_lanes();
  const size_t channel = form_.left.size() - 1;
  const Expr a_pixel = window_.extent[channel] / lanes, c = lowering_.bind("channel", number % a_pixel * Expr(lanes), out);
  Expr pixel = number / a_pixel, to = Expr(plan_.window_elements) - window_begin() + c, row = 0;
  Index at(channel);
  size_t outermost = 0;   // of several positions: what is left over of the number
  while (outermost + 1 < channel && window_.extent[outermost] == 1) ++outermost;
  for (size_t d = channel; d-- > 0;) {
    const Expr extent = window_.extent[d], i = d == outermost ? pixel : pixel % extent;
    BNC_CHECK(window_.inside[d], "a window with edges staged ahead");
    pixel = pixel / extent;
    at[d] = next_origin_[d] + i * Expr(window_.step[d]);
    to = to + i * Expr(window_.stride[d]);
  }
  for (size_t d = 0; d < channel; ++d) row = row * lowering_.extent(form_.left[d]) + at[d];
  row = lowering_.bind("row", row, out);
  if (plan_.prefetch_left) {
    for (int buffer : sources_of(left_))
      prefetch_lines(buffer, row * lowering_.extent(form_.left[channel]) + c + Expr(cost::prefetch_distance), 1, loops::Prefetch::l1, out);
  }
  Elements elements(lowering_, out, {});
  Expr x = elements.value(left_, flat_index(lowering_, left_.type().shape, reads_flat_rows(lowering_, left_), row,
                                            loops::ramp(c + next_origin_[channel], 1, lanes)));
  if (x->type.lanes != lanes) x = loops::broadcast(x, lanes);
  out.push_back(loops::store(plan_.window, loops::ramp(to, 1, lanes), x));
}

}  // namespace bnc::lower
