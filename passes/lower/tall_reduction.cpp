// Reductions over so many rows that they are shared among tasks: one kernel reduces blocks of rows to partial results,
// another merges those pairwise in a fixed tree, so that the result is the same bits for any number of threads.
#include "passes/lower/reducer.h"

namespace bnc::lower {
namespace {

constexpr int64_t block_rows = 1024;   // the rows of one partial result

using Names = std::vector<std::string>;

class TallReduction {
 public:
  TallReduction(Lowering& lowering, const Stage& stage)
      : lowering_(lowering), stage_(stage), ranges_(ranges_of(lowering, stage.space(), Region{})), blocks_((*ranges_.rows + block_rows - 1) / block_rows) {
    for (Node* root : stage.roots) {
      for (const std::string& name : names(*root)) {
        const int64_t copies = name == "pivot" ? 1 : blocks_;
        partial_[{root, name}] = lowering.arena_buffer(root->results[0].name + "." + name, Dim{copies * *ranges_.columns});
      }
    }
  }

  loops::Kernel partial_kernel() {
    loops::Kernel kernel = new_kernel("_parts", Expr(blocks_));
    const Expr block = loops::variable(kernel.task_variable), begin = block * Expr(block_rows);
    const Expr end = loops::binary(loops::BinaryOp::minimum, begin + Expr(block_rows), ranges_.row_end);
    std::vector<Stmt> out;
    for (const ColumnRun& run : column_runs(lowering_, ranges_, reduction_vectors)) {
      out.push_back(over_columns(lowering_, run, [&](Expr column) { return reduce_block(run, column, block, begin, end); }));
    }
    kernel.body = loops::block(std::move(out));
    return kernel;
  }

  loops::Kernel merge_kernel() {
    const ColumnRun run = vector_run();
    loops::Kernel kernel = new_kernel("_merge", Expr((*ranges_.columns + run.lanes - 1) / run.lanes));
    const Expr column = loops::variable(kernel.task_variable) * Expr(run.lanes);
    std::vector<Stmt> out;
    const Expr predicate = column_predicate(lowering_, run, column, out);
    for (int64_t half = 1; half < blocks_; half *= 2) {
      const std::string first = lowering_.fresh("first");
      out.push_back(loops::loop(first, 0, Expr(blocks_ - half), 2 * half, merge_pair(run, column, predicate, loops::variable(first), half)));
    }
    const Expr count = loops::cast(loops::Scalar::f32, ranges_.row_end);
    store_reduction(lowering_, stage_, index_at(lowering_, stage_.space(), Expr(0), column_index(run, column)), predicate, out, [&](const Node& node, int which) {
      if (is_moments(node)) {
        return which == 0 ? load(run, node, "pivot", Expr(0), column, predicate) + load(run, node, "mean", Expr(0), column, predicate)
                          : load(run, node, "m2", Expr(0), column, predicate) / count;
      }
      const Expr total = load(run, node, "total", Expr(0), column, predicate);
      return reduction_of(node).kind == ReduceLowering::Kind::mean ? total / count : total;
    });
    kernel.body = loops::block(std::move(out));
    return kernel;
  }

 private:
  static Names names(const Node& node) { return is_moments(node) ? Names{"mean", "m2", "pivot"} : Names{"total"}; }

  loops::Kernel new_kernel(const std::string& suffix, Expr tasks) {
    loops::Kernel kernel;
    kernel.name = lowering_.fresh(stage_.roots.front()->results[0].name + suffix);
    kernel.tasks = std::move(tasks);
    kernel.task_variable = lowering_.fresh("task");
    return kernel;
  }

  // One vector of columns a task; single columns where the target has no masks to cut the last vector off.
  ColumnRun vector_run() const {
    const bool vectors = lowering_.target.masked_memory && *ranges_.columns > 1;
    return {Expr(0), ranges_.column_end, 1, vectors ? lowering_.target.float_lanes() : 1, false, vectors};
  }

  Expr place(const ColumnRun& run, Expr block, Expr column) const { return column_index(run, block * ranges_.column_end + column); }
  Expr load(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr predicate) const {
    return loops::load(partial_.at({&node, name}), loops::Scalar::f32, place(run, std::move(block), std::move(column)), std::move(predicate));
  }
  Stmt store(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr value, Expr predicate) const {
    return loops::store(partial_.at({&node, name}), place(run, std::move(block), std::move(column)), std::move(value), std::move(predicate));
  }

  std::vector<Stmt> reduce_block(const ColumnRun& run, Expr column, Expr block, Expr begin, Expr end) {
    const Shape& space = stage_.space();
    std::vector<Stmt> out;
    std::vector<Expr> columns, predicates;
    for (int v = 0; v < run.vectors; ++v) {
      columns.push_back(column + Expr(static_cast<int64_t>(v) * run.lanes));
      predicates.push_back(column_predicate(lowering_, run, columns[v], out));
    }
    Reducer reducer(lowering_, run.lanes, run.vectors, {begin, end, ranges_.row_end, std::nullopt}, [&](const Node& node, Expr p, int v, std::vector<Stmt>& to) {
      Elements elements(lowering_, to, index_at(lowering_, space, p, column_index(run, columns[v])), predicates[v]);
      return elements.value(node.operands[0]);
    });
    reducer.run(stage_.roots, out);
    for (Node* root : stage_.roots) {
      for (int v = 0; v < run.vectors; ++v) {
        for (const std::string& name : names(*root)) {
          if (name != "pivot") out.push_back(store(run, *root, name, block, columns[v], reducer.read(*root, name, v), predicates[v]));
          else out.push_back(loops::conditional(block == Expr(0), {store(run, *root, name, Expr(0), columns[v], reducer.pivot(*root, v), predicates[v])}));
        }
      }
    }
    return out;
  }

  // The rows of blocks [first, first + half).
  Expr rows_of(Expr first, int64_t half) const {
    const Expr begin = first * Expr(block_rows);
    return loops::cast(loops::Scalar::f32, loops::binary(loops::BinaryOp::minimum, begin + Expr(half * block_rows), ranges_.row_end) - begin);
  }

  // Blocks `first` and `first + half`, each standing for `half` blocks, become one in the place of the first.
  std::vector<Stmt> merge_pair(const ColumnRun& run, Expr column, Expr predicate, Expr first, int64_t half) {
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
      const MomentsPair a{partial("mean", first), partial("m2", first)}, b{partial("mean", second), partial("m2", second)};
      const MomentsPair merged = merge_moments(a, b, bind("delta", b.mean - a.mean), count_a, bind("weight", count_b / (count_a + count_b)));
      out.push_back(store(run, *root, "mean", first, column, merged.mean, predicate));
      out.push_back(store(run, *root, "m2", first, column, merged.m2, predicate));
    }
    return out;
  }

  Lowering& lowering_;
  const Stage& stage_;
  const Ranges ranges_;
  const int64_t blocks_;
  std::map<std::pair<const Node*, std::string>, int> partial_;   // buffers [block][column]; of the pivot [column]
};

}  // namespace

std::vector<loops::Kernel> lower_tall_reduction(Lowering& lowering, const Stage& stage) {
  TallReduction reduction(lowering, stage);
  return {reduction.partial_kernel(), reduction.merge_kernel()};
}

}  // namespace bnc::lower
