// Register-tiled loops of matrix products.
//
// A tile of rows x vectors accumulators stays in registers across the whole reduction: each step loads one row of the
// right operand's panel and, for each tile row, broadcasts one element of the left operand into as many multiply-adds as
// there are vectors. Bias, activation and updates that follow are computed on the tile before it is stored.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

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
    std::vector<Stmt> out;
    for (const ColumnRun& run : column_runs(lowering_, ranges_, packing_.tile.vectors)) {
      out.push_back(over_columns(lowering_, run, [&](Expr column) { return rows(run, column); }));
    }
    return out;
  }

 private:
  // All rows of one column step: full tiles, then one smaller tile, or single rows where their number is not known.
  std::vector<Stmt> rows(const ColumnRun& run, Expr column) {
    std::vector<Stmt> out;
    over_tiles(lowering_, ranges_.row_begin, ranges_.row_end, ranges_.rows, packing_.tile.rows, out,
               [&](Expr row, int count, std::vector<Stmt>& body) { body = micro(run, column, std::move(row), count); });
    return out;
  }

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
    Elements elements(lowering_, body, index_at(lowering_, space_, row, column_index(run, column)), predicate);
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
    if (packing_.right >= 0) {
      const Expr width = static_cast<int64_t>(packing_.tile.vectors) * lowering_.target.float_lanes();
      const Expr panel_begin = run.lanes == 1 ? first_column / width * width : first_column;
      const Expr position = panel_begin * length() + flat(reduction) * width + (column - panel_begin);
      return loops::load(packing_.right, loops::Scalar::f32, column_index(run, position));
    }
    Elements elements(lowering_, out, {}, column_predicate(lowering_, run, column, out));
    const Expr b = elements.value(node_.operands[1],
                                  contraction_.right(index_at(lowering_, space_, Expr(0), column_index(run, column)), reduction));
    return b->type.lanes == run.lanes ? b : loops::broadcast(b, run.lanes);
  }

  Expr left(Expr row, Expr column, Expr first_row, Expr r, int tile_rows, const Index& reduction, std::vector<Stmt>& out) {
    Elements elements(lowering_, out, {});
    if (packing_.left >= 0) {
      const Expr tile = packing_.tile.rows;
      const bool whole_tile = tile_rows == packing_.tile.rows || ranges_.rows;
      const Expr tile_begin = whole_tile ? first_row : row / tile * tile, within = whole_tile ? r : row % tile;
      return elements.bind("a", loops::load(packing_.left, loops::Scalar::f32, tile_begin * length() + flat(reduction) * tile + within));
    }
    return elements.value(node_.operands[0], contraction_.left(index_at(lowering_, space_, row, column), reduction));
  }

  Lowering& lowering_;
  const Stage& stage_;
  const Node& node_;
  const Shape& space_;
  const Ranges ranges_;
  const Packing& packing_;
  const ContractLowering::Part contraction_;
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
  const int64_t vector_count = columns ? std::max<int64_t>(1, (*columns + target.float_lanes() - 1) / target.float_lanes()) : 1;
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
