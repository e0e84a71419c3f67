// Operands copied to scratch, and the panels of the right one.
#include "passes/lower/row_contraction.h"

namespace bnc::lower {

void RowContraction::stage_left(std::vector<Stmt>& out) {
  if (!plan_.stage_left && !plan_.guard_left) return;
  window_ = window_of(form_, space_, reduction_, lowering_.target);
  if (plan_.guard_left) {   // read where it lies: the window only tells where the edges are
    guarded_ = window_.edges();
    return;
  }
  if (!plan_.long_reduction && form_.parts.size() == 1 && !part().left_has_columns()) guarded_ = window_.line_edges();
  plan_.stage_ahead ? find_next(out) : copy_window(out);
}

void RowContraction::copy_window(std::vector<Stmt>& out) {
  size_t p = 0;
  while (p + 1 < form_.parts.size() && form_.parts[p].empty()) ++p;
  if (!form_.parts[p].empty())
    stage_window(lowering_, node_.operands[0], window_, window_.origin(form_.parts[p], space_[p], reduction_[p]), plan_.window,
                 window_begin(), out);
}

// Panels [part][group][panel][reduction][width] of the block's rows of the right operand.
void RowContraction::stage_right(std::vector<Stmt>& out) {
  if (!plan_.stage_right) return;
  std::vector<int64_t> rows = row_major(form_.right);
  for (int64_t& stride : rows) stride /= *lowering_.fixed(form_.right.back());
  rows.back() = 0;
  const bool flat = reads_flat_rows(lowering_, right_);
  panels(out, [&](std::vector<Stmt>& panel) {
    const FormPart& part = this->part();
    const size_t last = form_.right.size() - 1;
    const std::string v = lowering_.fresh("v");
    const Expr at = column_ + loops::variable(v) * Expr(run_.lanes);
    Expr row = Expr(part.right.flat_offset(rows)), place = 0,
         channel = at * Expr(part.right.space[last][part.columns()]) + Expr(part.right.offset[last]);
    for (size_t j = 0; j < part.columns(); ++j) channel = channel + groups_[j] * Expr(part.right.space[last][j]);
    std::vector<std::string> names;
    const Spans& spans = reduction_[part_];
    for (size_t j = 0; j < spans.size(); ++j) {
      names.push_back(lowering_.fresh("k"));
      row = row + (spans[j].begin + loops::variable(names[j])) * Expr(part.right.flat_reduction(rows, j));
      place = place + loops::variable(names[j]) * Expr(elements_of(spans, j + 1) * width_);
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
Expr RowContraction::panel_begin() const {
  const Spans& spans = reduction_[part_];
  int64_t depth = 1, before = 0;
  for (const Dim& dim : part().reduction) depth *= lowering_.fixed(dim).value_or(1);
  if (plan_.stage_right) depth = elements_of(spans);
  for (size_t p = 0; p < part_; ++p) before += panel_elements(p);
  return Expr(before) + group_ * Expr(panel_count(part_) * depth * width_) +
         within_panels(depth, plan_.stage_right ? column_ - first_column() : column_);
}

int64_t RowContraction::panel_elements(size_t p) const {
  const int64_t depth = plan_.stage_right ? elements_of(reduction_[p]) : packed_depth(form_.parts[p]);
  return form_.groups(p) * panel_count(p) * depth * width_;
}

int64_t RowContraction::packed_depth(const FormPart& part) const {
  int64_t depth = 1;
  for (const Dim& dim : part.reduction) depth *= dim.factor;
  return depth;
}

// Panels of `depth` lines each: where the line of the column begins, and the column's place in it.
Expr RowContraction::within_panels(int64_t depth, Expr column) const {
  const bool whole = run_.lanes > 1 && run_.vectors == plan_.tile.vectors;
  const Expr begin = whole ? column : column / Expr(width_) * Expr(width_);
  return begin * Expr(depth) + (column - begin);
}

int RowContraction::right_buffer() const {
  return plan_.stage_right ? plan_.panels : plan_.packed_right >= 0 ? plan_.packed_right : lowering_.buffer_of(right_);
}

Expr RowContraction::right_first() const {
  if (reads_right()) {
    const auto strides = row_major(form_.right);
    Expr begin = Expr(part().right.flat_offset(strides)) + column_;
    for (size_t j = 0; j < part().reduction.size(); ++j)
      begin = begin + reduction_[part_][j].begin * Expr(part().right.flat_reduction(strides, j));
    return begin;
  }
  Expr begin = panel_begin();
  if (plan_.stage_right) return begin;
  int64_t inner = packed_depth(part());
  for (size_t j = 0; j < part().reduction.size(); ++j) {
    inner /= part().reduction[j].factor;
    begin = begin + reduction_[part_][j].begin * Expr(inner * width_);
  }
  return begin;
}

}  // namespace bnc::lower
