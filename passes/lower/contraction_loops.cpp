// The loops of a contraction over rows within one task.
//
//   where both operands are staged, for blocks of the reduction: stage left and right; else stage left at most
//     for parts, groups and panels of columns (and else for blocks of the reduction)
//       for rows: a register tile that sums over the block
//
// Without blocks the tile's sums are final, and what follows them is computed on the tile. With blocks they are added up
// in scratch, each block's sum by itself, and a pass over those finishes them.
#include <algorithm>

#include "passes/lower/contraction_window.h"
#include "passes/lower/elements.h"

namespace bnc::lower {
namespace {

using loops::LoopKind;

Stmt unrolled(const std::string& name, int64_t count, std::vector<Stmt> body) { return loops::loop(name, 0, Expr(count), 1, std::move(body), LoopKind::unrolled); }

void append(std::vector<Stmt>& out, std::vector<Stmt> more) { out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end())); }

int64_t product(const Spans& spans, size_t first = 0) {
  int64_t count = 1;
  for (size_t j = first; j < spans.size(); ++j) count *= spans[j].most;
  return count;
}

class RowContraction {
 public:
  using Body = std::function<void(std::vector<Stmt>&)>;

  RowContraction(Lowering& lowering, const Stage& stage, const Ranges& ranges, const ContractionPlan& plan)
      : lowering_(lowering), stage_(stage), plan_(plan), node_(*stage.roots.front()), form_(form_of(node_)), ranges_(ranges), left_(viewed(lowering, node_.operands[0])),
        right_(viewed(lowering, node_.operands[1])), width_(static_cast<int64_t>(plan.tile.vectors) * lowering.target.float_lanes()), left_strides_(row_major(form_.left)) {
    flat_ = std::all_of(stage.roots.begin() + 1, stage.roots.end(), [&](const Node* root) { return operands_read_flat_rows(lowering, *root); });
    panels_ = ranges.columns ? (*ranges.columns + width_ - 1) / width_ : plan.columns_per_task / width_;
    result_rows_ = row_major(form_.result);
    for (int64_t& stride : result_rows_) stride /= *lowering.fixed(form_.result.back());
  }

  std::vector<Stmt> run() {
    std::vector<Stmt> out;
    find_spans(out);
    if (plan_.stage_right) {
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

 private:
  const FormPart& part() const { return form_.parts[part_]; }
  bool is_row(size_t p, size_t j) const { return j != form_.parts[p].columns() && !form_.parts[p].is_group(j); }

  // ---------------------------------------------------------------------------------------------- what a task owns

  // The spans of all dimensions, from the flattened rows and the columns of the region.
  void find_spans(std::vector<Stmt>& out) {
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
      result[d] = d < split ? Span{at, Expr(1), 1} : Span{at, lowering_.bind("count", count, out), ranges_.rows ? *ranges_.rows / inner : plan_.split_block};
    }
    for (const FormPart& part : form_.parts) {
      Spans space;
      for (size_t j = 0; j < part.space.size(); ++j) {
        const size_t d = result_dimension(part, j);
        const bool own = part.space.back() != form_.result.back();   // columns other than the result's are all the task's
        if (j == part.columns() && !own) space.push_back({ranges_.column_begin, ranges_.column_end - ranges_.column_begin, ranges_.columns.value_or(plan_.columns_per_task)});
        else if (d == rows || d > split) space.push_back({Expr(0), lowering_.extent(part.space[j]), *lowering_.fixed(part.space[j])});
        else space.push_back(scaled(result[d], part.result.space[d][j], part.result.offset[d]));
      }
      space_.push_back(std::move(space));
      reduction_.emplace_back();
      for (const Dim& dim : part.reduction) reduction_.back().push_back({Expr(0), lowering_.extent(dim), lowering_.fixed(dim).value_or(1)});
    }
  }

  // The positions q at which scale*q + offset lies in a span that begins at a multiple of the scale.
  static Span scaled(const Span& span, int64_t scale, int64_t offset) {
    if (scale == 1 && offset == 0) return span;
    return {span.begin / Expr(scale), (span.count + Expr(scale - 1 - offset)) / Expr(scale), (span.most + scale - 1 - offset) / scale};
  }

  // Loops over blocks of the leading reduction dimensions of the current part.
  void blocks(std::vector<Stmt>& out, const Body& body) { block_dimension(0, out, body); }
  void block_dimension(int d, std::vector<Stmt>& out, const Body& body) {
    if (d == plan_.blocked_reduction) return body(out);
    const bool last = d + 1 == plan_.blocked_reduction;
    const int64_t step = last ? plan_.reduction_block : 1;
    const Span whole = reduction_[part_][d];
    const std::string name = lowering_.fresh("block");
    const Expr begin = loops::variable(name);
    const auto fixed = loops::as_integer(whole.count);
    std::vector<Stmt> inner;
    if (fixed && *fixed % step == 0) reduction_[part_][d] = {begin, Expr(step), step};
    else reduction_[part_][d] = {begin, lowering_.bind("length", loops::binary(loops::BinaryOp::minimum, Expr(step), whole.count - begin), inner), step};
    block_dimension(d + 1, inner, body);
    reduction_[part_][d] = whole;
    out.push_back(loops::loop(name, 0, whole.count, step, std::move(inner)));
  }

  // Parts, groups and column steps, one after another.
  void panels(std::vector<Stmt>& out, const Body& body) {
    for (part_ = 0; part_ < form_.parts.size(); ++part_) {
      groups_.assign(part().space.size(), Expr(0));
      group_dimension(0, Expr(0), out, body);
    }
    part_ = 0;
  }
  void group_dimension(size_t j, Expr number, std::vector<Stmt>& out, const Body& body) {
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
  void own_columns(Ranges& ranges) const {
    ranges.column_begin = Expr(0);
    ranges.column_end = lowering_.extent(part().space.back());
    ranges.columns = lowering_.fixed(part().space.back());
  }

  // ------------------------------------------------------------------------------------------------------- staging

  void stage_left(std::vector<Stmt>& out) {
    if (!plan_.stage_left) return;
    window_ = window_of(form_, space_, reduction_, lowering_.target.float_lanes());
    size_t p = 0;
    while (p + 1 < form_.parts.size() && form_.parts[p].empty()) ++p;
    if (!form_.parts[p].empty()) stage_window(lowering_, node_.operands[0], window_, window_.origin(form_.parts[p], space_[p], reduction_[p]), plan_.window, out);
  }

  // Panels [part][group][panel][reduction][width] of the block's rows of the right operand.
  void stage_right(std::vector<Stmt>& out) {
    std::vector<int64_t> rows = row_major(form_.right);
    for (int64_t& stride : rows) stride /= *lowering_.fixed(form_.right.back());
    rows.back() = 0;
    const bool flat = reads_flat_rows(lowering_, right_);
    panels(out, [&](std::vector<Stmt>& panel) {
      const FormPart& part = this->part();
      const size_t last = form_.right.size() - 1;
      const std::string v = lowering_.fresh("v");
      const Expr at = column_ + loops::variable(v) * Expr(run_.lanes);
      Expr row = Expr(part.right.flat_offset(rows)), place = 0, channel = at * Expr(part.right.space[last][part.columns()]) + Expr(part.right.offset[last]);
      for (size_t j = 0; j < part.columns(); ++j) channel = channel + groups_[j] * Expr(part.right.space[last][j]);
      std::vector<std::string> names;
      const Spans& spans = reduction_[part_];
      for (size_t j = 0; j < spans.size(); ++j) {
        names.push_back(lowering_.fresh("k"));
        row = row + (spans[j].begin + loops::variable(names[j])) * Expr(part.right.flat_reduction(rows, j));
        place = place + loops::variable(names[j]) * Expr(product(spans, j + 1) * width_);
      }
      std::vector<Stmt> body;
      const Expr mask = column_predicate(lowering_, run_, at, body);
      Elements elements(lowering_, body, {}, mask);
      if (run_.lanes > 1) channel = loops::ramp(channel, part.right.space[last][part.columns()], run_.lanes);
      Expr x = elements.value(right_, flat_index(lowering_, right_.type().shape, flat, row, channel));
      if (x->type.lanes != run_.lanes) x = loops::broadcast(x, run_.lanes);
      const Expr target = panel_begin() + place + loops::variable(v) * Expr(run_.lanes);
      body.push_back(loops::store(plan_.panels, column_index(run_, target), x, mask));
      body = {unrolled(v, run_.vectors, std::move(body))};
      for (size_t j = spans.size(); j-- > 0;) body = {loops::loop(names[j], 0, spans[j].count, 1, std::move(body))};
      append(panel, std::move(body));
    });
  }

  // Where the current panel begins, at the current column: in the packed or the staged right operand.
  Expr panel_begin() const {
    const Spans& spans = reduction_[part_];
    int64_t depth = 1, before = 0;
    for (const Dim& dim : part().reduction) depth *= lowering_.fixed(dim).value_or(1);
    if (plan_.stage_right) depth = product(spans);
    for (size_t p = 0; p < part_; ++p) before += panel_elements(p);
    return Expr(before) + group_ * Expr(panel_count(part_) * depth * width_) + within_panels(depth, plan_.stage_right ? column_ - first_column() : column_);
  }
  int64_t panel_elements(size_t p) const {
    const int64_t depth = plan_.stage_right ? product(reduction_[p]) : packed_depth(form_.parts[p]);
    return form_.groups(p) * panel_count(p) * depth * width_;
  }
  // Panels of a group: staged those of the task, packed all.
  int64_t panel_count(size_t p) const { return plan_.stage_right ? panels_of(p) : (*lowering_.fixed(form_.parts[p].space.back()) + width_ - 1) / width_; }
  int64_t packed_depth(const FormPart& part) const {
    int64_t depth = 1;
    for (const Dim& dim : part.reduction) depth *= dim.factor;
    return depth;
  }
  Expr first_column() const { return part().space.back() == form_.result.back() ? ranges_.column_begin : Expr(0); }
  // Panels of `depth` lines each: where the line of the column begins, and the column's place in it.
  Expr within_panels(int64_t depth, Expr column) const {
    const bool whole = run_.lanes > 1 && run_.vectors == plan_.tile.vectors;
    const Expr begin = whole ? column : column / Expr(width_) * Expr(width_);
    return begin * Expr(depth) + (column - begin);
  }

  // --------------------------------------------------------------------------------------------------- partial sums

  int64_t partial_rows(size_t p) const {
    int64_t count = 1;
    for (size_t j = 0; j < space_[p].size(); ++j) count *= is_row(p, j) ? space_[p][j].most : 1;
    return count;
  }
  Expr all_partial_rows() const {
    int64_t count = 0;
    for (size_t p = 0; p < form_.parts.size(); ++p) count += partial_rows(p) * form_.groups(p) * panels_of(p);
    return count;
  }
  int64_t panels_of(size_t p) const {
    return form_.parts[p].space.back() == form_.result.back() ? panels_ : (*lowering_.fixed(form_.parts[p].space.back()) + width_ - 1) / width_;
  }
  // Where the current panel's sums begin.
  Expr partial_begin() const {
    const int64_t rows = partial_rows(part_);
    if (!plan_.stage_right) return within_panels(0, column_);
    int64_t before = 0;
    for (size_t p = 0; p < part_; ++p) before += partial_rows(p) * form_.groups(p) * panels_of(p) * width_;
    return Expr(before) + group_ * Expr(panels_of(part_) * rows * width_) + within_panels(rows, column_ - first_column());
  }
  void clear(Expr count, std::vector<Stmt>& out) {
    const int lanes = lowering_.target.float_lanes();
    const std::string z = lowering_.fresh("z");
    out.push_back(loops::loop(z, 0, count, lanes, {loops::store(plan_.partial, loops::ramp(loops::variable(z), 1, lanes), loops::constant_of({loops::Scalar::f32, lanes}, 0))}));
  }

  // ----------------------------------------------------------------------------------------------------------- rows

  // Where a tile begins: element of left, flattened row of the result, row of the partial sums.
  struct Place {
    Expr left, result, partial;
    Place plus(const RowDimension& dimension, Expr steps) const {
      return {left + steps * Expr(dimension.left), result + steps * Expr(dimension.result), partial + steps * Expr(dimension.partial)};
    }
  };

  std::vector<RowDimension> row_dimensions(bool with_left) const {
    std::vector<RowDimension> rows;
    int64_t partial = partial_rows(part_);
    for (size_t j = 0; j < part().columns(); ++j) {
      if (!is_row(part_, j)) continue;
      const Span& span = space_[part_][j];
      partial /= std::max<int64_t>(span.most, 1);
      rows.push_back({span.count, span.most, with_left ? left_stride(j) : 0, part().result.flat_space(result_rows_, j), plan_.partial >= 0 ? partial : 0});
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

  int64_t left_stride(size_t j) const { return plan_.stage_left ? window_.space_stride(part(), j) : part().left.flat_space(left_strides_, j); }
  int64_t left_step(size_t j) const { return plan_.stage_left ? window_.reduction_stride(part(), j) : part().left.flat_reduction(left_strides_, j); }

  Place first_place() const {
    Place place{plan_.stage_left ? window_.part_offset(part()) : part().left.flat_offset(left_strides_), part().result.flat_offset(result_rows_), 0};
    for (size_t j = 0; j < part().space.size(); ++j) {
      const bool column = j == part().columns();
      const Expr at = column ? column_ : part().is_group(j) ? groups_[j] : space_[part_][j].begin;
      const Expr from_window = column ? column_ - first_column() : part().is_group(j) ? groups_[j] : Expr(0);
      place.left = place.left + (plan_.stage_left ? from_window : at) * Expr(left_stride(j));
      if (is_row(part_, j)) place.result = place.result + at * Expr(part().result.flat_space(result_rows_, j));
    }
    for (size_t j = 0; j < part().reduction.size(); ++j) {
      if (!(plan_.stage_left && plan_.stage_right)) place.left = place.left + reduction_[part_][j].begin * Expr(left_step(j));
    }
    return place;
  }

  void rows(bool final, std::vector<Stmt>& out) {
    if (plan_.stage_left && part().empty() && !window_.step.empty() && window_.step.front() == 0) return;
    const auto dimensions = row_dimensions(true);
    Place place = first_place();
    place.left = lowering_.bind("left", place.left, out);
    place.result = lowering_.bind("result_row", place.result, out);
    row_dimension(dimensions, 0, place, final, out);
  }

  void row_dimension(const std::vector<RowDimension>& dimensions, size_t d, const Place& place, bool final, std::vector<Stmt>& out) {
    const RowDimension& dimension = dimensions[d];
    const size_t last = dimensions.size() - 1;
    if (d == last) {
      return along(dimension, plan_.tile.rows, out, [&](Expr steps, int count, std::vector<Stmt>& body) { micro({1, count, {}, dimension}, place.plus(dimension, steps), final, body); });
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

  void along(const RowDimension& dimension, int64_t tile, std::vector<Stmt>& out, const TileBody& body) {
    over_tiles(lowering_, Expr(0), dimension.count, dimension.fixed() ? std::optional(dimension.most) : std::nullopt, tile, out, body);
  }

  // ----------------------------------------------------------------------------------------------------- the tile

  // Rows of a tile: `lines` of `pixels` each.
  struct TileShape {
    int lines, pixels;
    RowDimension line, pixel;

    int rows() const { return lines * pixels; }
    Expr distance(Expr r, int64_t RowDimension::*of) const {
      if (lines == 1) return r * Expr(pixel.*of);
      return r / Expr(pixels) * Expr(line.*of) + r % Expr(pixels) * Expr(pixel.*of);
    }
  };

  void micro(const TileShape& tile, const Place& place, bool final, std::vector<Stmt>& out) {
    const loops::Type type{loops::Scalar::f32, run_.lanes};
    const int vectors = run_.vectors, rows = tile.rows();
    const std::string acc = lowering_.fresh("acc"), panel = lowering_.fresh("panel"), r = lowering_.fresh("r"), v = lowering_.fresh("v");
    const Expr row = loops::variable(r), vector = loops::variable(v), position = row * Expr(vectors) + vector;
    out.push_back(loops::declare_registers(acc, type, static_cast<int64_t>(rows) * vectors));
    out.push_back(loops::declare_registers(panel, type, vectors));
    out.push_back(unrolled(v, rows * vectors, {loops::write_register(acc, vector, loops::constant_of(type, 0))}));
    if (!part().empty()) {
      const Expr left_begin = lowering_.bind("left", place.left, out), right_begin = lowering_.bind("right", right_first(), out);
      Expr left = left_begin, right = right_begin;
      std::vector<ReductionDimension> dimensions;
      const Spans& spans = reduction_[part_];
      for (size_t j = 0; j < spans.size(); ++j) dimensions.push_back({spans[j].count, spans[j].most, left_step(j)});
      dimensions = merged_reduction(std::move(dimensions));
      std::vector<std::string> names;
      int64_t inner = product(spans);
      for (const ReductionDimension& dimension : dimensions) {
        inner /= dimension.most;
        names.push_back(lowering_.fresh("k"));
        left = left + loops::variable(names.back()) * Expr(dimension.left);
        right = right + loops::variable(names.back()) * Expr(inner * width_);
      }
      std::vector<Stmt> step;
      const Expr panel_index = right + vector * Expr(run_.lanes);
      step.push_back(unrolled(v, vectors, {loops::write_register(panel, vector, loops::load(right_buffer(), loops::Scalar::f32, column_index(run_, panel_index)))}));
      step.push_back(unrolled(r, rows, products(tile, left, acc, panel, r, v)));
      for (size_t d = dimensions.size(); d-- > 0;) step = {loops::loop(names[d], 0, dimensions[d].count, 1, std::move(step))};
      append(out, std::move(step));
    }
    const Expr sum = loops::read_register(acc, type, position);
    const Expr result_row = place.result + tile.distance(row, &RowDimension::result), column = column_ + vector * Expr(run_.lanes);
    if (final) {
      out.push_back(unrolled(r, rows, {unrolled(v, vectors, epilogue(result_row, column, sum))}));
      return;
    }
    const Expr target = column_index(run_, partial_begin() + (place.partial + tile.distance(row, &RowDimension::partial)) * Expr(width_) + vector * Expr(run_.lanes));
    out.push_back(unrolled(r, rows, {unrolled(v, vectors, {loops::store(plan_.partial, target, loops::load(plan_.partial, loops::Scalar::f32, target) + sum)})}));
  }

  // One row's multiply-adds: an element of left times the panel's vectors; depthwise a vector of left for each.
  std::vector<Stmt> products(const TileShape& tile, Expr left, const std::string& acc, const std::string& panel, const std::string& r, const std::string& v) {
    const loops::Type type{loops::Scalar::f32, run_.lanes};
    const Expr row = loops::variable(r), vector = loops::variable(v), position = row * Expr(run_.vectors) + vector;
    const int buffer = plan_.stage_left ? plan_.window : lowering_.buffer_of(left_);
    left = left + tile.distance(row, &RowDimension::left);
    std::vector<Stmt> out;
    Expr a;
    if (part().left_has_columns()) {
      const int64_t stride = left_stride(part().columns());
      left = left + vector * Expr(run_.lanes * stride);
      a = loops::load(buffer, loops::Scalar::f32, run_.lanes == 1 ? left : loops::ramp(left, stride, run_.lanes));
    } else {
      a = loops::broadcast(lowering_.bind("a", loops::load(buffer, loops::Scalar::f32, left), out), run_.lanes);
    }
    out.push_back(unrolled(v, run_.vectors, {loops::write_register(acc, position, loops::fma(a, loops::read_register(panel, type, vector), loops::read_register(acc, type, position)))}));
    return out;
  }

  int right_buffer() const { return plan_.stage_right ? plan_.panels : plan_.packed_right; }
  Expr right_first() const {
    Expr begin = panel_begin();
    if (plan_.stage_right) return begin;
    int64_t inner = packed_depth(part());
    for (size_t j = 0; j < part().reduction.size(); ++j) {
      inner /= part().reduction[j].factor;
      begin = begin + reduction_[part_][j].begin * Expr(inner * width_);
    }
    return begin;
  }

  // Stores the result's elements of one row, from a vector of columns on, and whatever is computed from them.
  std::vector<Stmt> epilogue(Expr row, Expr column, Expr sum) {
    std::vector<Stmt> body;
    const Expr predicate = column_predicate(lowering_, run_, column, body);
    const size_t last = form_.result.size() - 1;
    const int64_t scale = part().result.space[last][part().columns()];
    Expr place = column * Expr(scale) + Expr(part().result.offset[last]);
    for (size_t j = 0; j < part().columns(); ++j) place = place + groups_[j] * Expr(part().result.space[last][j]);
    if (run_.lanes > 1) place = loops::ramp(place, scale, run_.lanes);
    Elements elements(lowering_, body, flat_index(lowering_, form_.result, flat_, std::move(row), place), predicate);
    for (Node* root : stage_.roots) {
      const Expr value = elements.bind(root->results[0].name, root == &node_ ? sum : elements.compute(*root, elements.index()));
      elements.define(root->result(), value);
      elements.store(root->result(), value);
    }
    return body;
  }

  // What follows the sums of all blocks, row by row.
  void finish(std::vector<Stmt>& out) {
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
    const Expr sum = loops::load(plan_.partial, loops::Scalar::f32, column_index(run_, partial_begin() + place.partial * Expr(width_) + offset));
    std::vector<Stmt> body{unrolled(v, run_.vectors, epilogue(place.result, column_ + offset, sum))};
    for (size_t d = dimensions.size(); d-- > 0;) body = {loops::loop(names[d], 0, dimensions[d].count, 1, std::move(body))};
    append(out, std::move(body));
  }

  Lowering& lowering_;
  const Stage& stage_;
  const ContractionPlan& plan_;
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
  // The current part, group and column step.
  size_t part_ = 0;
  Index groups_;
  Expr group_;
  ColumnRun run_;
  Expr column_;
};

}  // namespace

std::vector<Stmt> lower_row_contraction(Lowering& lowering, const Stage& stage, const Region& region, const ContractionPlan& plan) {
  const Ranges ranges = ranges_of(lowering, stage.space(), region);
  if (!region.all_rows || (ranges.rows && *ranges.rows <= plan.rows_per_task)) return RowContraction(lowering, stage, ranges, plan).run();
  // One task for everything: its blocks one after another.
  const std::string rows = lowering.fresh("rows");
  Ranges block = ranges;
  block.row_begin = loops::variable(rows);
  block.row_end = loops::binary(loops::BinaryOp::minimum, block.row_begin + Expr(plan.rows_per_task), ranges.row_end);
  block.rows = ranges.rows && *ranges.rows % plan.rows_per_task == 0 ? std::optional(plan.rows_per_task) : std::nullopt;
  return {loops::loop(rows, 0, ranges.row_end, plan.rows_per_task, RowContraction(lowering, stage, block, plan).run())};
}

}  // namespace bnc::lower
