#include "passes/lower/contraction_window.h"

#include <algorithm>
#include <numeric>

#include "ir/integers.h"
#include "passes/lower/elements.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {

size_t result_dimension(const FormPart& part, size_t j) {
  size_t d = 0;
  while (part.result.space[d][j] == 0) ++d;
  return d;
}

int64_t elements_of(const Spans& spans, size_t first) {
  int64_t count = 1;
  for (size_t j = first; j < spans.size(); ++j) count *= spans[j].most;
  return count;
}

int64_t Window::space_stride(const FormPart& part, size_t j) const {
  int64_t sum = 0;
  for (size_t d = 0; d < step.size(); ++d) sum += part.left.space[d][j] / step[d] * stride[d];
  return sum;
}

int64_t Window::reduction_stride(const FormPart& part, size_t j) const {
  int64_t sum = 0;
  for (size_t d = 0; d < step.size(); ++d) sum += part.left.reduction[d][j] / step[d] * stride[d];
  return sum;
}

int64_t Window::part_offset(const FormPart& part) const {
  int64_t sum = 0;
  for (size_t d = 0; d < step.size(); ++d) sum += (part.left.offset[d] - first[d]) / step[d] * stride[d];
  return sum;
}

std::vector<size_t> Window::edges() const {
  std::vector<size_t> dimensions;
  for (size_t d = 0; d + 1 < inside.size(); ++d) {
    if (!inside[d]) dimensions.push_back(d);
  }
  return dimensions;
}

std::vector<size_t> Window::line_edges() const {
  std::vector<size_t> lines = edges();
  if (lines.empty() || lines.back() != inside.size() - 2) return {};
  lines.pop_back();
  return lines;
}

std::vector<int64_t> steps_along(const std::vector<size_t>& dimensions, const std::vector<std::vector<int64_t>>& slopes, size_t j) {
  std::vector<int64_t> steps;
  for (size_t d : dimensions) steps.push_back(slopes[d][j]);
  return steps;
}

int64_t Window::vectors(int lanes) const {
  int64_t count = extent.back() / lanes;
  for (size_t d = 0; d + 1 < extent.size(); ++d) count *= extent[d];
  return count;
}

Index Window::origin(const FormPart& part, const Spans& space, const Spans& reduction) const {
  Index index;
  for (size_t d = 0; d < step.size(); ++d) {
    Expr position = first[d];
    for (size_t j = 0; j < space.size(); ++j) position = position + space[j].begin * Expr(part.left.space[d][j]);
    for (size_t j = 0; j < reduction.size(); ++j) position = position + reduction[j].begin * Expr(part.left.reduction[d][j]);
    index.push_back(position);
  }
  return index;
}

// Whether the positions of dimension d that the part reads, of spans of known length and of all others alike, exist in left.
static bool stays_inside(const ContractionForm& form, const FormPart& part, const Spans& space, const Spans& reduction, size_t d) {
  const Dim& extent = form.left[d];
  std::vector<const Dim*> dims;
  int64_t last = part.left.offset[d], slopes_sum = 0;
  bool known = last >= 0 && !extent.batch;
  auto reach = [&](const Spans& spans, const Shape& shape, const std::vector<int64_t>& slopes) {
    for (size_t j = 0; j < spans.size(); ++j) {
      if (slopes[j] == 0) continue;
      if (!spans[j].fixed()) return false;
      known = known && !shape[j].batch;
      last += slopes[j] * (shape[j].factor - 1);
      slopes_sum += slopes[j];
      dims.push_back(&shape[j]);
    }
    return true;
  };
  if (!reach(space, part.space, part.left.space[d]) || !reach(reduction, part.reduction, part.left.reduction[d])) return false;
  if (dims.size() == 1 && slopes_sum == 1 && part.left.offset[d] == 0 && *dims.front() == extent) return true;
  return known && last < extent.factor;
}

Window window_of(const ContractionForm& form, const std::vector<Spans>& space, const std::vector<Spans>& reduction,
                 const TargetDescription& target) {
  const size_t rank = form.left.size();
  Window window;
  window.first.assign(rank, INT64_MAX);
  window.step.assign(rank, 0);
  window.extent.assign(rank, 1);
  window.inside.assign(rank, true);
  for (size_t p = 0; p < form.parts.size(); ++p) {
    if (form.parts[p].empty()) continue;
    for (size_t d = 0; d < rank; ++d) window.first[d] = std::min(window.first[d], form.parts[p].left.offset[d]);
  }
  for (size_t p = 0; p < form.parts.size(); ++p) {
    const FormPart& part = form.parts[p];
    if (part.empty()) continue;
    for (size_t d = 0; d < rank; ++d) {
      int64_t last = part.left.offset[d] - window.first[d], step = last;
      auto reach = [&](const Spans& spans, const std::vector<int64_t>& slopes) {
        for (size_t j = 0; j < spans.size(); ++j) {
          BNC_CHECK(slopes[j] >= 0, "a window that runs backwards");
          last += slopes[j] * (spans[j].most - 1);
          if (spans[j].most > 1) step = std::gcd(step, slopes[j]);
        }
      };
      reach(space[p], part.left.space[d]);
      reach(reduction[p], part.left.reduction[d]);
      window.inside[d] = window.inside[d] && stays_inside(form, part, space[p], reduction[p], d);
      window.step[d] = std::gcd(window.step[d], step);
      window.extent[d] = std::max(window.extent[d], last + 1);   // in elements of the operand, until the step is known
    }
  }
  bool vectors = false;
  for (const FormPart& part : form.parts) vectors = vectors || part.left_has_columns();
  window.stride.assign(rank, 1);
  for (size_t d = 0; d < rank; ++d) {
    if (window.first[d] == INT64_MAX) window.first[d] = 0;
    window.step[d] = d + 1 == rank ? 1 : std::max<int64_t>(window.step[d], 1);
    window.extent[d] = (window.extent[d] - 1) / window.step[d] + 1;
  }
  for (size_t d = rank; d-- > 1;) {
    window.stride[d - 1] = window.stride[d] * window.extent[d];
    if (d != rank - 1) continue;
    if (vectors) window.stride[d - 1] = round_up(window.stride[d - 1], target.float_lanes());
    if (target.is_conflicting_stride(window.stride[d - 1])) window.stride[d - 1] += target.cache_line_floats();
  }
  int64_t apart = 1;   // columns in the window
  for (const FormPart& part : form.parts) if (part.left_has_columns()) apart = std::max(apart, window.space_stride(part, part.columns()));
  window.elements = window.stride[0] * window.extent[0] + 8 * target.float_lanes() * apart;
  return window;
}

// Whether steps of `inner` go on in `outer` in each guarded dimension.
template <typename Dimension>
static bool guarded_alike(const Dimension& outer, const Dimension& inner) {
  for (size_t g = 0; g < inner.guarded.size(); ++g) {
    if (outer.guarded[g] != inner.most * inner.guarded[g]) return false;
  }
  return true;
}

std::vector<RowDimension> merged_rows(std::vector<RowDimension> rows) {
  std::vector<RowDimension> merged;
  for (RowDimension& inner : rows) {
    if (inner.fixed() && inner.most == 1) continue;
    if (!merged.empty() && inner.fixed()) {
      RowDimension& outer = merged.back();
      if (outer.left == inner.most * inner.left && outer.result == inner.most * inner.result &&
          outer.partial == inner.most * inner.partial && guarded_alike(outer, inner)) {
        outer = {
            outer.count * Expr(inner.most), outer.most * inner.most, inner.left, inner.result, inner.partial, inner.source, inner.guarded};
        continue;
      }
    }
    merged.push_back(std::move(inner));
  }
  if (merged.empty()) merged.push_back(rows.empty() ? RowDimension{} : rows.back());
  return merged;
}

std::vector<ReductionDimension> merged_reduction(std::vector<ReductionDimension> dimensions) {
  BNC_CHECK(!dimensions.empty(), "a sum over no dimension");
  std::vector<ReductionDimension> merged;
  for (ReductionDimension& inner : dimensions) {
    const bool fixed = loops::as_integer(inner.count).has_value();
    if (fixed && inner.most == 1) continue;
    if (!merged.empty() && fixed && merged.back().left == inner.most * inner.left && guarded_alike(merged.back(), inner)) {
      merged.back() = {merged.back().count * Expr(inner.most),
                       merged.back().most * inner.most,
                       inner.left,
                       inner.right,
                       inner.left_source,
                       inner.right_source,
                       inner.guarded};
      continue;
    }
    merged.push_back(std::move(inner));
  }
  if (merged.empty()) merged.push_back(dimensions.back());
  return merged;
}

namespace {

Expr smaller(Expr a, Expr b) { return loops::binary(loops::BinaryOp::minimum, std::move(a), std::move(b)); }
Expr larger(Expr a, Expr b) { return loops::binary(loops::BinaryOp::maximum, std::move(a), std::move(b)); }

// Fills a window line by line, in the order of its memory: what a vector of zeros writes too much, the next line overwrites.
class Staging {
 public:
  Staging(Lowering& lowering, Value operand, const Window& window, const Index& origin, int buffer)
      : lowering_(lowering),
        shape_(operand.type().shape),
        value_(viewed(lowering, operand)),
        window_(window),
        origin_(origin),
        buffer_(buffer),
        line_(window.step.size() - 2),
        pixel_(line_),
        channel_(window.step.size() - 1),
        lanes_(lowering.target.float_lanes()) {
    while (line_ > 0 && is_whole(line_) && window.inside[line_ - 1] && window.step[line_ - 1] == 1) --line_;
  }

  void run(Expr begin, std::vector<Stmt>& out) {
    for (size_t d = 0; d < origin_.size(); ++d) origin_[d] = lowering_.bind("origin", origin_[d], out);
    dimension(0, Expr(0), std::move(begin), Expr(), out);
  }

 private:
  bool is_whole(size_t d) const { return window_.inside[d] && window_.step[d] == 1 && lowering_.fixed(shape_[d]) == window_.extent[d]; }

  // Loops over dimension d and those within. `row` is the flattened row of the operand so far, `place` the position in the
  // window, `inside` whether all indices so far lie within the operand (absent: yes).
  void dimension(size_t d, Expr row, Expr place, Expr inside, std::vector<Stmt>& out) {
    if (d == line_) return line(row, place, inside, out);
    const std::string name = lowering_.fresh("w");
    std::vector<Stmt> body;
    const Expr at = origin_[d] + loops::variable(name) * Expr(window_.step[d]), extent = lowering_.extent(shape_[d]);
    if (!window_.inside[d]) inside = lowering_.bind("inside", both(inside, both(at >= Expr(0), at < extent)), body);
    dimension(d + 1, (row + at) * lowering_.extent(shape_[d + 1]), place + loops::variable(name) * Expr(window_.stride[d]), inside, body);
    out.push_back(loops::loop(name, 0, Expr(window_.extent[d]), 1, std::move(body)));
  }

  // One line of pixels: zeros, those within the operand, zeros. What is whole from dimension line_ on is one long line.
  void line(Expr row, Expr place, Expr inside, std::vector<Stmt>& out) {
    Expr first = origin_[line_], extent = lowering_.extent(shape_[line_]), count = window_.extent[line_];
    for (size_t d = line_ + 1; d <= pixel_; ++d) {
      row = row * Expr(window_.extent[d]);
      for (Expr* x : {&first, &extent, &count}) *x = *x * Expr(window_.extent[d]);
    }
    const Expr step = window_.step[pixel_];
    auto clamp = [&](Expr x) { return larger(Expr(0), smaller(std::move(x), count)); };
    Expr low = 0, high = count;
    if (!window_.inside[line_]) {
      low = clamp((step - Expr(1) - first) / step);
      high = larger(low, clamp((extent - first + step - Expr(1)) / step));
    }
    if (inside) {
      low = loops::select(inside, low, Expr(0));
      high = loops::select(inside, high, Expr(0));
    }
    low = lowering_.bind("low", low, out);
    high = lowering_.bind("high", high, out);
    place = lowering_.bind("line", place, out);
    const Expr stride = window_.stride[pixel_];
    zeros(place, low * stride, out);
    zeros(place + high * stride, (count - high) * stride, out);
    row = row + first;
    const bool dense = window_.step[pixel_] == 1 && lowering_.fixed(shape_[channel_]) == window_.stride[pixel_] &&
                       window_.extent[channel_] == window_.stride[pixel_];
    if (is_stored(lowering_, value_) && dense) copy((row + low) * stride, place + low * stride, (high - low) * stride, out);
    else pixels(row, place, low, high, out);
  }

  void zeros(Expr place, Expr count, std::vector<Stmt>& out) {
    if (loops::is_constant(count, 0)) return;
    const std::string z = lowering_.fresh("z");
    const Expr index = loops::ramp(place + loops::variable(z), 1, lanes_);
    out.push_back(loops::loop(z, 0, count, lanes_, {loops::store(buffer_, index, loops::constant_of({loops::Scalar::f32, lanes_}, 0))}));
  }

  // A run of adjacent elements.
  void copy(Expr from, Expr to, Expr count, std::vector<Stmt>& out) {
    const int source = lowering_.buffer_of(value_);
    from = lowering_.bind("from", from, out);
    to = lowering_.bind("to", to, out);
    count = lowering_.bind("count", count, out);
    const std::string e = lowering_.fresh("e"), whole = lowering_.fresh("whole");
    out.push_back(loops::let(whole, count / Expr(lanes_) * Expr(lanes_)));
    auto element = [&](const std::string& at, int lanes, Expr mask) {
      auto index = [&](Expr base) { return lanes == 1 ? base + loops::variable(at) : loops::ramp(base + loops::variable(at), 1, lanes); };
      return loops::store(buffer_, index(to), loops::load(source, loops::Scalar::f32, index(from), mask), mask);
    };
    std::vector<Stmt> step;
    fetch(to + loops::variable(e), step);
    step.push_back(element(e, lanes_, {}));
    out.push_back(loops::loop(e, 0, loops::variable(whole), lanes_, std::move(step)));
    const std::string rest = lowering_.fresh("e");
    if (!lowering_.target.masked_memory) {
      out.push_back(loops::loop(rest, loops::variable(whole), count, 1, {element(rest, 1, {})}));
      return;
    }
    std::vector<Stmt> body;
    const Expr left = loops::cast(loops::Scalar::i32, count - loops::variable(whole));
    const Expr mask = lowering_.bind("mask", loops::ramp(loops::integer(0, {loops::Scalar::i32, 1}), 1, lanes_) < left, body);
    body.push_back(element(rest, lanes_, mask));
    out.push_back(loops::loop(rest, loops::variable(whole), count, lanes_, std::move(body)));
  }

  // What is read displaces lines of a large window from the first cache, and stores go there in their order: each is fetched ahead.
  void fetch(const Expr& place, std::vector<Stmt>& out) {
    if (4 * window_.elements > lowering_.target.l1_bytes / 4)
      out.push_back(loops::prefetch(buffer_, place + Expr(cost::prefetch_distance), loops::Prefetch::store));
  }

  // Element by element: vectors of channels outside, so that what depends on the channel alone is computed once a line.
  void pixels(Expr row, Expr place, Expr low, Expr high, std::vector<Stmt>& out) {
    const Expr first = origin_[channel_];
    const int64_t channels = *lowering_.fixed(shape_[channel_]), most = window_.extent[channel_];
    const Expr end = smaller(first + Expr(most), Expr(channels));
    const auto known = loops::as_integer(end - first);
    const Ranges ranges{Expr(0), Expr(1), 1, first, end, known ? known : channels % most == 0 ? std::optional(most) : std::nullopt};
    const bool flat = reads_flat_rows(lowering_, value_);
    for (const ColumnRun& run : column_runs(lowering_, ranges, 4)) {
      out.push_back(over_columns(lowering_, run, [&](Expr channel) {
        std::vector<Stmt> body, step;
        const std::string pixel = lowering_.fresh("pixel");
        const Expr p = loops::variable(pixel), at = row + p * Expr(window_.step[pixel_]);
        for (int v = 0; v < run.vectors; ++v) {
          const Expr c = channel + Expr(static_cast<int64_t>(v) * run.lanes), column = column_index(run, c),
                     mask = column_predicate(lowering_, run, c, body);
          Elements elements(lowering_, step, {}, mask);
          Expr x = elements.value(value_, flat_index(lowering_, value_.type().shape, flat, at, column));
          if (x->type.lanes != run.lanes) x = loops::broadcast(x, run.lanes);
          const Expr target = place + p * Expr(window_.stride[pixel_]) + (c - first);
          fetch(target, step);
          step.push_back(loops::store(buffer_, run.lanes == 1 ? target : loops::ramp(target, 1, run.lanes), x, mask));
        }
        body.push_back(loops::loop(pixel, low, high, 1, std::move(step)));
        return body;
      }));
    }
  }

  Lowering& lowering_;
  const Shape& shape_;
  const Value value_;
  const Window& window_;
  Index origin_;
  const int buffer_;
  size_t line_;   // the outermost dimension of a line
  const size_t pixel_, channel_;
  const int lanes_;
};

}  // namespace

void stage_window(Lowering& lowering, Value operand, const Window& window, const Index& origin, int buffer, Expr begin,
                  std::vector<Stmt>& out) {
  Staging(lowering, operand, window, origin, buffer).run(std::move(begin), out);
}

}  // namespace bnc::lower
