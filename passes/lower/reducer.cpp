#include "passes/lower/reducer.h"

#include "passes/schedule/cost.h"

#include <algorithm>
#include <limits>

namespace bnc::lower {

using loops::BinaryOp;
using Kind = ReduceLowering::Kind;

const ReduceLowering& reduction_of(const Node& node) { return *node.op->lowering_as<ReduceLowering>(); }
bool is_moments(const Node& node) { return reduction_of(node).kind == Kind::moments; }

Expr reduction_identity(Kind kind, int lanes) {
  const double value = kind == Kind::maximum ? -std::numeric_limits<double>::infinity() : 0.0;
  return loops::constant_of({loops::Scalar::f32, lanes}, value);
}

BinaryOp reduction_combiner(Kind kind) { return kind == Kind::maximum ? BinaryOp::maximum : BinaryOp::add; }

void store_reduction(Lowering& lowering, const Stage& stage, const Index& full, Expr predicate, std::vector<Stmt>& out,
                     const std::function<Expr(const Node&, int which)>& result) {
  for (Node* root : stage.roots) {
    const auto axes = reduction_of(*root).axes(*root);
    const bool keep = reduction_of(*root).keep_dims && reduction_of(*root).keep_dims(*root);
    Index kept;
    for (size_t d = 0; d < full.size(); ++d) {
      if (!std::count(axes.begin(), axes.end(), static_cast<int>(d))) kept.push_back(full[d]);
      else if (keep) kept.push_back(Expr(0));
    }
    Elements elements(lowering, out, kept, predicate);
    for (int which = 0; which < static_cast<int>(root->results.size()); ++which) {
      elements.store(root->result(which), elements.bind(root->results[which].name, result(*root, which)));
    }
  }
}

MomentsPair merge_moments(const MomentsPair& a, const MomentsPair& b, const Expr& delta, Expr weight_b) {
  const Expr weight = loops::broadcast(std::move(weight_b), delta->type.lanes), step = delta * weight;
  return {a.mean + step, loops::fma(weight, b.variance - a.variance, a.variance) + step * (delta - step)};
}

namespace {

Expr as_float(Expr count) { return loops::cast(loops::Scalar::f32, std::move(count)); }

}  // namespace

void Reducer::run(const Nodes& nodes, std::vector<Stmt>& out) {
  Nodes sums, moments;
  for (Node* node : nodes) (is_moments(*node) ? moments : sums).push_back(node);
  if (!moments.empty()) find_pivots(moments, out);
  if (part_.fixed && *part_.fixed <= cost::reduction_chunk) {
    if (!sums.empty()) combine_into("total", sums, part_.begin, part_.end, out);
    if (!moments.empty()) moments_of_one_chunk(moments, out);
    return;
  }
  for (Node* node : nodes)
    declare(*node, is_moments(*node) ? std::vector<std::string>{"mean", "variance"} : std::vector<std::string>{"total"}, out);
  const std::string first = lowering_.fresh("chunk");
  const Expr begin = loops::variable(first), end = loops::binary(BinaryOp::minimum, begin + Expr(cost::reduction_chunk), part_.end);
  std::vector<Stmt> body;
  if (!sums.empty()) sum_chunk(sums, begin, end, body);
  if (!moments.empty()) moments_chunk(moments, begin, end, body);
  out.push_back(loops::loop(first, part_.begin, part_.end, cost::reduction_chunk, std::move(body)));
}

Expr Reducer::result(const Node& node, int vector, int which) const {
  if (is_moments(node)) return which == 0 ? pivot(node, vector) + read(node, "mean", vector) : read(node, "variance", vector);
  const Expr total = read(node, "total", vector);
  return reduction_of(node).kind == Kind::mean ? total / as_float(part_.count) : total;
}

Expr Reducer::read(const Node& node, const std::string& name, int vector) const {
  return loops::read_register(registers_.at({&node, name}), type_, vector);
}

Stmt Reducer::write(const Node& node, const std::string& name, int vector, Expr value) const {
  return loops::write_register(registers_.at({&node, name}), vector, std::move(value));
}

// Registers of a node, one a vector, set to where its combination starts.
void Reducer::declare(const Node& node, const std::vector<std::string>& names, std::vector<Stmt>& out) {
  for (const std::string& name : names) {
    std::string& array = registers_[{&node, name}];
    array = lowering_.fresh(name);
    out.push_back(loops::declare_registers(array, type_, vectors_));
    for (int v = 0; v < vectors_; ++v)
      out.push_back(loops::write_register(array, v, reduction_identity(reduction_of(node).kind, type_.lanes)));
  }
}

void Reducer::each(const Nodes& nodes, const std::function<void(const Node&, int)>& body) const {
  for (Node* node : nodes) {
    for (int v = 0; v < vectors_; ++v) body(*node, v);
  }
}

// for p in [begin, end): for each node and vector, `step` of the element.
void Reducer::over(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out, const Step& step) {
  const std::string name = lowering_.fresh("p");
  const bool bounded = part_.fixed && loops::is_constant(part_.begin, 0);
  const Expr p = bounded ? loops::bounded_variable(name, 0, *part_.fixed - 1) : loops::variable(name);
  std::vector<Stmt> body;
  for (int v = 0; v < vectors_; ++v) {
    for (Node* node : nodes) step(*node, v, element_(*node, p, v, body), body);
  }
  out.push_back(loops::loop(name, begin, end, 1, std::move(body)));
}

void Reducer::combine_into(const std::string& name, const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
  for (Node* node : nodes) declare(*node, {name}, out);
  over(nodes, begin, end, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
    body.push_back(write(node, name, v, loops::binary(reduction_combiner(reduction_of(node).kind), read(node, name, v), x)));
  });
}

void Reducer::sum_chunk(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
  combine_into("sum", nodes, begin, end, out);
  each(nodes, [&](const Node& node, int v) {
    out.push_back(
        write(node, "total", v, loops::binary(reduction_combiner(reduction_of(node).kind), read(node, "total", v), read(node, "sum", v))));
  });
}

// The mean of the part's first chunk, to rounding; the first element itself where the channel is constant.
void Reducer::find_pivots(const Nodes& nodes, std::vector<Stmt>& out) {
  const Expr end = loops::binary(BinaryOp::minimum, part_.begin + Expr(cost::reduction_chunk), part_.end);
  each(nodes, [&](const Node& node, int v) { pivots_[{&node, v}] = lowering_.bind("first", element_(node, part_.begin, v, out), out); });
  sum_distances(nodes, part_.begin, end, out);
  const Expr inverse = lowering_.bind("inverse_count", loops::real(1) / as_float(end - part_.begin), out);
  each(nodes, [&](const Node& node, int v) {
    Expr& pivot = pivots_[{&node, v}];
    pivot = lowering_.bind("pivot", pivot + read(node, "sum", v) * inverse, out);
  });
}

// "sum" becomes the sum of distances to the pivot.
void Reducer::sum_distances(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
  for (Node* node : nodes) declare(*node, {"sum"}, out);
  over(nodes, begin, end, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
    body.push_back(write(node, "sum", v, read(node, "sum", v) + (x - pivot(node, v))));
  });
}

// The pivot is the mean but for rounding: what is left of the sum of distances corrects it, and the sum of squares.
void Reducer::moments_of_one_chunk(const Nodes& nodes, std::vector<Stmt>& out) {
  for (Node* node : nodes) declare(*node, {"sum", "mean", "variance"}, out);
  over(nodes, part_.begin, part_.end, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
    const Expr d = lowering_.bind("d", x - pivot(node, v), body);
    body.push_back(write(node, "sum", v, read(node, "sum", v) + d));
    body.push_back(write(node, "variance", v, loops::fma(d, d, read(node, "variance", v))));
  });
  each(nodes, [&](const Node& node, int v) {
    const Expr count = as_float(part_.end - part_.begin), sum = read(node, "sum", v), mean = lowering_.bind("rest", sum / count, out);
    out.push_back(write(node, "mean", v, mean));
    out.push_back(write(node, "variance", v, (read(node, "variance", v) - sum * mean) / count));
  });
}

// Merges one chunk with those before it.
void Reducer::moments_chunk(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out) {
  const Expr chunk_count = lowering_.bind("chunk_count", as_float(end - begin), out);
  const Expr before = lowering_.bind("before", as_float(begin - part_.begin), out);
  const Expr inverse = lowering_.bind("inverse_count", loops::real(1) / chunk_count, out);
  const Expr weight = lowering_.bind("weight", chunk_count / (before + chunk_count), out);
  sum_distances(nodes, begin, end, out);
  std::map<std::pair<const Node*, int>, Expr> means;
  each(nodes, [&](const Node& node, int v) { means[{&node, v}] = lowering_.bind("chunk_mean", read(node, "sum", v) * inverse, out); });
  for (Node* node : nodes) declare(*node, {"part"}, out);
  over(nodes, begin, end, out, [&](const Node& node, int v, Expr x, std::vector<Stmt>& body) {
    const Expr d = lowering_.bind("d", (x - pivot(node, v)) - means[{&node, v}], body);
    body.push_back(write(node, "part", v, loops::fma(d, d, read(node, "part", v))));
  });
  each(nodes, [&](const Node& node, int v) {
    const MomentsPair so_far{read(node, "mean", v), read(node, "variance", v)}, here{means[{&node, v}], read(node, "part", v) * inverse};
    const Expr delta = lowering_.bind("delta", here.mean - so_far.mean, out);
    const MomentsPair merged = merge_moments(so_far, here, delta, weight);
    out.push_back(write(node, "mean", v, merged.mean));
    out.push_back(write(node, "variance", v, merged.variance));
  });
}

}  // namespace bnc::lower
