#include "passes/lower/tall_reduction.h"

#include <algorithm>

#include "passes/lower/contraction_form.h"

namespace bnc::lower {

constexpr int tall_vectors = 4;   // side by side: one chain of additions alone would wait for itself

// What is kept of a block. Means are relative to the block's own pivot, so that nothing is lost where they are large.
static std::vector<std::string> names(const Node& node) {
  return is_moments(node) ? std::vector<std::string>{"mean", "m2", "pivot"} : std::vector<std::string>{"total"};
}

TallReduction::TallReduction(Lowering& lowering, const Stage& stage, int64_t block_rows)
    : lowering_(lowering), stage_(stage), whole_(ranges_of(lowering, stage.space(), Region{})), block_rows_(block_rows), blocks_((*whole_.rows + block_rows - 1) / block_rows) {
  for (Node* root : stage.roots) {
    for (const std::string& name : names(*root)) {
      partial_[{root, name}] = lowering.arena_buffer(root->results[0].name + "." + name, Dim{blocks_ * *whole_.columns});
    }
  }
}

std::vector<Stmt> TallReduction::partial(const Region& region, Expr block) {
  const Ranges ranges = ranges_of(lowering_, stage_.space(), region);
  std::vector<Stmt> out;
  for (const ColumnRun& run : column_runs(lowering_, ranges, tall_vectors)) {
    out.push_back(over_columns(lowering_, run, [&](Expr column) { return reduce_block(run, column, block, ranges); }));
  }
  return out;
}

loops::Kernel TallReduction::merge_kernel() {
  const ColumnRun run = vector_run();
  loops::Kernel kernel;
  kernel.name = lowering_.fresh(stage_.roots.front()->results[0].name + "_merge");
  kernel.tasks = (*whole_.columns + run.lanes - 1) / run.lanes;
  kernel.task_variable = lowering_.fresh("task");
  const Expr column = loops::variable(kernel.task_variable) * Expr(run.lanes);
  std::vector<Stmt> out;
  const Expr predicate = column_predicate(lowering_, run, column, out);
  for (int64_t half = 1; half < blocks_; half *= 2) {
    const std::string first = lowering_.fresh("first");
    out.push_back(loops::loop(first, 0, Expr(blocks_ - half), 2 * half, merge_pair(run, column, predicate, loops::variable(first), half)));
  }
  const Expr count = loops::cast(loops::Scalar::f32, whole_.row_end);
  store_reduction(lowering_, stage_, index_at(lowering_, stage_.space(), Expr(0), column_index(run, column)), predicate, out, [&](const Node& node, int which) {
    auto merged = [&](const char* name) { return load(run, node, name, Expr(0), column, predicate); };
    if (is_moments(node)) return which == 0 ? merged("pivot") + merged("mean") : merged("m2") / count;
    return reduction_of(node).kind == ReduceLowering::Kind::mean ? merged("total") / count : merged("total");
  });
  kernel.body = loops::block(std::move(out));
  return kernel;
}

// One vector of columns a task; single columns where the target has no masks to cut the last vector off.
ColumnRun TallReduction::vector_run() const {
  const bool vectors = lowering_.target.masked_memory && *whole_.columns > 1;
  return {Expr(0), whole_.column_end, 1, vectors ? lowering_.target.float_lanes() : 1, false, vectors};
}

Expr TallReduction::place(const ColumnRun& run, Expr block, Expr column) const { return column_index(run, block * whole_.column_end + column); }

Expr TallReduction::load(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr predicate) const {
  return loops::load(partial_.at({&node, name}), loops::Scalar::f32, place(run, std::move(block), std::move(column)), std::move(predicate));
}

Stmt TallReduction::store(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr value, Expr predicate) const {
  return loops::store(partial_.at({&node, name}), place(run, std::move(block), std::move(column)), std::move(value), std::move(predicate));
}

std::vector<Stmt> TallReduction::reduce_block(const ColumnRun& run, Expr column, Expr block, const Ranges& rows) {
  const Shape& space = stage_.space();
  const bool flat = std::all_of(stage_.roots.begin(), stage_.roots.end(), [&](const Node* root) { return reads_flat_rows(lowering_, root->operands[0]); });
  std::vector<Stmt> out;
  std::vector<Expr> columns, predicates;
  for (int v = 0; v < run.vectors; ++v) {
    columns.push_back(column + Expr(static_cast<int64_t>(v) * run.lanes));
    predicates.push_back(column_predicate(lowering_, run, columns[v], out));
  }
  Reducer reducer(lowering_, run.lanes, run.vectors, {rows.row_begin, rows.row_end, whole_.row_end, std::nullopt}, [&](const Node& node, Expr p, int v, std::vector<Stmt>& to) {
    Elements elements(lowering_, to, flat_index(lowering_, space, flat, p, column_index(run, columns[v])), predicates[v]);
    return elements.value(node.operands[0]);
  });
  reducer.run(stage_.roots, out);
  for (Node* root : stage_.roots) {
    for (int v = 0; v < run.vectors; ++v) {
      for (const std::string& name : names(*root)) {
        const Expr value = name == "pivot" ? reducer.pivot(*root, v) : reducer.read(*root, name, v);
        out.push_back(store(run, *root, name, block, columns[v], value, predicates[v]));
      }
    }
  }
  return out;
}

// The rows of blocks [first, first + half).
Expr TallReduction::rows_of(Expr first, int64_t half) const {
  const Expr begin = first * Expr(block_rows_);
  return loops::cast(loops::Scalar::f32, loops::binary(loops::BinaryOp::minimum, begin + Expr(half * block_rows_), whole_.row_end) - begin);
}

// Blocks `first` and `first + half`, each standing for `half` blocks, become one in the place of the first.
std::vector<Stmt> TallReduction::merge_pair(const ColumnRun& run, Expr column, Expr predicate, Expr first, int64_t half) {
  std::vector<Stmt> out;
  const Expr second = first + Expr(half);
  auto bind = [&](const char* stem, Expr x) { return lowering_.bind(stem, std::move(x), out); };
  for (Node* root : stage_.roots) {
    auto partial = [&](const char* name, Expr block) { return bind(name, load(run, *root, name, block, column, predicate)); };
    if (!is_moments(*root)) {
      const Expr merged = loops::binary(reduction_combiner(reduction_of(*root).kind), partial("total", first), partial("total", second));
      out.push_back(store(run, *root, "total", first, column, merged, predicate));
      continue;
    }
    const Expr count_a = bind("count", rows_of(first, half)), count_b = bind("count", rows_of(second, half));
    const Expr between = bind("between", partial("pivot", second) - partial("pivot", first));   // of two close numbers: exact
    const MomentsPair a{partial("mean", first), partial("m2", first)}, b{partial("mean", second), partial("m2", second)};
    const MomentsPair merged = merge_moments(a, b, bind("delta", between + (b.mean - a.mean)), count_a, bind("weight", count_b / (count_a + count_b)));
    out.push_back(store(run, *root, "mean", first, column, merged.mean, predicate));
    out.push_back(store(run, *root, "m2", first, column, merged.m2, predicate));
  }
  return out;
}

}  // namespace bnc::lower
