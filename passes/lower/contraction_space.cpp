#include "passes/lower/contraction_space.h"

#include <algorithm>
#include <optional>

namespace bnc::lower {

ContractionSpace::ContractionSpace(Lowering& lowering, const Node& node, int64_t unit_rows)
    : lowering_(lowering),
      node_(node),
      unit_rows_(unit_rows),
      form_(form_of(node)),
      lanes_(lowering.target.float_lanes()),
      columns_(*lowering.fixed(form_.result.back())),
      row_dims_(form_.result.size() - 1) {
  for (const FormPart& part : form_.parts) vectors_of_left_ = vectors_of_left_ || part.left_has_columns();
}

double ContractionSpace::elements_of(const Shape& shape) const {
  double count = 1;
  for (const Dim& dim : shape) count *= static_cast<double>(dim.at(lowering_.context.batch.value_or(1)));
  return count;
}

int64_t ContractionSpace::inner_rows(int split) const {
  int64_t count = 1;
  for (size_t d = static_cast<size_t>(split) + 1; d < row_dims_; ++d) count *= extent(form_.result[d]);
  return count;
}

std::vector<int64_t> ContractionSpace::blocks_of(int split, int64_t most_rows) const {
  const Dim dim = form_.result[static_cast<size_t>(split)];
  if (!lowering_.fixed(dim) && split > 0) return {};
  for (size_t d = static_cast<size_t>(split) + 1; d < row_dims_; ++d) {
    if (!lowering_.fixed(form_.result[d])) return {};
  }
  int64_t scale = 1;
  for (const FormPart& part : form_.parts) {
    for (size_t j = 0; j < part.columns(); ++j) {
      const size_t d = result_dimension(part, j);
      if (d == static_cast<size_t>(split)) scale = part.result.space[d][j];
      else if (d < static_cast<size_t>(split) && part.result.space[d][j] != 1) return {};
    }
  }
  std::vector<int64_t> blocks;
  const int64_t all = lowering_.fixed(dim).value_or(most_rows), inner = inner_rows(split);
  for (int64_t block = 1; block <= all; ++block) {
    if (block * inner % unit_rows_ != 0 || (block % scale != 0 && block != all)) continue;
    if (split > 0 && all % block != 0) continue;
    const bool smallest = blocks.empty();
    if (!smallest && block * inner > most_rows) break;
    blocks.push_back(block);
  }
  return blocks;
}

void ContractionSpace::make_spans(const ContractionPlan& plan) {
  space_.clear();
  reduction_.clear();
  auto span = [](int64_t most) { return Span{Expr(0), Expr(most), most}; };
  for (const FormPart& part : form_.parts) {
    Spans space, reduction;
    for (size_t j = 0; j < part.space.size(); ++j) {
      const int d = static_cast<int>(result_dimension(part, j));
      const int64_t scale = part.result.space[d][j];
      if (j == part.columns()) space.push_back(span(std::min(extent(part.space[j]), plan.columns_per_task)));
      else if (d == static_cast<int>(row_dims_) || d > plan.split_dimension) space.push_back(span(extent(part.space[j])));
      else
        space.push_back(
            span(d < plan.split_dimension ? 1 : std::max<int64_t>(0, (plan.split_block + scale - 1 - part.result.offset[d]) / scale)));
    }
    for (size_t j = 0; j < part.reduction.size(); ++j) {
      const int number = static_cast<int>(j) + 1,
                blocked = plan.long_reduction ? plan.blocked_reduction : 0;  // else staged once, for all blocks
      reduction.push_back(span(number < blocked ? 1 : number == blocked ? plan.reduction_block : extent(part.reduction[j])));
    }
    space_.push_back(std::move(space));
    reduction_.push_back(std::move(reduction));
  }
}

std::vector<RowDimension> ContractionSpace::rows_of(size_t p, const ContractionPlan& plan, const Window& window) const {
  const FormPart& part = form_.parts[p];
  const auto left = row_major(form_.left), result = row_major(form_.result);
  std::vector<RowDimension> rows;
  int64_t number = 1;
  for (size_t j = part.columns(); j-- > 0;) {
    if (part.is_group(j)) continue;
    const int64_t most = space_[p][j].most;
    rows.insert(rows.begin(), {space_[p][j].count, most, plan.stage_left ? window.space_stride(part, j) : part.left.flat_space(left, j),
                               part.result.flat_space(result, j), number, 0,
                               plan.guard_left ? steps_along(window.edges(), part.left.space, j) : std::vector<int64_t>{}});
    number *= most;
  }
  return merged_rows(std::move(rows));
}

double ContractionSpace::needed_share(int64_t lines) const {
  const FormPart& part = form_.parts.front();
  const size_t pixel = form_.left.size() - 2;
  // The one dimension of these along which left's dimension d is walked.
  auto along = [](const std::vector<int64_t>& slopes) -> std::optional<size_t> {
    if (std::ranges::count_if(slopes, [](int64_t slope) { return slope != 0; }) != 1) return std::nullopt;
    return std::ranges::find_if(slopes, [](int64_t slope) { return slope != 0; }) - slopes.begin();
  };
  double share = 1;
  for (size_t d = 0; d <= pixel; ++d) {
    const auto j = along(part.left.space[d]), k = along(part.left.reduction[d]);
    if (!j || !k || !lowering_.fixed(form_.left[d]) || !lowering_.fixed(part.space[*j]) || !lowering_.fixed(part.reduction[*k])) continue;
    const int64_t all = extent(part.space[*j]), steps = extent(part.reduction[*k]);
    auto is_inside = [&](int64_t line, int64_t step) {
      const int64_t at = part.left.offset[d] + line * part.left.space[d][*j] + step * part.left.reduction[d][*k];
      return 0 <= at && at < extent(form_.left[d]);
    };
    const bool edge = !is_inside(0, 0) || !is_inside(all - 1, steps - 1);
    if (d == pixel) return edge ? share : 1;   // else lines are one (Window::line_edges)
    const int64_t own = d + 1 == pixel ? lines : 1;
    int64_t tiles = 0, needed = 0;
    for (int64_t first = 0; first < all; first += own, ++tiles) {
      for (int64_t step = 0; step < steps; ++step) {
        bool any = false;
        for (int64_t line = first; line < std::min(first + own, all); ++line) any = any || is_inside(line, step);
        needed += any ? 1 : 0;
      }
    }
    share *= static_cast<double>(needed) / static_cast<double>(tiles * steps);
  }
  return 1;
}

}  // namespace bnc::lower
