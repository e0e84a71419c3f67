#include "passes/lower/tall_reduction.h"

#include <algorithm>

#include "passes/lower/contraction_form.h"

namespace bnc::lower {

constexpr int tall_vectors = 4;   // side by side: one chain of additions alone would wait for itself

// What is kept of a block. Means are relative to the block's own pivot, so that nothing is lost where they are large.
static std::vector<std::string> names(const Node& node) {
  return is_moments(node) ? std::vector<std::string>{"mean", "m2", "pivot"} : std::vector<std::string>{"total"};
}

static std::vector<std::string> sums_of_tiles(const Node& node) {
  return is_moments(node) ? std::vector<std::string>{"sum", "square"} : std::vector<std::string>{"total"};
}

static std::vector<std::string> names_of_tiles(const Node& node) {
  return is_moments(node) ? std::vector<std::string>{"pivot", "sum", "square", "has_pivots"} : std::vector<std::string>{"total"};
}

TallReduction::TallReduction(Lowering& lowering, const Stage& stage, int64_t block_rows)
    : lowering_(lowering), stage_(stage), whole_(ranges_of(lowering, stage.space(), Region{})), block_rows_(block_rows), blocks_((*whole_.rows + block_rows - 1) / block_rows) {
  const int64_t lanes = lowering.target.float_lanes();
  for (Node* root : stage.roots) {
    for (const std::string& name : names(*root)) {
      partial_[{root, name}] = lowering.arena_buffer(root->results[0].name + "." + name, Dim{blocks_ * ((*whole_.columns + lanes - 1) / lanes * lanes)});
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
    const int64_t last = (blocks_ - half - 1) / (2 * half) * (2 * half);   // known, most counts are constants
    out.push_back(loops::loop(first, 0, Expr(blocks_ - half), 2 * half, merge_pair(run, column, predicate, loops::bounded_variable(first, 0, last), half)));
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

// Vectors of columns, `count` of them for each place: where number `which` has this column.
Expr TallReduction::interleaved(const Expr& column, int64_t count, const Expr& which) const {
  const Expr lanes(lowering_.target.float_lanes());
  return (column / lanes * Expr(count) + which) * lanes + column % lanes;
}

// What a task of the merge reads lies side by side.
Expr TallReduction::place(const ColumnRun& run, Expr block, Expr column) const { return column_index(run, interleaved(column, blocks_, block)); }

Expr TallReduction::load(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr predicate) const {
  return loops::load(partial_.at({&node, name}), loops::Scalar::f32, place(run, std::move(block), std::move(column)), std::move(predicate));
}

Stmt TallReduction::store(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr value, Expr predicate) const {
  return loops::store(partial_.at({&node, name}), place(run, std::move(block), std::move(column)), std::move(value), std::move(predicate));
}

static Expr vector_at(Expr column, const ColumnRun& run, int v) { return column + Expr(static_cast<int64_t>(v) * run.lanes); }

void TallReduction::use_tiles(int64_t columns) {
  for (const Node* root : stage_.roots) {
    const int id = lowering_.arena_buffer(root->results[0].name + ".tiles", Dim{columns * static_cast<int64_t>(names_of_tiles(*root).size())});
    lowering_.program.buffers[id].kind = loops::BufferKind::scratch;
    kept_[root] = id;
  }
}

// A column's numbers lie side by side: arrays of their own, often 1 KiB apart, would be as far apart as rows of the result
// that were just stored, and the loads would wait for those stores.
Expr TallReduction::kept_place(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector) const {
  const auto names = names_of_tiles(node);
  const int64_t which = std::find(names.begin(), names.end(), name) - names.begin();
  return interleaved(vector_at(std::move(at), run, vector), static_cast<int64_t>(names.size()), Expr(which));
}

Expr TallReduction::element(const ColumnRun& run, const Node& node, const TileRows& rows, bool in_registers, Expr r, int vector, Expr column, Expr predicate,
                            std::vector<Stmt>& out) const {
  const bool flat = reads_flat_rows(lowering_, node.operands[0]);
  Elements elements(lowering_, out, flat_index(lowering_, stage_.space(), flat, rows.row(r), column_index(run, std::move(column))), std::move(predicate));
  if (in_registers) elements.define(rows.product, rows.result(r, vector));
  return elements.value(node.operands[0]);
}

Expr TallReduction::kept(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector) const {
  return loops::load(kept_.at(&node), loops::Scalar::f32, column_index(run, kept_place(run, node, name, std::move(at), vector)));
}

Stmt TallReduction::keep(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector, Expr value) const {
  return loops::store(kept_.at(&node), column_index(run, kept_place(run, node, name, std::move(at), vector)), std::move(value));
}

std::vector<Stmt> TallReduction::begin_tiles(const ColumnRun& run, Expr column, Expr at, const TileRows& rows, const std::vector<Expr>& predicates) {
  std::vector<Stmt> out;
  for (Node* root : stage_.roots) {
    for (int v = 0; v < run.vectors; ++v) {
      for (const std::string& name : sums_of_tiles(*root)) out.push_back(keep(run, *root, name, at, v, reduction_identity(reduction_of(*root).kind, run.lanes)));
    }
    if (is_moments(*root)) find_pivots(run, *root, column, at, rows, predicates, out);
  }
  return out;
}

// The mean of the first tile, to rounding, is the pivot. The n rows of a block deviate from the mean of k of them by at most
// sqrt(n/k) deviations, so that no more than that is lost where squares are taken about it; a constant channel gives 0. A mean
// of few deviations is as good as 0: where that holds in all columns of a panel, its tiles need not subtract.
void TallReduction::find_pivots(const ColumnRun& run, const Node& root, const Expr& column, const Expr& at, const TileRows& rows, const std::vector<Expr>& predicates, std::vector<Stmt>& out) {
  constexpr double few = 4;   // 17 times the error of rounding
  const loops::Type type{loops::Scalar::f32, run.lanes};
  const bool in_registers = this->in_registers(rows.product);
  const Expr zero = loops::constant_of(type, 0);
  Expr largest = zero;
  for (int v = 0; v < run.vectors; ++v) {
    auto x = [&](Expr r, std::vector<Stmt>& body) { return element(run, root, rows, in_registers, std::move(r), v, vector_at(column, run, v), predicates[v], body); };
    auto sum_of = [&](const char* stem, const std::function<Expr(const Expr& x)>& term) {
      const std::string r = lowering_.fresh("r"), sums = lowering_.fresh(stem);
      std::vector<Stmt> body;
      const Expr element = lowering_.bind("x", x(loops::variable(r), body), body);
      body.push_back(loops::write_register(sums, 0, loops::read_register(sums, type, 0) + term(element)));
      out.push_back(loops::declare_registers(sums, type, 1));
      out.push_back(loops::write_register(sums, 0, zero));
      out.push_back(loops::loop(r, 0, Expr(rows.count), 1, std::move(body), in_registers ? loops::LoopKind::unrolled : loops::LoopKind::serial));
      return loops::read_register(sums, type, 0);
    };
    const Expr first = lowering_.bind("first", x(Expr(0), out), out);
    const Expr mean = lowering_.bind("mean", first + sum_of("distances", [&](const Expr& x) { return x - first; }) * loops::constant_of(type, 1.0 / rows.count), out);
    const Expr squares = sum_of("squares", [&](const Expr& x) { return (x - mean) * (x - mean); });
    const Expr pivot = lowering_.bind("pivot", loops::select(mean * mean <= squares * loops::constant_of(type, few * few / rows.count), zero, mean), out);
    out.push_back(keep(run, root, "pivot", at, v, pivot));
    const Expr size = loops::unary(loops::UnaryOp::absolute, pivot);
    largest = loops::binary(loops::BinaryOp::maximum, largest, predicates[v] ? loops::select(predicates[v], size, zero) : size);
  }
  if (run.lanes > 1) largest = loops::reduce_lanes(loops::BinaryOp::maximum, largest);
  out.push_back(loops::store(kept_.at(&root), kept_place(run, root, "has_pivots", at, 0), loops::select(largest == loops::real(0), loops::real(0), loops::real(1))));   // also where one is NaN
}

// In place: nobody else reads the tile's results any more.
void TallReduction::subtract_pivots(const ColumnRun& run, const Expr& at, const TileRows& rows, std::vector<Stmt>& out) {
  const Node& root = *stage_.roots.front();
  std::vector<Stmt> body, row;
  const std::string r = lowering_.fresh("r");
  for (int v = 0; v < run.vectors; ++v) {
    const Expr pivot = lowering_.bind("pivot", kept(run, root, "pivot", at, v), body);
    row.push_back(rows.replace(loops::variable(r), v, rows.result(loops::variable(r), v) - pivot));
  }
  body.push_back(loops::loop(r, 0, Expr(rows.count), 1, std::move(row), loops::LoopKind::unrolled));
  const Expr has_pivots = loops::load(kept_.at(&root), loops::Scalar::f32, kept_place(run, root, "has_pivots", at, 0));
  out.push_back(loops::conditional(has_pivots > loops::real(0), std::move(body)));
}

bool TallReduction::in_registers(Value product) const {
  return stage_.roots.size() == 1 && is_moments(*stage_.roots.front()) && stage_.roots.front()->operands[0] == product;
}

// Whatever is computed of the product beside its moments is long: it stays a loop, and reads what the tile has stored. In
// registers, the first row's elements are where the sums start.
std::vector<Stmt> TallReduction::tile(const ColumnRun& run, Expr column, Expr at, const TileRows& rows) {
  const loops::Type type{loops::Scalar::f32, run.lanes};
  const bool in_registers = this->in_registers(rows.product);
  std::vector<Stmt> out, after;
  std::vector<Expr> predicates;
  for (int v = 0; v < run.vectors; ++v) predicates.push_back(column_predicate(lowering_, run, vector_at(column, run, v), out));
  out.push_back(loops::conditional(rows.is_first, begin_tiles(run, column, at, rows, predicates)));
  if (in_registers) subtract_pivots(run, at, rows, out);
  std::map<std::pair<const Node*, std::string>, std::string> sums;
  std::map<std::pair<const Node*, int>, Expr> pivots;
  auto declare = [&](const Node& root, const std::string& name) {
    std::string& array = sums[{&root, name}];
    array = lowering_.fresh(name);
    out.push_back(loops::declare_registers(array, type, run.vectors));
    for (int v = 0; v < run.vectors; ++v) {
      if (!in_registers) out.push_back(loops::write_register(array, v, reduction_identity(reduction_of(root).kind, run.lanes)));
      const Expr sum = loops::binary(reduction_combiner(reduction_of(root).kind), kept(run, root, name, at, v), loops::read_register(array, type, v));
      after.push_back(keep(run, root, name, at, v, sum));
    }
  };
  for (const Node* root : stage_.roots) {
    for (const std::string& name : sums_of_tiles(*root)) declare(*root, name);
    for (int v = 0; !in_registers && is_moments(*root) && v < run.vectors; ++v) pivots[{root, v}] = lowering_.bind("pivot", kept(run, *root, "pivot", at, v), out);
  }
  auto add_row = [&](const Expr& r, bool first, std::vector<Stmt>& body) {
    for (Node* root : stage_.roots) {
      auto accumulate = [&](const char* name, int v, const Expr& start, const std::function<Expr(Expr so_far)>& step) {
        const std::string& array = sums.at({root, name});
        body.push_back(loops::write_register(array, v, first ? start : step(loops::read_register(array, type, v))));
      };
      for (int v = 0; v < run.vectors; ++v) {
        const Expr x = element(run, *root, rows, in_registers, r, v, vector_at(column, run, v), predicates[v], body);
        if (!is_moments(*root)) {
          accumulate("total", v, x, [&](Expr so_far) { return loops::binary(reduction_combiner(reduction_of(*root).kind), so_far, x); });
          continue;
        }
        const Expr d = in_registers ? x : lowering_.bind("d", x - pivots.at({root, v}), body);
        accumulate("sum", v, d, [&](Expr so_far) { return so_far + d; });
        accumulate("square", v, d * d, [&](Expr so_far) { return loops::fma(d, d, so_far); });
      }
    }
  };
  if (in_registers) add_row(Expr(0), true, out);
  const std::string r = lowering_.fresh("r");
  std::vector<Stmt> body;
  add_row(loops::variable(r), false, body);
  out.push_back(loops::loop(r, in_registers ? 1 : 0, Expr(rows.count), 1, std::move(body), in_registers ? loops::LoopKind::unrolled : loops::LoopKind::serial));
  out.insert(out.end(), after.begin(), after.end());
  return out;
}

std::vector<Stmt> TallReduction::finish_tiles(const ColumnRun& run, Expr column, Expr at, Expr block, Expr rows) {
  std::vector<Stmt> out;
  const Expr inverse = lowering_.bind("inverse_count", loops::real(1) / loops::cast(loops::Scalar::f32, rows), out);
  for (int v = 0; v < run.vectors; ++v) {
    const Expr vector = vector_at(column, run, v), predicate = column_predicate(lowering_, run, vector, out);
    for (Node* root : stage_.roots) {
      auto emit = [&](const char* name, Expr value) { out.push_back(store(run, *root, name, block, vector, std::move(value), predicate)); };
      if (!is_moments(*root)) {
        emit("total", kept(run, *root, "total", at, v));
        continue;
      }
      const Expr sum = lowering_.bind("sum", kept(run, *root, "sum", at, v), out), mean = lowering_.bind("mean", sum * loops::broadcast(inverse, run.lanes), out);
      const Expr square = kept(run, *root, "square", at, v) - sum * mean, zero = loops::constant_of({loops::Scalar::f32, run.lanes}, 0);
      emit("mean", mean);
      emit("m2", loops::select(square < zero, zero, square));
      emit("pivot", kept(run, *root, "pivot", at, v));
    }
  }
  return out;
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
