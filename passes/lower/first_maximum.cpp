// The number of the first maximum along an axis: each lane keeps the largest element so far and its number, in one pass, so that an
// element that is computed where it is read is computed once.
#include <limits>

#include "passes/lower/reducer.h"

namespace bnc::lower {
namespace {

using loops::BinaryOp;
using loops::Scalar;

// The largest element so far, or the first NaN, and where it stands.
struct Found {
  Expr element, number;
};

// Whether an element that stands further on replaces the largest so far.
Expr replaces(const Expr& element, const Expr& largest) {
  const Expr first_nan = loops::binary(BinaryOp::logical_and, loops::binary(BinaryOp::not_equal, element, element), largest == largest);
  return loops::binary(BinaryOp::logical_or, largest < element, first_nan);
}

class FirstMaximum {
 public:
  FirstMaximum(Lowering& lowering, const Stage& stage, const Region& region)
      : lowering_(lowering), stage_(stage), region_(region), node_(*stage.roots.front()), space_(stage.space()) {}

  // Along the dimension in front of the last: a vector's columns each have their own.
  std::vector<Stmt> along_rows() {
    const int axis = static_cast<int>(space_.size()) - 2;
    Region panel = region_;
    panel.all_rows = true;
    return over_kept(axis, [&](const Index& kept) {
      std::vector<Stmt> out;
      for (const ColumnRun& run : column_runs(lowering_, ranges_of(lowering_, space_, panel), 1, column_breaks(lowering_, stage_))) {
        out.push_back(over_columns(lowering_, run, [&](Expr column) {
          std::vector<Stmt> body, step;
          const Expr predicate = column_predicate(lowering_, run, column, body);
          Index index = kept;
          index.back() = column_index(run, column);
          start(run.lanes, body);
          const std::string p = lowering_.fresh("p");
          index[static_cast<size_t>(axis)] = loops::variable(p);
          take(index, predicate, loops::cast(Scalar::i32, loops::variable(p)), step);
          body.push_back(loops::loop(p, 0, lowering_.extent(space_[static_cast<size_t>(axis)]), 1, std::move(step)));
          index[static_cast<size_t>(axis)] = Expr(0);
          store_reduction(lowering_, stage_, index, predicate, body, [&](const Node&, int) { return found().number; });
          return body;
        }));
      }
      return out;
    });
  }

  // Along the last dimension: a vector's lanes compete at the end.
  std::vector<Stmt> along_columns() {
    return over_kept(static_cast<int>(space_.size()) - 1, [&](const Index& kept) {
      std::vector<Stmt> out;
      Found total;
      for (const ColumnRun& run : column_runs(lowering_, ranges_of(lowering_, space_, Region{}), 1, column_breaks(lowering_, stage_))) {
        start(run.lanes, out);
        out.push_back(over_columns(lowering_, run, [&](Expr column) {
          std::vector<Stmt> body;
          Index index = kept;
          index.back() = column_index(run, column);
          const Expr predicate = column_predicate(lowering_, run, column, body);
          take(index, predicate, loops::cast(Scalar::i32, column_index(run, column)), body);
          return body;
        }));
        const Found part = of_all_lanes(out);
        if (!total.element) {
          total = part;
          continue;
        }
        const Expr better = lowering_.bind("better", replaces(part.element, total.element), out);
        total = {lowering_.bind("largest", loops::select(better, part.element, total.element), out),
                 lowering_.bind("number", loops::select(better, part.number, total.number), out)};
      }
      store_reduction(lowering_, stage_, kept, {}, out, [&](const Node&, int) { return total.number; });
      return out;
    });
  }

 private:
  std::vector<Stmt> over_kept(int axis, const std::function<std::vector<Stmt>(const Index&)>& body) {
    if (axis == 0) return body(Index(space_.size(), Expr(0)));
    Shape outer(space_.begin(), space_.begin() + axis);
    outer.push_back(Dim{});
    const Ranges ranges = ranges_of(lowering_, outer, region_);
    const std::string kept = lowering_.fresh("kept");
    return {loops::loop(kept, ranges.row_begin, ranges.row_end, 1,
                        body(leading_index(lowering_, space_, axis, loops::variable(kept))))};
  }

  void start(int lanes, std::vector<Stmt>& out) {
    largest_type_ = {Scalar::f32, lanes};
    number_type_ = {Scalar::i32, lanes};
    largest_ = lowering_.fresh("largest");
    number_ = lowering_.fresh("number");
    out.push_back(loops::declare_registers(largest_, largest_type_, 1));
    out.push_back(loops::declare_registers(number_, number_type_, 1));
    out.push_back(loops::write_register(largest_, 0, loops::constant_of(largest_type_, -std::numeric_limits<double>::infinity())));
    out.push_back(loops::write_register(number_, 0, loops::constant_of(number_type_, 0)));
  }

  Found found() const { return {loops::read_register(largest_, largest_type_, 0), loops::read_register(number_, number_type_, 0)}; }

  // What a mask leaves out is never larger.
  void take(const Index& index, const Expr& predicate, Expr number, std::vector<Stmt>& out) {
    Elements elements(lowering_, out, index, predicate);
    Expr x = elements.value(node_.operands[0]);
    if (x->type.lanes != largest_type_.lanes) x = loops::broadcast(x, largest_type_.lanes);
    if (number->type.lanes != largest_type_.lanes) number = loops::broadcast(number, largest_type_.lanes);
    if (predicate) x = loops::select(predicate, x, loops::constant_of(largest_type_, -std::numeric_limits<double>::infinity()));
    x = lowering_.bind("x", x, out);
    const Expr better = lowering_.bind("better", replaces(x, found().element), out);
    out.push_back(loops::write_register(number_, 0, loops::select(better, number, found().number)));
    out.push_back(loops::write_register(largest_, 0, loops::select(better, x, found().element)));
  }

  Found of_all_lanes(std::vector<Stmt>& out) {
    const Found lanes = found();
    if (largest_type_.lanes == 1) return {lowering_.bind("largest", lanes.element, out), lowering_.bind("number", lanes.number, out)};
    const Expr largest = lowering_.bind("largest", loops::reduce_lanes(BinaryOp::maximum, lanes.element), out);
    const Expr wins = loops::binary(BinaryOp::logical_or, lanes.element == largest,
                                    loops::binary(BinaryOp::not_equal, lanes.element, lanes.element));
    const Expr numbers = loops::select(wins, lanes.number, loops::constant_of(number_type_, std::numeric_limits<int32_t>::max()));
    return {largest, lowering_.bind("number", loops::reduce_lanes(BinaryOp::minimum, numbers), out)};
  }

  Lowering& lowering_;
  const Stage& stage_;
  const Region& region_;
  const Node& node_;
  const Shape& space_;
  loops::Type largest_type_, number_type_;
  std::string largest_, number_;   // registers
};

}  // namespace

std::vector<Stmt> lower_first_maximum(Lowering& lowering, const Stage& stage, const Region& region) {
  const int rank = static_cast<int>(stage.space().size()), axis = reduction_of(*stage.roots.front()).axes(*stage.roots.front()).front();
  FirstMaximum loops(lowering, stage, region);
  if (axis == rank - 1) return loops.along_columns();
  BNC_CHECK(axis == rank - 2, "decompose has not run on " + stage.roots.front()->results[0].name);
  return loops.along_rows();
}

}  // namespace bnc::lower
