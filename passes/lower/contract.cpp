// Register-tiled loops of matrix products.
//
// A tile of rows x vectors accumulators stays in registers across the whole reduction: each step loads one row of the
// right operand's panel and, for each tile row, broadcasts one element of the left operand into as many multiply-adds as
// there are vectors. Bias, activation and updates that follow are computed on the tile before it is stored.
// A batched product has a right operand for each matrix: tiles then stay within one.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "ir/integers.h"
#include "passes/lower/contraction.h"
#include "passes/lower/elements.h"

namespace bnc::lower {
namespace {

using loops::LoopKind;

class TileLoops {
 public:
  TileLoops(Lowering& lowering, const Stage& stage, const Region& region, const Packing& packing)
      : lowering_(lowering),
        stage_(stage),
        node_(*stage.roots.front()),
        space_(stage.space()),
        ranges_(ranges_of(lowering, space_, region)),
        packing_(packing),
        contraction_(node_.op->lowering_as<ContractLowering>()->parts(node_).front()) {}

  std::vector<Stmt> run() {
    if (is_batched_product(node_)) return over_matrices();
    std::vector<Stmt> out;
    columns({ranges_.row_begin, ranges_.row_end, ranges_.rows}, out);
    return out;
  }

 private:
  // Rows of one matrix, or of all where they have one right operand.
  struct Rows {
    Expr begin, end;
    std::optional<int64_t> count;
  };

  void columns(const Rows& rows, std::vector<Stmt>& out) {
    for (const ColumnRun& run : runs()) {
      out.push_back(over_columns(lowering_, run, [&](Expr column) {
        std::vector<Stmt> body;
        if (packing_.panel >= 0) copy_panel(run, column, body);
        // Full tiles, then one smaller tile, or single rows where their number is not known.
        over_tiles(lowering_, rows.begin, rows.end, rows.count, packing_.tile.rows, body,
                   [&](Expr row, int count, std::vector<Stmt>& tile) { tile = micro(run, column, std::move(row), count); });
        return body;
      }));
    }
  }

  // Columns that do not lie side by side and are not copied are taken one by one.
  std::vector<ColumnRun> runs() const {
    const bool apart = is_batched_product(node_) && !packing_.columns_adjacent && packing_.panel < 0;
    if (apart) return {{ranges_.column_begin, ranges_.column_end, 1, 1, true, false}};
    return column_runs(lowering_, ranges_, packing_.tile.vectors);
  }

  // The task's rows, matrix by matrix. A task owns whole matrices, or lies within one, or else may begin and end anywhere.
  std::vector<Stmt> over_matrices() {
    const Dim height = space_[space_.size() - 2];
    const Expr rows = lowering_.extent(height);
    const std::optional<int64_t> fixed = lowering_.fixed(height);
    std::vector<Stmt> out;
    if (fixed && packing_.task_rows > 0 && packing_.task_rows < *fixed && *fixed % packing_.task_rows == 0) {
      choose_matrix(lowering_.bind("matrix", ranges_.row_begin / rows, out), out);
      const Expr begin = lowering_.bind("first", ranges_.row_begin % rows, out);
      rows_of_matrix({begin, begin + (ranges_.row_end - ranges_.row_begin), ranges_.rows}, out);
      return out;
    }
    const bool whole = packing_.task_rows == 0 || (fixed && packing_.task_rows % *fixed == 0);
    const std::string name = lowering_.fresh("matrix");
    const Expr matrix = loops::variable(name), last = whole ? ranges_.row_end / rows : (ranges_.row_end + rows - Expr(1)) / rows;
    std::vector<Stmt> body;
    choose_matrix(matrix, body);
    if (whole) {
      rows_of_matrix({Expr(0), rows, fixed}, body);
    } else {
      const Expr begin = loops::binary(loops::BinaryOp::maximum, ranges_.row_begin - matrix * rows, Expr(0)),
                 end = loops::binary(loops::BinaryOp::minimum, ranges_.row_end - matrix * rows, rows);
      rows_of_matrix({lowering_.bind("first", begin, body), lowering_.bind("last", end, body), std::nullopt}, body);
    }
    out.push_back(loops::loop(name, ranges_.row_begin / rows, last, 1, std::move(body)));
    return out;
  }

  void rows_of_matrix(const Rows& rows, std::vector<Stmt>& out) {
    if (packing_.left_panel < 0) return columns(rows, out);
    over_tiles(lowering_, rows.begin, rows.end, rows.count, packing_.left_rows, out, [&](Expr row, int count, std::vector<Stmt>& body) {
      copy_left(row, count, body);
      columns({row, row + Expr(count), count}, body);
    });
  }

  // Rows of a left operand that is turned around, where they lie side by side: [reduction][row].
  void copy_left(const Expr& first, int64_t count, std::vector<Stmt>& out) {
    const int lanes = lowering_.target.float_lanes();
    const std::string k = lowering_.fresh("k"), v = lowering_.fresh("v");
    copied_rows_ = first;
    std::vector<Stmt> step;
    auto copy = [&](int64_t from, int64_t to, int width) {
      if (from == to) return;
      std::vector<Stmt> body;
      auto vector = [&](Expr at) { return width == 1 ? at : loops::ramp(at, 1, width); };
      const Expr row = Expr(from) + loops::variable(v) * Expr(width);
      const Expr x = Elements(lowering_, body, {}).value(node_.operands[0],
                                                         contraction_.left(place(vector(first + row), Expr(0)), {loops::variable(k)}));
      body.push_back(loops::store(packing_.left_panel, vector(loops::variable(k) * Expr(packing_.left_stride()) + row), x));
      step.push_back(loops::loop(v, 0, Expr((to - from) / width), 1, std::move(body), LoopKind::unrolled));
    };
    copy(0, count / lanes * lanes, lanes);
    copy(count / lanes * lanes, count, 1);
    out.push_back(loops::loop(k, 0, length(), 1, std::move(step)));
  }

  // The index of the dimensions in front of the matrix.
  void choose_matrix(Expr number, std::vector<Stmt>& out) {
    leading_.assign(space_.size() - 2, Expr(0));
    for (size_t d = leading_.size(); d-- > 0;) {
      if (space_[d].is_one()) continue;
      const Expr extent = lowering_.extent(space_[d]);
      leading_[d] = lowering_.bind("i", d == 0 ? number : number % extent, out);
      number = number / extent;
    }
  }

  // The place in the result; of a batched product, `row` is one of the current matrix.
  Index place(Expr row, Expr column) const {
    if (leading_.empty()) return index_at(lowering_, space_, std::move(row), std::move(column));
    Index index = leading_;
    index.push_back(space_[space_.size() - 2].is_one() ? Expr(0) : row);
    index.push_back(space_.back().is_one() ? Expr(0) : column);
    return index;
  }

  // The right operand's elements of a column step, [reduction][column]: some columns at a time, so that any order of theirs will do.
  void copy_panel(const ColumnRun& run, const Expr& first, std::vector<Stmt>& out) {
    BNC_CHECK(contraction_.reduction.size() == 1, "a product of matrices sums along one dimension");
    if (packing_.columns_adjacent && run.lanes > 1) return copy_adjacent(run, first, out);
    const int64_t width = panel_width(), step = run.lanes == 1 ? 1 : 8;
    const Expr most = int64_t{run.vectors} * run.lanes,
               count = lowering_.bind("count", loops::binary(loops::BinaryOp::minimum, run.end - first, most), out);
    const std::string j = lowering_.fresh("j"), u = lowering_.fresh("u"), k = lowering_.fresh("k");
    auto from_to = [&](const Expr& begin, const Expr& end, int64_t together) {
      std::vector<Stmt> copy;
      const Expr column = loops::variable(j) + loops::variable(u);
      const Index index = contraction_.right(place(Expr(0), first + column), {loops::variable(k)});
      const Expr x = Elements(lowering_, copy, {}).value(node_.operands[1], index);
      copy.push_back(loops::store(packing_.panel, loops::variable(k) * Expr(width) + column, x));
      const Stmt columns = loops::loop(u, 0, Expr(together), 1, std::move(copy), LoopKind::unrolled);
      out.push_back(loops::loop(j, begin, end, together, {loops::loop(k, 0, length(), 1, {columns})}));
    };
    const Expr whole = step == 1 ? Expr(0) : lowering_.bind("whole", count / Expr(step) * Expr(step), out);
    if (step > 1) from_to(Expr(0), whole, step);
    const auto known = loops::as_integer(count);
    if (!known || *known % step != 0 || step == 1) from_to(whole, count, 1);
  }

  void copy_adjacent(const ColumnRun& run, const Expr& first, std::vector<Stmt>& out) {
    const std::string k = lowering_.fresh("k");
    std::vector<Stmt> copy;
    for (int v = 0; v < run.vectors; ++v) {
      const Expr column = first + Expr(int64_t{v} * run.lanes), predicate = column_predicate(lowering_, run, column, out);
      const Index index = contraction_.right(place(Expr(0), column_index(run, column)), {loops::variable(k)});
      const Expr x = Elements(lowering_, copy, {}, predicate).value(node_.operands[1], index);
      const Expr at = loops::variable(k) * Expr(panel_width()) + Expr(int64_t{v} * run.lanes);
      copy.push_back(loops::store(packing_.panel, loops::ramp(at, 1, run.lanes), x));
    }
    out.push_back(loops::loop(k, 0, length(), 1, std::move(copy)));
  }

  int64_t panel_width() const { return static_cast<int64_t>(packing_.tile.vectors) * lowering_.target.float_lanes(); }

  std::vector<Stmt> micro(const ColumnRun& run, Expr column, Expr row, int tile_rows) {
    const loops::Type type{loops::Scalar::f32, run.lanes};
    const int vectors = run.vectors;
    const std::string acc = lowering_.fresh("acc"), panel = lowering_.fresh("panel"), r = lowering_.fresh("r"), v = lowering_.fresh("v");
    const Expr tile_row = row + loops::variable(r), tile_column = column + loops::variable(v) * Expr(run.lanes);
    auto unrolled = [](const std::string& name, int count, std::vector<Stmt> body) {
      return loops::loop(name, 0, count, 1, std::move(body), LoopKind::unrolled);
    };

    std::vector<Stmt> out{loops::declare_registers(acc, type, static_cast<int64_t>(tile_rows) * vectors),
                          loops::declare_registers(panel, type, vectors)};
    out.push_back(unrolled(v, tile_rows * vectors, {loops::write_register(acc, loops::variable(v), loops::constant_of(type, 0))}));

    Index reduction;
    for (size_t d = 0; d < contraction_.reduction.size(); ++d) reduction.push_back(loops::variable(lowering_.fresh("k")));
    std::vector<Stmt> load_panel, rows_body;
    load_panel.push_back(loops::write_register(panel, loops::variable(v), right(run, column, tile_column, reduction, load_panel)));
    const Expr a = left(tile_row, tile_column, row, loops::variable(r), tile_rows, reduction, rows_body);
    const Expr position = loops::variable(r) * Expr(vectors) + loops::variable(v);
    rows_body.push_back(
        unrolled(v, vectors,
                 {loops::write_register(acc, position,
                                        loops::fma(loops::broadcast(a, run.lanes), loops::read_register(panel, type, loops::variable(v)),
                                                   loops::read_register(acc, type, position)))}));
    std::vector<Stmt> step{unrolled(v, vectors, std::move(load_panel)), unrolled(r, tile_rows, std::move(rows_body))};
    if (packing_.totals >= 0) {
      append(out, in_parts(reduction, std::move(step), type, acc, v, tile_rows * vectors));
    } else {
      for (size_t d = contraction_.reduction.size(); d-- > 0;)
        step = {loops::loop(reduction[d]->name, 0, lowering_.extent(contraction_.reduction[d]), 1, std::move(step))};
      append(out, std::move(step));
    }
    out.push_back(
        unrolled(r, tile_rows, {unrolled(v, vectors, epilogue(run, tile_row, tile_column, loops::read_register(acc, type, position)))}));
    return out;
  }

  // The loop of a long sum, in parts of even length: behind each the sums are added to their totals and begin again from zero.
  std::vector<Stmt> in_parts(const Index& reduction, std::vector<Stmt> step, const loops::Type& type, const std::string& acc,
                             const std::string& v, int64_t sums) {
    BNC_CHECK(reduction.size() == 1, "a product of matrices sums along one dimension");
    const int64_t all = *lowering_.fixed(contraction_.reduction.front()), length = divide_up(all, divide_up(all, longest_sum));
    const Expr which = loops::variable(v), place = type.lanes == 1 ? which : loops::ramp(which * Expr(type.lanes), 1, type.lanes),
               zero = loops::constant_of(type, 0);
    const Expr total = loops::load(packing_.totals, loops::Scalar::f32, place), sum = loops::read_register(acc, type, which);
    auto each = [&](std::vector<Stmt> body) { return loops::loop(v, 0, Expr(sums), 1, std::move(body), LoopKind::unrolled); };
    const std::string part = lowering_.fresh("part");
    const Expr begin = loops::variable(part), end = begin + Expr(length);
    std::vector<Stmt> body{
        loops::loop(reduction.front()->name, begin, all % length == 0 ? end : loops::binary(loops::BinaryOp::minimum, end, Expr(all)), 1,
                    std::move(step)),
        each({loops::store(packing_.totals, place, total + sum), loops::write_register(acc, which, zero)})};
    return {each({loops::store(packing_.totals, place, zero)}), loops::loop(part, 0, Expr(all), length, std::move(body)),
            each({loops::write_register(acc, which, total)})};
  }

  // Stores the tile's element at (row, column), and whatever is computed from it.
  std::vector<Stmt> epilogue(const ColumnRun& run, Expr row, Expr column, Expr sum) {
    std::vector<Stmt> body;
    const Expr predicate = column_predicate(lowering_, run, column, body);
    Elements elements(lowering_, body, place(row, column_index(run, column)), predicate);
    for (Node* root : stage_.roots) {
      const Expr value = elements.bind(root->results[0].name, root == &node_ ? sum : elements.compute(*root, elements.index()));
      elements.define(root->result(), value);
      elements.store(root->result(), value);
    }
    return body;
  }

  // The position of a reduction index within the flattened reduction, and the reduction's length.
  Expr flat(const Index& reduction) const {
    Expr position = 0;
    for (size_t d = 0; d < reduction.size(); ++d) position = position * lowering_.extent(contraction_.reduction[d]) + reduction[d];
    return position;
  }
  Expr length() const {
    Expr count = 1;
    for (const Dim& dim : contraction_.reduction) count = count * lowering_.extent(dim);
    return count;
  }

  Expr right(const ColumnRun& run, Expr first_column, Expr column, const Index& reduction, std::vector<Stmt>& out) {
    if (packing_.panel >= 0) {
      const Expr position = flat(reduction) * Expr(panel_width()) + (column - first_column);
      return loops::load(packing_.panel, loops::Scalar::f32, run.lanes == 1 ? position : loops::ramp(position, 1, run.lanes));
    }
    if (packing_.right >= 0) {
      const Expr width = panel_width();
      const Expr panel_begin = run.lanes == 1 ? first_column / width * width : first_column;
      const Expr position = panel_begin * length() + flat(reduction) * width + (column - panel_begin);
      return loops::load(packing_.right, loops::Scalar::f32, column_index(run, position));
    }
    Elements elements(lowering_, out, {}, column_predicate(lowering_, run, column, out));
    const Expr b = elements.value(node_.operands[1],
                                  contraction_.right(place(Expr(0), column_index(run, column)), reduction));
    return b->type.lanes == run.lanes ? b : loops::broadcast(b, run.lanes);
  }

  Expr left(Expr row, Expr column, Expr first_row, Expr r, int tile_rows, const Index& reduction, std::vector<Stmt>& out) {
    Elements elements(lowering_, out, {});
    if (packing_.left_panel >= 0) {
      const Expr position = flat(reduction) * Expr(packing_.left_stride()) + (row - copied_rows_);
      return elements.bind("a", loops::load(packing_.left_panel, loops::Scalar::f32, position));
    }
    if (packing_.left >= 0) {
      const Expr tile = packing_.tile.rows;
      const bool whole_tile = tile_rows == packing_.tile.rows || ranges_.rows;
      const Expr tile_begin = whole_tile ? first_row : row / tile * tile, within = whole_tile ? r : row % tile;
      return elements.bind("a", loops::load(packing_.left, loops::Scalar::f32, tile_begin * length() + flat(reduction) * tile + within));
    }
    return elements.value(node_.operands[0], contraction_.left(place(row, column), reduction));
  }

  Lowering& lowering_;
  const Stage& stage_;
  const Node& node_;
  const Shape& space_;
  const Ranges ranges_;
  const Packing& packing_;
  const ContractLowering::Part contraction_;
  Index leading_;       // of the current matrix; empty where all rows have one right operand
  Expr copied_rows_;    // of the current matrix, from which on the left operand has been copied
};

}  // namespace

// Estimated cycles of one reduction step of a tile: multiply-adds, or loads and broadcasts, or the latency of the
// accumulators' chains, whichever is longest; and a little for each load that misses the first cache.
static double step_cycles(int64_t rows, int64_t vectors) {
  return static_cast<double>(std::max({rows * vectors, rows + vectors, int64_t{8}})) + 0.1 * static_cast<double>(rows + vectors);
}

Tile choose_tile(const Lowering& lowering, std::optional<int64_t> rows, std::optional<int64_t> columns, int64_t least, int64_t most) {
  const TargetDescription& target = lowering.target;
  const int64_t row_count = rows.value_or(1 << 20);
  const int64_t spare = target.vector_registers >= 32 ? 3 : 1;   // broadcasts in flight
  const int64_t vector_count = columns ? std::max<int64_t>(1, divide_up(*columns, target.float_lanes())) : 1;
  Tile best;
  double best_cycles = std::numeric_limits<double>::infinity();
  for (int64_t v = std::min(vector_count, least); v <= std::min(vector_count, most); ++v) {
    for (int64_t r = 1; r <= std::min<int64_t>(row_count, 16) && r * v + v + spare <= target.vector_registers; ++r) {
      auto columns_cycles = [&](int64_t tile_rows) {
        return static_cast<double>(vector_count / v) * step_cycles(tile_rows, v) +
               (vector_count % v ? step_cycles(tile_rows, vector_count % v) : 0);
      };
      const double cycles = static_cast<double>(row_count / r) * columns_cycles(r) + (row_count % r ? columns_cycles(row_count % r) : 0);
      if (cycles < best_cycles) {
        best_cycles = cycles;
        best = {static_cast<int>(r), static_cast<int>(v)};
      }
    }
  }
  return best;
}

std::vector<Stmt> lower_contract(Lowering& lowering, const Stage& stage, const Region& region, const Packing& packing) {
  return TileLoops(lowering, stage, region, packing).run();
}

}  // namespace bnc::lower
