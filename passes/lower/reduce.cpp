// Loops of reductions within one task.
#include <algorithm>

#include "passes/lower/contraction_form.h"
#include "passes/lower/reducer.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {
namespace {

using Kind = ReduceLowering::Kind;

// The reduced dimensions end before the last: for each kept position of those in front of them, vectors of columns that
// each accumulate down their rows.
std::vector<Stmt> reduce_rows(Lowering& lowering, const Stage& stage, const Region& region, int first_axis) {
  const Shape& space = stage.space();
  Shape outer_space(space.begin(), space.begin() + first_axis);
  outer_space.push_back(Dim{});
  const Ranges outer = first_axis > 0 ? ranges_of(lowering, outer_space, region) : Ranges{Expr(0), Expr(1), 1, Expr(0), Expr(1), 1};
  const Dim inner = *element_count(Shape(space.begin() + first_axis, space.end() - 1));
  const Expr inner_rows = lowering.extent(inner);
  const bool flat = std::all_of(stage.roots.begin(), stage.roots.end(),
                                [&](const Node* root) { return reads_flat_rows(lowering, root->operands[0]); });
  Region panel = region;
  panel.all_rows = true;
  const std::string kept = lowering.fresh("kept");
  const Expr position = first_axis > 0 ? loops::variable(kept) : Expr(0), first_row = first_axis > 0 ? position * inner_rows : Expr(0);
  std::vector<Stmt> out;
  for (const ColumnRun& run :
       column_runs(lowering, ranges_of(lowering, space, panel), cost::reduction_vectors, column_breaks(lowering, stage))) {
    out.push_back(over_columns(lowering, run, [&](Expr column) {
      std::vector<Stmt> body;
      auto place = [&](int v) { return column + Expr(static_cast<int64_t>(v) * run.lanes); };
      std::vector<Expr> predicates;
      for (int v = 0; v < run.vectors; ++v) predicates.push_back(column_predicate(lowering, run, place(v), body));
      Reducer reducer(lowering, run.lanes, run.vectors, {Expr(0), inner_rows, inner_rows, lowering.fixed(inner)},
                      [&](const Node& node, Expr p, int v, std::vector<Stmt>& to) {
                        Elements elements(lowering, to, flat_index(lowering, space, flat, first_row + p, column_index(run, place(v))),
                                          predicates[v]);
                        return elements.value(node.operands[0]);
                      });
      reducer.run(stage.roots, body);
      for (int v = 0; v < run.vectors; ++v) {
        Index full = leading_index(lowering, space, first_axis, position);
        full.back() = column_index(run, place(v));
        store_reduction(lowering, stage, full, predicates[v], body,
                        [&](const Node& node, int which) { return reducer.result(node, v, which); });
      }
      return body;
    }));
  }
  if (first_axis == 0) return out;
  return {loops::loop(kept, outer.row_begin, outer.row_end, 1, std::move(out))};
}

// The reduced dimensions are the last ones: for each kept element a vector runs along the columns of its rows.
std::vector<Stmt> reduce_columns(Lowering& lowering, const Stage& stage, const Region& region, int first_axis) {
  const Shape& space = stage.space();
  Shape outer_space(space.begin(), space.begin() + first_axis);
  outer_space.push_back(Dim{});
  const Ranges outer = first_axis > 0 ? ranges_of(lowering, outer_space, region) : Ranges{Expr(0), Expr(1), 1, Expr(0), Expr(1), 1};
  const Expr inner_rows = lowering.extent(*element_count(Shape(space.begin() + first_axis, space.end() - 1)));
  const std::string kept = lowering.fresh("row");
  const Expr first_row = loops::variable(kept) * inner_rows;

  std::vector<Stmt> body;
  std::map<const Node*, Expr> totals;
  for (const ColumnRun& run : column_runs(lowering, ranges_of(lowering, space, Region{}), 1)) {
    const Expr steps = run.loop ? (run.end - run.begin + Expr(run.lanes - 1)) / Expr(run.lanes) : Expr(1), count = inner_rows * steps;
    Reducer reducer(lowering, run.lanes, 1, {Expr(0), count, count, loops::as_integer(count)},
                    [&](const Node& node, Expr p, int, std::vector<Stmt>& to) {
                      const Expr row = loops::is_constant(inner_rows, 1) ? Expr(0) : p / steps,
                                 step = loops::is_constant(inner_rows, 1) ? p : p % steps;
                      const Expr column = run.loop ? run.begin + step * Expr(run.lanes) : run.begin,
                                 predicate = column_predicate(lowering, run, column, to);
                      Elements elements(lowering, to, index_at(lowering, space, first_row + row, column_index(run, column)), predicate);
                      const Expr x = elements.value(node.operands[0]);
                      return predicate ? loops::select(predicate, x, reduction_identity(reduction_of(node).kind, run.lanes)) : x;
                    });
    reducer.run(stage.roots, body);
    for (Node* root : stage.roots) {
      const auto combiner = reduction_combiner(reduction_of(*root).kind);
      const Expr sum = reducer.read(*root, "total", 0), part = run.lanes > 1 ? loops::reduce_lanes(combiner, sum) : sum;
      Expr& total = totals[root];
      total = total ? loops::binary(combiner, total, part) : part;
    }
  }
  const Expr count = loops::cast(loops::Scalar::f32, inner_rows * lowering.extent(space.back()));
  store_reduction(lowering, stage, leading_index(lowering, space, first_axis, loops::variable(kept)), {}, body, [&](const Node& node, int) {
    return reduction_of(node).kind == Kind::mean ? totals[&node] / count : totals[&node];
  });
  return {loops::loop(kept, outer.row_begin, outer.row_end, 1, std::move(body))};
}

}  // namespace

Index leading_index(const Lowering& lowering, const Shape& space, int count, Expr position) {
  Index index(space.size(), Expr(0));
  for (int d = count; d-- > 0;) {
    const Expr extent = lowering.extent(space[d]);
    index[d] = d == 0 ? position : position % extent;
    if (d > 0) position = position / extent;
  }
  return index;
}

std::vector<Stmt> lower_reduce(Lowering& lowering, const Stage& stage, const Region& region) {
  const int rank = static_cast<int>(stage.space().size());
  const auto axes = reduction_of(*stage.roots.front()).axes(*stage.roots.front());
  if (reduction_of(*stage.roots.front()).kind == Kind::first_maximum) return lower_first_maximum(lowering, stage, region);
  const bool moments = std::any_of(stage.roots.begin(), stage.roots.end(), [](const Node* node) { return is_moments(*node); });
  const bool consecutive = !axes.empty() && axes.back() - axes.front() + 1 == static_cast<int>(axes.size());
  if (consecutive && axes.back() == rank - 2) return reduce_rows(lowering, stage, region, axes.front());
  BNC_CHECK(consecutive && axes.back() == rank - 1 && !moments, "decompose has not run on " + stage.roots.front()->results[0].name);
  return reduce_columns(lowering, stage, region, axes.front());
}

}  // namespace bnc::lower
