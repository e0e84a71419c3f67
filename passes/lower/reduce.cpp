// Loops of reductions.
//
// A reduction runs over a flattened range of P elements for each kept element. Sums add up chunks of fixed length, and
// then the chunks, so that the error grows with the root of P and the order never depends on the threads.
// Moments are taken of the distance to a pivot, the first chunk's mean, so that a mean far larger than the deviation
// costs no digits. Each chunk's squared deviations are about its own mean, found first; chunks are merged by Chan, Golub
// and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979). A constant channel
// gives exactly 0.
#include <algorithm>
#include <limits>

#include "passes/lower/elements.h"

namespace bnc::lower {
namespace {

using loops::BinaryOp;
using Kind = ReduceLowering::Kind;

constexpr int64_t chunk = 128;
constexpr int column_vectors = 2;  // side by side; more hide more of the additions' latency, and make more code

const ReduceLowering& reduction_of(const Node& node) { return *node.op->lowering_as<ReduceLowering>(); }

Expr identity(Kind kind, int lanes) {
  const double value = kind == Kind::maximum ? -std::numeric_limits<double>::infinity() : 0.0;
  return loops::constant_of({loops::Scalar::f32, lanes}, value);
}

BinaryOp combiner(Kind kind) { return kind == Kind::maximum ? BinaryOp::maximum : BinaryOp::add; }

// One reduction of several vectors side by side: their accumulators and how an element is found.
class Reducer {
 public:
  // `element(node, p, vector)` appends to its statement list what computes element `p` of the reduced range.
  using ElementAt = std::function<Expr(const Node&, Expr p, int vector, std::vector<Stmt>&)>;

  Reducer(Lowering& lowering, int lanes, int vectors, Expr count, std::optional<int64_t> fixed_count, ElementAt element)
      : lowering_(lowering), type_{loops::Scalar::f32, lanes}, vectors_(vectors), count_(std::move(count)), fixed_count_(fixed_count), element_(std::move(element)) {}

  // Appends the loops; `result` then gives what they found.
  void run(const std::vector<Node*>& nodes, std::vector<Stmt>& out) {
    std::vector<Node*> sums, moments;
    for (Node* node : nodes) (is_moments(*node) ? moments : sums).push_back(node);
    const bool one_chunk = fixed_count_ && *fixed_count_ <= chunk;
    if (!moments.empty()) find_pivots(moments, out);
    if (one_chunk) {
      if (!sums.empty()) sum_all(sums, out);
      if (!moments.empty()) moments_of_one_chunk(moments, out);
      return;
    }
    for (Node* node : nodes) declare(*node, is_moments(*node) ? std::vector<std::string>{"mean", "m2"} : std::vector<std::string>{"total"}, out);
    const std::string first = lowering_.fresh("chunk");
    const Expr begin = loops::variable(first), end = loops::binary(BinaryOp::minimum, begin + Expr(chunk), count_);
    std::vector<Stmt> body;
    if (!sums.empty()) sum_chunk(sums, begin, end, body);
    if (!moments.empty()) moments_chunk(moments, begin, end, body);
    out.push_back(loops::loop(first, 0, count_, chunk, std::move(body)));
  }

  Expr result(const Node& node, int vector, int which) const {
    const Expr count = loops::cast(loops::Scalar::f32, count_);
    if (is_moments(node)) {
      return which == 0 ? pivots_.at({&node, vector}) + read(node, "mean", vector) : read(node, "m2", vector) / count;
    }
    const Expr total = read(node, "total", vector);
    return kind(node) == Kind::mean ? total / count : total;
  }

 private:
  static Kind kind(const Node& node) { return reduction_of(node).kind; }
  static bool is_moments(const Node& node) { return kind(node) == Kind::moments; }

  // Registers of a node, one a vector, set to where its combination starts.
  void declare(const Node& node, const std::vector<std::string>& names, std::vector<Stmt>& out) {
    for (const std::string& name : names) {
      std::string& array = registers_[{&node, name}];
      array = lowering_.fresh(name);
      out.push_back(loops::declare_registers(array, type_, vectors_));
      for (int v = 0; v < vectors_; ++v) out.push_back(loops::write_register(array, v, identity(kind(node), type_.lanes)));
    }
  }
  Expr read(const Node& node, const std::string& name, int vector) const { return loops::read_register(registers_.at({&node, name}), type_, vector); }
  Stmt write(const Node& node, const std::string& name, int vector, Expr value) const {
    return loops::write_register(registers_.at({&node, name}), vector, std::move(value));
  }

  void each(const std::vector<Node*>& nodes, const std::function<void(const Node&, int)>& body) {
    for (Node* node : nodes) {
      for (int v = 0; v < vectors_; ++v) body(*node, v);
    }
  }

  // for p in [begin, end): for each node and vector, `step` of the element.
  void over_chunk(const std::vector<Node*>& nodes, Expr begin, Expr end, std::vector<Stmt>& out,
                  const std::function<void(const Node&, int, Expr, std::vector<Stmt>&)>& step) {
    const std::string p = lowering_.fresh("p");
    std::vector<Stmt> body;
    for (int v = 0; v < vectors_; ++v) {
      for (Node* node : nodes) step(*node, v, element_(*node, loops::variable(p), v, body), body);
    }
    out.push_back(loops::loop(p, begin, end, 1, std::move(body)));
  }

  void combine_into(const std::string& name, const std::vector<Node*>& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
    for (Node* node : nodes) declare(*node, {name}, out);
    over_chunk(nodes, begin, end, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
      body.push_back(write(node, name, v, loops::binary(combiner(kind(node)), read(node, name, v), x)));
    });
  }

  void sum_all(const std::vector<Node*>& nodes, std::vector<Stmt>& out) { combine_into("total", nodes, 0, count_, out); }

  void sum_chunk(const std::vector<Node*>& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
    combine_into("sum", nodes, begin, end, out);
    each(nodes, [&](const Node& node, int v) {
      out.push_back(write(node, "total", v, loops::binary(combiner(kind(node)), read(node, "total", v), read(node, "sum", v))));
    });
  }

  // The mean of the first chunk, to rounding; the first element itself where the channel is constant.
  void find_pivots(const std::vector<Node*>& nodes, std::vector<Stmt>& out) {
    const Expr end = loops::binary(BinaryOp::minimum, Expr(chunk), count_);
    each(nodes, [&](const Node& node, int v) { pivots_[{&node, v}] = bind("first", element_(node, 0, v, out), out); });
    sum_distances(nodes, 0, end, out);
    const Expr inverse = bind("inverse_count", loops::real(1) / loops::cast(loops::Scalar::f32, end), out);
    each(nodes, [&](const Node& node, int v) {
      Expr& pivot = pivots_[{&node, v}];
      pivot = bind("pivot", pivot + read(node, "sum", v) * inverse, out);
    });
  }

  // `sum` becomes the sum of distances to the pivot.
  void sum_distances(const std::vector<Node*>& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
    for (Node* node : nodes) declare(*node, {"sum"}, out);
    over_chunk(nodes, begin, end, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
      body.push_back(write(node, "sum", v, read(node, "sum", v) + (x - pivots_[{&node, v}])));
    });
  }

  // The pivot is the mean but for rounding: what is left of the sum of distances corrects it, and the sum of squares.
  void moments_of_one_chunk(const std::vector<Node*>& nodes, std::vector<Stmt>& out) {
    for (Node* node : nodes) declare(*node, {"sum", "mean", "m2"}, out);
    over_chunk(nodes, 0, count_, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
      const Expr d = bind("d", x - pivots_[{&node, v}], body);
      body.push_back(write(node, "sum", v, read(node, "sum", v) + d));
      body.push_back(write(node, "m2", v, loops::fma(d, d, read(node, "m2", v))));
    });
    each(nodes, [&](const Node& node, int v) {
      const Expr sum = read(node, "sum", v), mean = bind("rest", sum / loops::cast(loops::Scalar::f32, count_), out);
      out.push_back(write(node, "mean", v, mean));
      out.push_back(write(node, "m2", v, read(node, "m2", v) - sum * mean));
    });
  }

  // Merges one chunk's mean and squared deviations with those so far. Means are relative to the pivot.
  void moments_chunk(const std::vector<Node*>& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
    const Expr chunk_count = bind("chunk_count", loops::cast(loops::Scalar::f32, end - begin), out);
    const Expr before = bind("before", loops::cast(loops::Scalar::f32, begin), out);
    const Expr inverse = bind("inverse_count", loops::real(1) / chunk_count, out);
    const Expr weight = bind("weight", chunk_count / (before + chunk_count), out);
    sum_distances(nodes, begin, end, out);
    std::map<std::pair<const Node*, int>, Expr> means;
    each(nodes, [&](const Node& node, int v) { means[{&node, v}] = bind("chunk_mean", read(node, "sum", v) * inverse, out); });
    for (Node* node : nodes) declare(*node, {"part"}, out);
    over_chunk(nodes, begin, end, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
      const Expr d = bind("d", (x - pivots_[{&node, v}]) - means[{&node, v}], body);
      body.push_back(write(node, "part", v, loops::fma(d, d, read(node, "part", v))));
    });
    each(nodes, [&](const Node& node, int v) {
      const Expr delta = bind("delta", means[{&node, v}] - read(node, "mean", v), out);
      out.push_back(write(node, "mean", v, loops::fma(delta, loops::broadcast(weight, type_.lanes), read(node, "mean", v))));
      out.push_back(write(node, "m2", v, read(node, "m2", v) + read(node, "part", v) + delta * delta * (before * weight)));
    });
  }

  Expr bind(const std::string& stem, Expr value, std::vector<Stmt>& out) {
    const std::string name = lowering_.fresh(stem);
    const loops::Type type = value->type;
    out.push_back(loops::let(name, std::move(value)));
    return loops::variable(name, type);
  }

  Lowering& lowering_;
  loops::Type type_;
  int vectors_;
  Expr count_;
  std::optional<int64_t> fixed_count_;
  ElementAt element_;
  std::map<std::pair<const Node*, std::string>, std::string> registers_;   // the register array of each name
  std::map<std::pair<const Node*, int>, Expr> pivots_;
};

// The result's index for the kept coordinates of an index over the operand.
Index result_index(const Node& node, const Index& full) {
  const auto axes = reduction_of(node).axes(node);
  const bool keep = reduction_of(node).keep_dims && reduction_of(node).keep_dims(node);
  Index index;
  for (size_t d = 0; d < full.size(); ++d) {
    if (!std::count(axes.begin(), axes.end(), static_cast<int>(d))) index.push_back(full[d]);
    else if (keep) index.push_back(Expr(0));
  }
  return index;
}

void store_results(Lowering& lowering, const Stage& stage, const Index& full, Expr predicate, std::vector<Stmt>& out,
                   const std::function<Expr(const Node&, int which)>& result) {
  for (Node* root : stage.roots) {
    Elements elements(lowering, out, result_index(*root, full), predicate);
    for (size_t which = 0; which < root->results.size(); ++which) {
      elements.store(root->result(static_cast<int>(which)), elements.bind(root->results[which].name, result(*root, static_cast<int>(which))));
    }
  }
}

// The reduced dimensions are all but the last: vectors of columns, each accumulating down its rows.
std::vector<Stmt> reduce_rows(Lowering& lowering, const Stage& stage, const Region& region) {
  const Shape& space = stage.space();
  Region whole_rows = region;
  whole_rows.all_rows = true;
  const Ranges ranges = ranges_of(lowering, space, whole_rows);
  std::vector<Stmt> out;
  for (const ColumnRun& run : column_runs(lowering, ranges, column_vectors)) {
    out.push_back(over_columns(lowering, run, [&](Expr column) {
      std::vector<Stmt> body;
      auto place = [&](int v) { return column + Expr(static_cast<int64_t>(v) * run.lanes); };
      std::vector<Expr> predicates;
      for (int v = 0; v < run.vectors; ++v) predicates.push_back(column_predicate(lowering, run, place(v), body));
      Reducer reducer(lowering, run.lanes, run.vectors, ranges.row_end, ranges.rows, [&](const Node& node, Expr p, int v, std::vector<Stmt>& to) {
        Elements elements(lowering, to, index_at(lowering, space, p, column_index(run, place(v))), predicates[v]);
        return elements.value(node.operands[0]);
      });
      reducer.run(stage.roots, body);
      for (int v = 0; v < run.vectors; ++v) {
        store_results(lowering, stage, index_at(lowering, space, Expr(0), column_index(run, place(v))), predicates[v], body,
                      [&](const Node& node, int which) { return reducer.result(node, v, which); });
      }
      return body;
    }));
  }
  return out;
}

// The reduced dimensions are the last ones: for each kept element a vector runs along the columns of its rows.
std::vector<Stmt> reduce_columns(Lowering& lowering, const Stage& stage, const Region& region, int first_axis) {
  const Shape& space = stage.space();
  const Shape kept(space.begin(), space.begin() + first_axis), inner(space.begin() + first_axis, space.end() - 1);
  const Ranges whole = ranges_of(lowering, space, Region{});
  Ranges outer{Expr(0), Expr(1), 1, Expr(0), Expr(1), 1};
  if (first_axis > 0) {
    Shape outer_space = kept;
    outer_space.push_back(Dim{});
    outer = ranges_of(lowering, outer_space, region);
  }
  const Expr inner_rows = lowering.extent(*element_count(inner));

  const std::string row = lowering.fresh("row"), part_row = lowering.fresh("inner");
  std::vector<Stmt> body;
  std::map<const Node*, std::string> totals;
  for (Node* root : stage.roots) {
    totals[root] = lowering.fresh("total");
    body.push_back(loops::declare_registers(totals[root], {loops::Scalar::f32, 1}, 1));
    body.push_back(loops::write_register(totals[root], 0, identity(reduction_of(*root).kind, 1)));
  }
  std::vector<Stmt> row_body;
  for (const ColumnRun& run : column_runs(lowering, whole, 1)) {
    const loops::Type type{loops::Scalar::f32, run.lanes};
    std::map<const Node*, std::string> sums;
    for (Node* root : stage.roots) {
      sums[root] = lowering.fresh("sum");
      row_body.push_back(loops::declare_registers(sums[root], type, 1));
      row_body.push_back(loops::write_register(sums[root], 0, identity(reduction_of(*root).kind, run.lanes)));
    }
    row_body.push_back(over_columns(lowering, run, [&](Expr column) {
      std::vector<Stmt> step;
      const Expr full_row = loops::variable(row) * inner_rows + loops::variable(part_row);
      const Expr predicate = column_predicate(lowering, run, column, step);
      Elements elements(lowering, step, index_at(lowering, space, full_row, column_index(run, column)), predicate);
      for (Node* root : stage.roots) {
        const Kind kind = reduction_of(*root).kind;
        Expr x = elements.value(root->operands[0]);
        if (predicate) x = loops::select(predicate, x, identity(kind, run.lanes));
        step.push_back(loops::write_register(sums[root], 0, loops::binary(combiner(kind), loops::read_register(sums[root], type, 0), x)));
      }
      return step;
    }));
    for (Node* root : stage.roots) {
      const Kind kind = reduction_of(*root).kind;
      const Expr sum = loops::read_register(sums[root], type, 0);
      row_body.push_back(loops::write_register(totals[root], 0, loops::binary(combiner(kind), loops::read_register(totals[root], {loops::Scalar::f32, 1}, 0),
                                                                              run.lanes > 1 ? loops::reduce_lanes(combiner(kind), sum) : sum)));
    }
  }
  body.push_back(loops::loop(part_row, 0, inner_rows, 1, std::move(row_body)));
  Index full(space.size(), Expr(0));
  Expr rest = loops::variable(row);
  for (int d = first_axis; d-- > 0;) {
    const Expr extent = lowering.extent(space[d]);
    full[d] = d == 0 ? rest : rest % extent;
    if (d > 0) rest = rest / extent;
  }
  const Expr count = inner_rows * lowering.extent(space.back());
  store_results(lowering, stage, full, {}, body, [&](const Node& node, int) {
    const Expr total = loops::read_register(totals[&node], {loops::Scalar::f32, 1}, 0);
    return reduction_of(node).kind == Kind::mean ? total / loops::cast(loops::Scalar::f32, count) : total;
  });
  return {loops::loop(row, outer.row_begin, outer.row_end, 1, std::move(body))};
}

// Any set of axes, one kept element after another.
std::vector<Stmt> reduce_any(Lowering& lowering, const Stage& stage) {
  const Shape& space = stage.space();
  const auto axes = reduction_of(*stage.roots.front()).axes(*stage.roots.front());
  auto is_reduced = [&](size_t d) { return std::count(axes.begin(), axes.end(), static_cast<int>(d)) > 0; };
  Expr kept_count = 1, reduced_count = 1;
  for (size_t d = 0; d < space.size(); ++d) (is_reduced(d) ? reduced_count : kept_count) = (is_reduced(d) ? reduced_count : kept_count) * lowering.extent(space[d]);
  const std::string kept = lowering.fresh("kept");
  auto full_index = [&](Expr p) {
    Index index(space.size());
    Expr q = loops::variable(kept);
    for (size_t d = space.size(); d-- > 0;) {
      Expr& rest = is_reduced(d) ? p : q;
      const Expr extent = lowering.extent(space[d]);
      index[d] = rest % extent;
      rest = rest / extent;
    }
    return index;
  };
  std::vector<Stmt> body;
  Reducer reducer(lowering, 1, 1, reduced_count, loops::as_integer(reduced_count), [&](const Node& node, Expr p, int, std::vector<Stmt>& to) {
    Elements elements(lowering, to, full_index(p));
    return elements.value(node.operands[0]);
  });
  reducer.run(stage.roots, body);
  store_results(lowering, stage, full_index(Expr(0)), {}, body, [&](const Node& node, int which) { return reducer.result(node, 0, which); });
  return {loops::loop(kept, 0, kept_count, 1, std::move(body))};
}

}  // namespace

std::vector<Stmt> lower_reduce(Lowering& lowering, const Stage& stage, const Region& region) {
  const int rank = static_cast<int>(stage.space().size());
  const auto axes = reduction_of(*stage.roots.front()).axes(*stage.roots.front());
  const bool moments = std::any_of(stage.roots.begin(), stage.roots.end(), [](const Node* node) { return reduction_of(*node).kind == Kind::moments; });
  const bool consecutive = !axes.empty() && axes.back() - axes.front() + 1 == static_cast<int>(axes.size());
  if (consecutive && axes.front() == 0 && axes.back() == rank - 2) return reduce_rows(lowering, stage, region);
  if (consecutive && axes.back() == rank - 1 && !moments) return reduce_columns(lowering, stage, region, axes.front());
  BNC_CHECK(region.all_rows && region.all_columns, "a reduction over scattered axes cannot be split");
  return reduce_any(lowering, stage);
}

}  // namespace bnc::lower
