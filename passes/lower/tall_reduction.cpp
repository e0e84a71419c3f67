#include "passes/lower/tall_reduction.h"

#include <algorithm>

#include "ir/integers.h"
#include "passes/lower/contraction_form.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {

constexpr double few = 4;         // deviations: a mean of so many is as good as 0, squares about 0 lose 17 times the error of rounding
constexpr double most_lost = 32;  // times that error: more than a first tile that is like the others costs, and below 1e-5 in all

// What is kept of a block. Means are relative to the block's own pivot, so that nothing is lost where they are large.
static std::vector<std::string> names(const Node& node) {
  return is_moments(node) ? std::vector<std::string>{"mean", "variance", "pivot"} : std::vector<std::string>{"total"};
}

static std::vector<std::string> sums_of_tiles(const Node& node) {
  return is_moments(node) ? std::vector<std::string>{"sum", "square"} : std::vector<std::string>{"total"};
}

static std::vector<std::string> names_of_tiles(const Node& node) {
  return is_moments(node) ? std::vector<std::string>{"pivot", "sum", "square"} : std::vector<std::string>{"total"};
}

TallReduction::TallReduction(Lowering& lowering, const Stage& stage, int64_t block_rows)
    : lowering_(lowering),
      stage_(stage),
      whole_(ranges_of(lowering, stage.space(), Region{})),
      block_rows_(block_rows),
      blocks_(divide_up(whole_.rows.value_or(0), block_rows)),
      stride_(blocks_ | 1) {
  BNC_CHECK(whole_.rows && whole_.columns, "a reduction shared among tasks over an unknown number of rows or columns");
  const int64_t lanes = lowering.target.float_lanes();
  for (Node* root : stage.roots) {
    for (const std::string& name : names(*root)) {
      partial_[{root, name}] = lowering.arena_buffer(root->results[0].name + "." + name,
                                                     Dim{stride_ * round_up(*whole_.columns, lanes)});
    }
  }
}

std::vector<Stmt> TallReduction::partial(const Region& region, Expr block) {
  const Ranges ranges = ranges_of(lowering_, stage_.space(), region);
  std::vector<Stmt> out;
  for (const ColumnRun& run : column_runs(lowering_, ranges, cost::tall_vectors)) {
    out.push_back(over_columns(lowering_, run, [&](Expr column) { return reduce_block(run, column, block, ranges, stage_.roots, {}); }));
  }
  return out;
}

loops::Kernel TallReduction::merge_kernel() {
  const ColumnRun run = vector_run();
  loops::Kernel kernel;
  kernel.name = lowering_.fresh(stage_.roots.front()->results[0].name + "_merge");
  kernel.tasks = divide_up(*whole_.columns, run.lanes);
  kernel.task_variable = lowering_.fresh("task");
  const Expr column = loops::variable(kernel.task_variable) * Expr(run.lanes);
  std::vector<Stmt> out;
  const Expr predicate = column_predicate(lowering_, run, column, out);
  for (int64_t half = 1; half < blocks_; half *= 2) {
    const std::string first = lowering_.fresh("first");
    const int64_t last = (blocks_ - half - 1) / (2 * half) * (2 * half);   // known, most counts are constants
    out.push_back(loops::loop(first, 0, Expr(blocks_ - half), 2 * half,
                              merge_pair(run, column, predicate, loops::bounded_variable(first, 0, last), half)));
  }
  const Expr count = loops::cast(loops::Scalar::f32, whole_.row_end);
  store_reduction(lowering_, stage_, index_at(lowering_, stage_.space(), Expr(0), column_index(run, column)), predicate, out,
                  [&](const Node& node, int which) {
                    auto merged = [&](const char* name) { return load(run, node, name, Expr(0), column, predicate); };
                    if (is_moments(node)) return which == 0 ? merged("pivot") + merged("mean") : merged("variance");
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

// Vectors of columns, `count` of them for each place: where number `which` has this column, the first one of a vector in runs of these.
Expr TallReduction::interleaved(const ColumnRun& run, const Expr& column, int64_t count, const Expr& which) const {
  const Expr lanes(lowering_.target.float_lanes());
  if (run.lanes > 1) return column * Expr(count) + which * lanes;
  return (column / lanes * Expr(count) + which) * lanes + column % lanes;
}

// What a task of the merge reads lies side by side.
Expr TallReduction::place(const ColumnRun& run, Expr block, Expr column) const {
  return column_index(run, interleaved(run, column, stride_, block));
}

Expr TallReduction::load(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr predicate) const {
  return loops::load(partial_.at({&node, name}), loops::Scalar::f32, place(run, std::move(block), std::move(column)), std::move(predicate));
}

Stmt TallReduction::store(const ColumnRun& run, const Node& node, const std::string& name, Expr block, Expr column, Expr value,
                          Expr predicate) const {
  return loops::store(partial_.at({&node, name}), place(run, std::move(block), std::move(column)), std::move(value), std::move(predicate));
}

static Expr largest_lane(const ColumnRun& run, Expr x) {
  return run.lanes > 1 ? loops::reduce_lanes(loops::BinaryOp::maximum, std::move(x)) : x;
}

// A number of four bytes, which is compared in memory: a tile asks it behind its last products.
static Expr flag(bool set) { return loops::integer(set, {loops::Scalar::i32, 1}); }

static Expr vector_at(Expr column, const ColumnRun& run, int v) { return column + Expr(static_cast<int64_t>(v) * run.lanes); }

void TallReduction::use_tiles(int64_t columns) {
  for (const Node* root : stage_.roots) {
    auto scratch = [&](const char* suffix, int64_t elements, loops::Scalar scalar) {
      const int id = lowering_.arena_buffer(root->results[0].name + suffix, Dim{elements});
      lowering_.program.buffers[id].kind = loops::BufferKind::scratch;
      lowering_.program.buffers[id].scalar = scalar;
      return id;
    };
    kept_[root] = scratch(".tiles", columns * static_cast<int64_t>(names_of_tiles(*root).size()), loops::Scalar::f32);
    if (is_moments(*root)) has_pivots_[root] = scratch(".has_pivots", columns, loops::Scalar::i32);
  }
}

// A column's numbers lie side by side: arrays of their own, often 1 KiB apart, would be as far apart as rows of the result
// that were just stored, and the loads would wait for those stores.
Expr TallReduction::kept_place(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector) const {
  const auto names = names_of_tiles(node);
  const int64_t which = std::find(names.begin(), names.end(), name) - names.begin();
  return interleaved(run, vector_at(std::move(at), run, vector), static_cast<int64_t>(names.size()), Expr(which));
}

Expr TallReduction::element(const ColumnRun& run, const Node& node, const TileRows& rows, Expr r, int vector, Expr column, Expr predicate,
                            std::vector<Stmt>& out) const {
  const bool flat = reads_flat_rows(lowering_, node.operands[0]);
  Elements elements(lowering_, out, flat_index(lowering_, stage_.space(), flat, rows.row(r), column_index(run, std::move(column))),
                    std::move(predicate));
  if (in_registers(rows.product)) elements.define(rows.product, rows.result(r, vector));
  return elements.value(node.operands[0]);
}

Expr TallReduction::kept(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector) const {
  return loops::load(kept_.at(&node), loops::Scalar::f32, column_index(run, kept_place(run, node, name, std::move(at), vector)));
}

Stmt TallReduction::keep(const ColumnRun& run, const Node& node, const std::string& name, Expr at, int vector, Expr value) const {
  return loops::store(kept_.at(&node), column_index(run, kept_place(run, node, name, std::move(at), vector)), std::move(value));
}

// Of what is stored behind the last tile, the lines are there by then.
std::vector<Stmt> TallReduction::begin_tiles(const ColumnRun& run, Expr column, Expr at, Expr block, const TileRows& rows,
                                             const std::vector<Expr>& predicates) {
  std::vector<Stmt> out;
  for (Node* root : stage_.roots) {
    for (int v = 0; v < run.vectors; ++v) {
      const Expr line = interleaved(run, vector_at(column, run, v), stride_, block);
      for (const std::string& name : names(*root)) out.push_back(loops::prefetch(partial_.at({root, name}), line, loops::Prefetch::store));
      for (const std::string& name : sums_of_tiles(*root))
        out.push_back(keep(run, *root, name, at, v, reduction_identity(reduction_of(*root).kind, run.lanes)));
    }
    if (!is_moments(*root)) continue;
    std::vector<Stmt> find;
    find_pivots(run, *root, column, at, rows, predicates, find);
    if (in_registers(rows.product)) without_pivots(run, at, rows, predicates, std::move(find), out);
    else append(out, std::move(find));
  }
  return out;
}

// Most means are small; that can be told from the plain sums, much sooner than pivots can be found: a mean of at most `few`
// deviations has mean^2 (1 + 1/few^2) <= the mean of squares. What overflows is not smaller than itself.
void TallReduction::without_pivots(const ColumnRun& run, const Expr& at, const TileRows& rows, const std::vector<Expr>& predicates,
                                   std::vector<Stmt> find, std::vector<Stmt>& out) {
  const Node& root = *stage_.roots.front();
  const loops::Type type{loops::Scalar::f32, run.lanes};
  const Expr zero = loops::constant_of(type, 0), one = loops::constant_of(type, 1);
  Expr any = zero;
  for (int v = 0; v < run.vectors; ++v) out.push_back(keep(run, root, "pivot", at, v, zero));
  out.push_back(loops::store(has_pivots_.at(&root), at, flag(false)));
  const TileSums sums = sums_in_registers(run, rows, out);
  for (int v = 0; v < run.vectors; ++v) {
    const Expr large = loops::select(
        sums.sum[v] * sums.sum[v] * loops::constant_of(type, (1 + 1 / (few * few)) / rows.count) < sums.square[v], zero, one);
    any = loops::binary(loops::BinaryOp::maximum, any, predicates[v] ? loops::select(predicates[v], large, zero) : large);
  }
  out.push_back(loops::conditional(largest_lane(run, any) > loops::real(0), std::move(find), loops::Frequency::rare));
}

// The mean of the first tile, to rounding, is the pivot. The n rows of a block deviate from the mean of k of them by at most
// sqrt(n/k) deviations, so that no more than that is lost where squares are taken about it; a constant channel gives 0. A mean
// of few deviations is as good as 0: where that holds in all columns of a panel, its tiles need not subtract.
void TallReduction::find_pivots(const ColumnRun& run, const Node& root, const Expr& column, const Expr& at, const TileRows& rows,
                                const std::vector<Expr>& predicates, std::vector<Stmt>& out) {
  const loops::Type type{loops::Scalar::f32, run.lanes};
  const Expr zero = loops::constant_of(type, 0);
  Expr largest = zero;
  for (int v = 0; v < run.vectors; ++v) {
    auto x = [&](Expr r, std::vector<Stmt>& body) {
      return element(run, root, rows, std::move(r), v, vector_at(column, run, v), predicates[v], body);
    };
    auto sum_of = [&](const char* stem, const std::function<Expr(const Expr& x)>& term) {
      const std::string r = lowering_.fresh("r"), sums = lowering_.fresh(stem);
      std::vector<Stmt> body;
      const Expr element = lowering_.bind("x", x(loops::variable(r), body), body);
      body.push_back(loops::write_register(sums, 0, loops::read_register(sums, type, 0) + term(element)));
      out.push_back(loops::declare_registers(sums, type, 1));
      out.push_back(loops::write_register(sums, 0, zero));
      out.push_back(loops::loop(r, 0, Expr(rows.count), 1, std::move(body),
                                in_registers(rows.product) ? loops::LoopKind::unrolled : loops::LoopKind::serial));
      return loops::read_register(sums, type, 0);
    };
    const Expr first = lowering_.bind("first", x(Expr(0), out), out);
    const Expr mean = lowering_.bind(
        "mean", first + sum_of("distances", [&](const Expr& x) { return x - first; }) * loops::constant_of(type, 1.0 / rows.count), out);
    const Expr squares = sum_of("squares", [&](const Expr& x) { return (x - mean) * (x - mean); });
    const Expr pivot = lowering_.bind(
        "pivot", loops::select(mean * mean <= squares * loops::constant_of(type, few * few / rows.count), zero, mean), out);
    out.push_back(keep(run, root, "pivot", at, v, pivot));
    const Expr size = loops::unary(loops::UnaryOp::absolute, pivot);
    largest = loops::binary(loops::BinaryOp::maximum, largest, predicates[v] ? loops::select(predicates[v], size, zero) : size);
  }
  const Expr none = largest_lane(run, largest) == loops::real(0);   // false also where one is NaN
  out.push_back(loops::store(has_pivots_.at(&root), at, loops::select(none, flag(false), flag(true))));
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
  const Expr has_pivots = loops::load(has_pivots_.at(&root), loops::Scalar::i32, at);
  out.push_back(loops::conditional(has_pivots == flag(true), std::move(body), loops::Frequency::rare));
}

bool TallReduction::in_registers(Value product) const {
  return stage_.roots.size() == 1 && is_moments(*stage_.roots.front()) && stage_.roots.front()->operands[0] == product;
}

std::vector<Stmt> TallReduction::tile(const ColumnRun& run, Expr column, Expr at, Expr block, const TileRows& rows) {
  std::vector<Stmt> out;
  std::vector<Expr> predicates;
  for (int v = 0; v < run.vectors; ++v) predicates.push_back(column_predicate(lowering_, run, vector_at(column, run, v), out));
  out.push_back(loops::conditional(rows.is_first, begin_tiles(run, column, at, block, rows, predicates), loops::Frequency::rare));
  if (in_registers(rows.product)) add_registers(run, at, rows, out);
  else add_elements(run, column, at, rows, predicates, out);
  return out;
}

void TallReduction::add_registers(const ColumnRun& run, const Expr& at, const TileRows& rows, std::vector<Stmt>& out) {
  const Node& root = *stage_.roots.front();
  subtract_pivots(run, at, rows, out);
  const TileSums sums = sums_in_registers(run, rows, out);
  for (int v = 0; v < run.vectors; ++v) {
    out.push_back(keep(run, root, "sum", at, v, kept(run, root, "sum", at, v) + sums.sum[v]));
    out.push_back(keep(run, root, "square", at, v, kept(run, root, "square", at, v) + sums.square[v]));
  }
}

// Two chains of additions for each, of the upper and the lower half of the rows: what is behind a tile waits for one alone.
TallReduction::TileSums TallReduction::sums_in_registers(const ColumnRun& run, const TileRows& rows, std::vector<Stmt>& out) {
  const loops::Type type{loops::Scalar::f32, run.lanes};
  const std::string sum = lowering_.fresh("sum"), square = lowering_.fresh("square"), r = lowering_.fresh("r");
  const int half = rows.count / 2, chains = half > 0 ? 2 : 1;
  auto read = [&](const std::string& array, int chain, int v) { return loops::read_register(array, type, chain * run.vectors + v); };
  auto add_row = [&](int chain, const Expr& row, bool first, std::vector<Stmt>& body) {
    for (int v = 0; v < run.vectors; ++v) {
      const Expr x = rows.result(row, v);
      body.push_back(loops::write_register(sum, chain * run.vectors + v, first ? x : read(sum, chain, v) + x));
      body.push_back(loops::write_register(square, chain * run.vectors + v, first ? x * x : loops::fma(x, x, read(square, chain, v))));
    }
  };
  for (const std::string& array : {sum, square})
    out.push_back(loops::declare_registers(array, type, static_cast<int64_t>(chains) * run.vectors));
  for (int chain = 0; chain < chains; ++chain) add_row(chain, Expr(chain * half), true, out);
  std::vector<Stmt> body;
  for (int chain = 0; chain < chains; ++chain) add_row(chain, loops::variable(r) + Expr(chain * half), false, body);
  if (half > 1) out.push_back(loops::loop(r, 1, half, 1, std::move(body), loops::LoopKind::unrolled));
  if (half > 0 && rows.count % 2 == 1) add_row(0, Expr(rows.count - 1), false, out);
  TileSums sums;
  for (int v = 0; v < run.vectors; ++v) {
    sums.sum.push_back(chains == 2 ? read(sum, 0, v) + read(sum, 1, v) : read(sum, 0, v));
    sums.square.push_back(chains == 2 ? read(square, 0, v) + read(square, 1, v) : read(square, 0, v));
  }
  return sums;
}

// Whatever is computed of the product beside its moments is long: it stays a loop, and reads what the tile has stored.
void TallReduction::add_elements(const ColumnRun& run, const Expr& column, const Expr& at, const TileRows& rows,
                                 const std::vector<Expr>& predicates, std::vector<Stmt>& out) {
  const loops::Type type{loops::Scalar::f32, run.lanes};
  const std::string r = lowering_.fresh("r");
  std::vector<Stmt> body, after;
  for (Node* root : stage_.roots) {
    std::vector<std::string> arrays;
    for (const std::string& name : sums_of_tiles(*root)) {
      const std::string& array = arrays.emplace_back(lowering_.fresh(name));
      out.push_back(loops::declare_registers(array, type, run.vectors));
      for (int v = 0; v < run.vectors; ++v) {
        out.push_back(loops::write_register(array, v, reduction_identity(reduction_of(*root).kind, run.lanes)));
        after.push_back(keep(run, *root, name, at, v,
                             loops::binary(reduction_combiner(reduction_of(*root).kind), kept(run, *root, name, at, v),
                                           loops::read_register(array, type, v))));
      }
    }
    for (int v = 0; v < run.vectors; ++v) {
      auto accumulate = [&](size_t which, const std::function<Expr(Expr so_far)>& step) {
        body.push_back(loops::write_register(arrays[which], v, step(loops::read_register(arrays[which], type, v))));
      };
      const Expr pivot = is_moments(*root) ? lowering_.bind("pivot", kept(run, *root, "pivot", at, v), out) : Expr();
      const Expr x = element(run, *root, rows, loops::variable(r), v, vector_at(column, run, v), predicates[v], body);
      if (!is_moments(*root)) {
        accumulate(0, [&](Expr so_far) { return loops::binary(reduction_combiner(reduction_of(*root).kind), std::move(so_far), x); });
        continue;
      }
      const Expr d = lowering_.bind("d", x - pivot, body);
      accumulate(0, [&](Expr so_far) { return std::move(so_far) + d; });
      accumulate(1, [&](Expr so_far) { return loops::fma(d, d, std::move(so_far)); });
    }
  }
  out.push_back(loops::loop(r, 0, Expr(rows.count), 1, std::move(body)));
  append(out, std::move(after));
}

// Where squares about the pivot are most of what they say of the variance, or overflow, the block's column is reduced once more,
// from memory: its first tile was not like the others.
std::vector<Stmt> TallReduction::finish_tiles(const ColumnRun& run, Expr column, Expr at, Expr block, const Ranges& rows) {
  std::vector<Stmt> out;
  const loops::Type type{loops::Scalar::f32, run.lanes};
  const Expr zero = loops::constant_of(type, 0), one = loops::constant_of(type, 1);
  const Expr inverse = lowering_.bind("inverse_count", loops::real(1) / loops::cast(loops::Scalar::f32, rows.row_end - rows.row_begin),
                                      out);
  for (Node* root : stage_.roots) {
    Expr any = zero;
    std::vector<Expr> lost;
    for (int v = 0; v < run.vectors; ++v) {
      const Expr vector = vector_at(column, run, v), predicate = column_predicate(lowering_, run, vector, out);
      auto emit = [&](const char* name, Expr value) { out.push_back(store(run, *root, name, block, vector, std::move(value), predicate)); };
      if (!is_moments(*root)) {
        emit("total", kept(run, *root, "total", at, v));
        continue;
      }
      const Expr sum = lowering_.bind("sum", kept(run, *root, "sum", at, v), out),
                 mean = lowering_.bind("mean", sum * loops::broadcast(inverse, run.lanes), out);
      const Expr square = lowering_.bind("square", kept(run, *root, "square", at, v), out),
                 deviations = lowering_.bind("deviations", square - sum * mean, out);
      emit("mean", mean);
      emit("variance", deviations * loops::broadcast(inverse, run.lanes));
      emit("pivot", kept(run, *root, "pivot", at, v));
      const Expr margin = deviations * loops::constant_of(type, most_lost) - square;   // NaN where squares overflow
      lost.push_back(
          lowering_.bind("lost", loops::select(zero <= margin, zero, predicate ? loops::select(predicate, one, zero) : one), out));
      any = loops::binary(loops::BinaryOp::maximum, any, lost.back());
    }
    if (is_moments(*root))
      out.push_back(loops::conditional(largest_lane(run, any) > loops::real(0), reduce_block(run, column, block, rows, {root}, lost),
                                       loops::Frequency::rare));
  }
  return out;
}

// `where`: of each vector a number for each column, 1 where what is found replaces what is stored; none: everywhere.
std::vector<Stmt> TallReduction::reduce_block(const ColumnRun& run, Expr column, Expr block, const Ranges& rows,
                                              const std::vector<Node*>& roots, const std::vector<Expr>& where) {
  const Shape& space = stage_.space();
  const bool flat = std::all_of(roots.begin(), roots.end(),
                                [&](const Node* root) { return reads_flat_rows(lowering_, root->operands[0]); });
  std::vector<Stmt> out;
  std::vector<Expr> columns, predicates;
  for (int v = 0; v < run.vectors; ++v) {
    columns.push_back(vector_at(column, run, v));
    predicates.push_back(column_predicate(lowering_, run, columns[v], out));
  }
  Reducer reducer(lowering_, run.lanes, run.vectors, {rows.row_begin, rows.row_end, whole_.row_end, std::nullopt},
                  [&](const Node& node, Expr p, int v, std::vector<Stmt>& to) {
                    Elements elements(lowering_, to, flat_index(lowering_, space, flat, p, column_index(run, columns[v])), predicates[v]);
                    return elements.value(node.operands[0]);
                  });
  reducer.run(roots, out);
  for (Node* root : roots) {
    for (int v = 0; v < run.vectors; ++v) {
      for (const std::string& name : names(*root)) {
        Expr value = name == "pivot" ? reducer.pivot(*root, v) : reducer.read(*root, name, v);
        if (!where.empty())
          value = loops::select(where[v] == loops::constant_of(where[v]->type, 1), value,
                                load(run, *root, name, block, columns[v], predicates[v]));
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
    const Expr count_a = rows_of(first, half), count_b = bind("count", rows_of(second, half));
    const Expr between = bind("between", partial("pivot", second) - partial("pivot", first));   // of two close numbers: exact
    const MomentsPair a{partial("mean", first), partial("variance", first)}, b{partial("mean", second), partial("variance", second)};
    const MomentsPair merged = merge_moments(a, b, bind("delta", between + (b.mean - a.mean)),
                                             bind("weight", count_b / (count_a + count_b)));
    out.push_back(store(run, *root, "mean", first, column, merged.mean, predicate));
    out.push_back(store(run, *root, "variance", first, column, merged.variance, predicate));
  }
  return out;
}

}  // namespace bnc::lower
