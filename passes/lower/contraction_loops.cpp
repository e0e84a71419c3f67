// The loops around the register tile: what a task owns, blocks, panels, rows.
#include "ir/integers.h"
#include "passes/lower/row_contraction.h"

#include <algorithm>

namespace bnc::lower {

RowContraction::RowContraction(Lowering& lowering, const Stage& stage, const Ranges& ranges, const ContractionPlan& plan,
                               const std::vector<TileReduction>& reductions, Chunk chunk, Expr slice)
    : lowering_(lowering),
      stage_(stage),
      plan_(plan),
      reductions_(reductions),
      chunk_(std::move(chunk)),
      slice_(std::move(slice)),
      node_(*stage.roots.front()),
      form_(form_of(node_)),
      ranges_(ranges),
      left_(viewed(lowering, node_.operands[0])),
      right_(viewed(lowering, node_.operands[1])),
      width_(static_cast<int64_t>(plan.tile.vectors) * lowering.target.float_lanes()),
      left_strides_(row_major(form_.left)) {
  flat_ = std::all_of(stage.roots.begin() + 1, stage.roots.end(),
                      [&](const Node* root) { return operands_read_flat_rows(lowering, *root); });
  panels_ = ranges.columns ? divide_up(*ranges.columns, width_) : plan.columns_per_task / width_;
  result_rows_ = row_major(form_.result);
  for (int64_t& stride : result_rows_) stride /= *lowering.fixed(form_.result.back());
}

std::vector<Stmt> RowContraction::run() {
  std::vector<Stmt> out;
  find_spans(out);
  if (plan_.long_reduction) {
    if (plan_.partial >= 0) clear(all_partial_rows() * Expr(width_), out);
    part_ = 0;
    blocks(out, [&](std::vector<Stmt>& block) {
      for (Spans& spans : reduction_) spans = reduction_.front();
      stage_left(block);
      stage_right(block);
      panels(block, [&](std::vector<Stmt>& panel) { rows(plan_.partial < 0, panel); });
    });
    if (plan_.partial >= 0) panels(out, [&](std::vector<Stmt>& panel) { finish(panel); });
    return out;
  }
  stage_left(out);
  panels(out, [&](std::vector<Stmt>& panel) {
    if (plan_.partial < 0) return rows(true, panel);
    clear(Expr(partial_rows(part_) * width_), panel);
    blocks(panel, [&](std::vector<Stmt>& block) { rows(false, block); });
    finish(panel);
  });
  return out;
}

// The spans of all dimensions, from the flattened rows and the columns of the region.
void RowContraction::find_spans(std::vector<Stmt>& out) {
  const size_t rows = form_.result.size() - 1, split = static_cast<size_t>(plan_.split_dimension);
  int64_t inner = 1;
  for (size_t d = split + 1; d < rows; ++d) inner *= *lowering_.fixed(form_.result[d]);
  Expr unit = ranges_.row_begin / Expr(inner);
  Spans result(rows);
  const Expr count = ranges_.rows ? Expr(*ranges_.rows / inner) : (ranges_.row_end - ranges_.row_begin) / Expr(inner);
  for (size_t d = rows; d-- > 0;) {
    const Expr extent = lowering_.extent(form_.result[d]);
    if (d > split) {
      result[d] = {Expr(0), extent, *lowering_.fixed(form_.result[d])};
      continue;
    }
    const Expr at = lowering_.bind("first", d == 0 ? unit : unit % extent, out);
    unit = unit / extent;
    result[d] = d < split ? Span{at, Expr(1), 1}
                          : Span{at, lowering_.bind("count", count, out), ranges_.rows ? *ranges_.rows / inner : plan_.split_block};
  }
  for (const FormPart& part : form_.parts) {
    Spans space;
    for (size_t j = 0; j < part.space.size(); ++j) {
      const size_t d = result_dimension(part, j);
      const bool own = part.space.back() != form_.result.back();   // columns other than the result's are all the task's
      if (j == part.columns() && !own)
        space.push_back(
            {ranges_.column_begin, ranges_.column_end - ranges_.column_begin, ranges_.columns.value_or(plan_.columns_per_task)});
      else if (d == rows || d > split) space.push_back({Expr(0), lowering_.extent(part.space[j]), *lowering_.fixed(part.space[j])});
      else space.push_back(scaled(result[d], part.result.space[d][j], part.result.offset[d]));
    }
    space_.push_back(std::move(space));
    reduction_.emplace_back();
    for (const Dim& dim : part.reduction) {
      const bool sliced = slice_ && reduction_.back().empty();
      reduction_.back().push_back(sliced ? slice_of(dim, out) : Span{Expr(0), lowering_.extent(dim), lowering_.fixed(dim).value_or(1)});
    }
  }
}

// Slices are whole blocks, as many in each; in the last ones there may be fewer, or none.
Span RowContraction::slice_of(const Dim& dim, std::vector<Stmt>& out) const {
  const int64_t block = plan_.blocked_reduction == 1 ? plan_.reduction_block : 1, slices = plan_.slices;
  if (const auto all = lowering_.fixed(dim)) {
    const int64_t length = divide_up(divide_up(*all, block), slices) * block;
    const Expr begin = slice_ * Expr(length);
    if (length * slices == *all) return {begin, Expr(length), length};
    return {begin, lowering_.bind("count", loops::binary(loops::BinaryOp::minimum, Expr(length), Expr(*all) - begin), out), length};
  }
  const Expr all = lowering_.extent(dim),
             length = lowering_.bind("length", ((all + Expr(block - 1)) / Expr(block) + Expr(slices - 1)) / Expr(slices) * Expr(block),
                                     out);
  const Expr begin = lowering_.bind("begin", slice_ * length, out);
  return {begin, lowering_.bind("count", loops::binary(loops::BinaryOp::minimum, length, all - begin), out), 1};
}

// The positions q at which scale*q + offset lies in a span that begins at a multiple of the scale.
Span RowContraction::scaled(const Span& span, int64_t scale, int64_t offset) {
  if (scale == 1 && offset == 0) return span;
  return {span.begin / Expr(scale), (span.count + Expr(scale - 1 - offset)) / Expr(scale), (span.most + scale - 1 - offset) / scale};
}

void RowContraction::block_dimension(int d, std::vector<Stmt>& out, const Body& body) {
  if (d == plan_.blocked_reduction) return body(out);
  const bool last = d + 1 == plan_.blocked_reduction;
  const int64_t step = last ? plan_.reduction_block : 1;
  const Span whole = reduction_[part_][d];
  const std::string name = lowering_.fresh("block");
  const Expr begin = loops::variable(name), end = whole.begin + whole.count;
  const auto fixed = loops::as_integer(whole.count);
  std::vector<Stmt> inner;
  if (fixed && *fixed % step == 0) reduction_[part_][d] = {begin, Expr(step), step};
  else
    reduction_[part_][d] = {begin, lowering_.bind("length", loops::binary(loops::BinaryOp::minimum, Expr(step), end - begin), inner), step};
  block_dimension(d + 1, inner, body);
  reduction_[part_][d] = whole;
  out.push_back(loops::loop(name, whole.begin, end, step, std::move(inner)));
}

// Parts, groups and column steps, one after another.
void RowContraction::panels(std::vector<Stmt>& out, const Body& body) {
  for (part_ = 0; part_ < form_.parts.size(); ++part_) {
    groups_.assign(part().space.size(), Expr(0));
    group_dimension(0, Expr(0), out, body);
  }
  part_ = 0;
}

void RowContraction::group_dimension(size_t j, Expr number, std::vector<Stmt>& out, const Body& body) {
  while (j < part().columns() && !part().is_group(j)) ++j;
  if (j < part().columns()) {
    const std::string name = lowering_.fresh("group");
    groups_[j] = loops::variable(name);
    std::vector<Stmt> inner;
    const Expr extent = lowering_.extent(part().space[j]);
    group_dimension(j + 1, number * extent + groups_[j], inner, body);
    out.push_back(loops::loop(name, 0, extent, 1, std::move(inner)));
    return;
  }
  group_ = number;
  Ranges columns = ranges_;
  if (groups_.size() > 1 && form_.groups(part_) > 1) own_columns(columns);
  else if (*lowering_.fixed(part().space.back()) != *lowering_.fixed(form_.result.back())) own_columns(columns);
  for (const ColumnRun& run : column_runs(lowering_, columns, plan_.tile.vectors)) {
    out.push_back(over_columns(lowering_, run, [&](Expr column) {
      run_ = run;
      column_ = column;
      std::vector<Stmt> inner;
      body(inner);
      return inner;
    }));
  }
}

// All columns of the part, which are not those of the result.
void RowContraction::own_columns(Ranges& ranges) const {
  ranges.column_begin = Expr(0);
  ranges.column_end = lowering_.extent(part().space.back());
  ranges.columns = lowering_.fixed(part().space.back());
}

int64_t RowContraction::partial_rows(size_t p) const {
  int64_t count = 1;
  for (size_t j = 0; j < space_[p].size(); ++j) count *= is_row(p, j) ? space_[p][j].most : 1;
  return count;
}

Expr RowContraction::all_partial_rows() const {
  int64_t count = 0;
  for (size_t p = 0; p < form_.parts.size(); ++p) count += partial_rows(p) * form_.groups(p) * panels_of(p);
  return count;
}

int64_t RowContraction::panels_of(size_t p) const {
  return form_.parts[p].space.back() == form_.result.back() ? panels_
                                                            : divide_up(*lowering_.fixed(form_.parts[p].space.back()), width_);
}

// Where the current panel's sums begin.
Expr RowContraction::partial_begin() const {
  const int64_t rows = partial_rows(part_);
  if (!plan_.long_reduction) return within_panels(0, column_);
  int64_t before = 0;
  for (size_t p = 0; p < part_; ++p) before += partial_rows(p) * form_.groups(p) * panels_of(p) * width_;
  return Expr(before) + group_ * Expr(panels_of(part_) * rows * width_) + within_panels(rows, column_ - first_column());
}

void RowContraction::clear(Expr count, std::vector<Stmt>& out) {
  const int lanes = lowering_.target.float_lanes();
  const std::string z = lowering_.fresh("z");
  out.push_back(loops::loop(
      z, 0, count, lanes,
      {loops::store(plan_.partial, loops::ramp(loops::variable(z), 1, lanes), loops::constant_of({loops::Scalar::f32, lanes}, 0))}));
}

std::vector<RowDimension> RowContraction::row_dimensions(bool with_left) const {
  std::vector<RowDimension> rows;
  int64_t partial = partial_rows(part_);
  for (size_t j = 0; j < part().columns(); ++j) {
    if (!is_row(part_, j)) continue;
    const Span& span = space_[part_][j];
    partial /= std::max<int64_t>(span.most, 1);
    rows.push_back({span.count, span.most, with_left ? left_stride(j) : 0, part().result.flat_space(result_rows_, j),
                    plan_.partial >= 0 ? partial : 0, part().left.flat_space(left_strides_, j)});
    if (with_left) rows.back().guarded = steps_along(guarded_, part().left.space, j);
  }
  // Without sums in scratch, or without left, those distances are to be no obstacle.
  auto merged = rows;
  int64_t l = 1, q = 1;
  for (size_t j = merged.size(); j-- > 0;) {
    if (!with_left) merged[j].left = l, l *= merged[j].most;
    if (plan_.partial < 0) merged[j].partial = q, q *= merged[j].most;
  }
  return merged_rows(std::move(merged));
}

RowContraction::Place RowContraction::first_place() const {
  Place place{plan_.stage_left ? window_begin() + Expr(window_.part_offset(part())) : part().left.flat_offset(left_strides_),
              part().result.flat_offset(result_rows_), 0, part().left.flat_offset(left_strides_)};
  if (!guarded_.empty()) {
    const Index origin = window_.origin(part(), space_[part_], reduction_[part_]);
    for (size_t d : guarded_) place.guarded.push_back(origin[d]);
  }
  for (size_t j = 0; j < part().space.size(); ++j) {
    const bool column = j == part().columns();
    const Expr at = column ? column_ : part().is_group(j) ? groups_[j] : space_[part_][j].begin;
    const Expr from_window = column ? column_ - first_column() : part().is_group(j) ? groups_[j] : Expr(0);
    place.left = place.left + (plan_.stage_left ? from_window : at) * Expr(left_stride(j));
    place.source = place.source + at * Expr(part().left.flat_space(left_strides_, j));
    if (is_row(part_, j)) place.result = place.result + at * Expr(part().result.flat_space(result_rows_, j));
  }
  for (size_t j = 0; j < part().reduction.size(); ++j) {
    place.source = place.source + reduction_[part_][j].begin * Expr(part().left.flat_reduction(left_strides_, j));
    if (!(plan_.stage_left && plan_.stage_right)) place.left = place.left + reduction_[part_][j].begin * Expr(left_step(j));
  }
  return place;
}

void RowContraction::rows(bool final, std::vector<Stmt>& out) {
  if (plan_.stage_left && part().empty() && !window_.step.empty() && window_.step.front() == 0) return;
  const auto dimensions = row_dimensions(true);
  Place place = first_place();
  place.left = lowering_.bind("left", place.left, out);
  place.result = lowering_.bind("result_row", place.result, out);
  row_dimension(dimensions, 0, place, final, out);
}

void RowContraction::row_dimension(const std::vector<RowDimension>& dimensions, size_t d, const Place& place, bool final,
                                   std::vector<Stmt>& out) {
  const RowDimension& dimension = dimensions[d];
  const size_t last = dimensions.size() - 1;
  if (d == last) {
    return along(dimension, plan_.tile.rows, out, [&](Expr steps, int count, std::vector<Stmt>& body) {
      tile_number_ = steps / Expr(plan_.tile.rows);
      micro({1, count, {}, dimension}, place.plus(dimension, steps), final, body);
    });
  }
  if (d + 1 == last && plan_.tile_lines > 1) {
    const RowDimension& pixels = dimensions[last];
    return along(dimension, plan_.tile_lines, out, [&](Expr steps, int count, std::vector<Stmt>& body) {
      micro({count, static_cast<int>(pixels.most), dimension, pixels}, place.plus(dimension, steps), final, body);
    });
  }
  const std::string name = lowering_.fresh("line");
  std::vector<Stmt> body;
  row_dimension(dimensions, d + 1, place.plus(dimension, loops::variable(name)), final, body);
  out.push_back(loops::loop(name, 0, dimension.count, 1, std::move(body)));
}

void RowContraction::along(const RowDimension& dimension, int64_t tile, std::vector<Stmt>& out, const TileBody& body) {
  over_tiles(lowering_, Expr(0), dimension.count, dimension.fixed() ? std::optional(dimension.most) : std::nullopt, tile, out, body);
}

// What follows the sums of all blocks, row by row.
void RowContraction::finish(std::vector<Stmt>& out) {
  const auto dimensions = row_dimensions(false);
  Place place = first_place();
  place.left = Expr(0);
  std::vector<std::string> names;
  for (const RowDimension& dimension : dimensions) {
    names.push_back(lowering_.fresh("row"));
    place = place.plus(dimension, loops::variable(names.back()));
  }
  const std::string v = lowering_.fresh("v");
  const Expr offset = loops::variable(v) * Expr(run_.lanes);
  const Expr sum = loops::load(plan_.partial, loops::Scalar::f32,
                               column_index(run_, partial_begin() + place.partial * Expr(width_) + offset));
  std::vector<Stmt> body{unrolled(v, run_.vectors, epilogue(place.result, column_ + offset, sum))};
  for (size_t d = dimensions.size(); d-- > 0;) body = {loops::loop(names[d], 0, dimensions[d].count, 1, std::move(body))};
  append(out, std::move(body));
}

// What is left of the reductions that took the rows of all tiles.
std::vector<Stmt> RowContraction::finish_reductions() {
  std::vector<Stmt> out;
  if (reductions_.empty()) return out;
  panels(out, [&](std::vector<Stmt>& panel) {
    for (const TileReduction& rider : reductions_)
      append(panel, rider.reduction->finish_tiles(run_, column_, column_ - ranges_.column_begin, rider.block, ranges_));
  });
  return out;
}

namespace {

// Blocks of `count` rows, one after another.
Stmt over_blocks(Lowering& lowering, const Ranges& ranges, int64_t count, bool even,
                 const std::function<std::vector<Stmt>(const Ranges& block)>& body) {
  const std::string rows = lowering.fresh("rows");
  Ranges block = ranges;
  const auto first = loops::bounds_of(ranges.row_begin), last = loops::bounds_of(ranges.row_end);
  block.row_begin = first && last ? loops::bounded_variable(rows, first->first, last->second - 1) : loops::variable(rows);
  block.row_end = block.row_begin + Expr(count);
  if (even) block.rows = count;
  else block.row_end = loops::binary(loops::BinaryOp::minimum, block.row_end, ranges.row_end), block.rows = std::nullopt;
  return loops::loop(rows, ranges.row_begin, ranges.row_end, count, body(block));
}

// `begins_run`: whether no task before has staged the first chunk; absent: none ever does.
std::vector<Stmt> lower_task(Lowering& lowering, const Stage& stage, const Ranges& ranges, const ContractionPlan& plan,
                             const std::vector<TileReduction>& reductions, const Expr& begins_run) {
  RowContraction task(lowering, stage, ranges, plan, reductions);
  std::vector<Stmt> out;
  if (plan.rows_per_chunk == 0) {
    out = task.run();
  } else {
    const ContractionPlan chunk = plan.chunk();
    const Expr rows = plan.rows_per_chunk, end = begins_run ? ranges_of(lowering, stage.space(), Region{}).row_end : ranges.row_end;
    if (plan.stage_ahead) {
      Ranges first = ranges;
      first.row_end = first.row_begin + rows, first.rows = plan.rows_per_chunk;
      out = RowContraction(lowering, stage, first, chunk, {}).stage_chunk();
      if (begins_run) out = {loops::conditional(begins_run, std::move(out), loops::Frequency::rare)};
    }
    out.push_back(over_blocks(lowering, ranges, plan.rows_per_chunk, true, [&](const Ranges& block) {
      const Expr next = loops::binary(loops::BinaryOp::minimum, block.row_end, end - rows);
      return RowContraction(lowering, stage, block, chunk, reductions, {block.row_begin == ranges.row_begin, next}).run();
    }));
  }
  append(out, task.finish_reductions());
  return out;
}

}  // namespace

std::vector<Stmt> lower_row_contraction(Lowering& lowering, const Stage& stage, const Region& region, const ContractionPlan& plan,
                                        const std::vector<TileReduction>& reductions) {
  const Ranges ranges = ranges_of(lowering, stage.space(), region);
  if (!region.all_rows || (ranges.rows && *ranges.rows <= plan.rows_per_task))
    return lower_task(lowering, stage, ranges, plan, reductions, region.begins_run);
  BNC_CHECK(reductions.empty(), "a reduction by tiles of one task");
  // One task for everything: its blocks one after another.
  const bool even = ranges.rows && *ranges.rows % plan.rows_per_task == 0;
  return {over_blocks(lowering, ranges, plan.rows_per_task, even,
                      [&](const Ranges& block) { return lower_task(lowering, stage, block, plan, {}, {}); })};
}

std::vector<Stmt> lower_slice(Lowering& lowering, const Stage& stage, const Region& region, const ContractionPlan& plan,
                              const Expr& slice) {
  return RowContraction(lowering, stage, ranges_of(lowering, stage.space(), region), plan, {}, {}, slice).run();
}

bool tiles_are_final(const Node& node, const ContractionPlan& plan) {
  const ContractionForm form = form_of(node);
  return plan.partial < 0 && form.parts.size() == 1 && !form.parts.front().empty() && form.groups(0) == 1 &&
         !form.parts.front().left_has_columns();
}

}  // namespace bnc::lower
