// Accumulation along a flattened range, for several vectors side by side.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "passes/lower/elements.h"

namespace bnc::lower {


const ReduceLowering& reduction_of(const Node& node);
bool is_moments(const Node& node);
// Where a combination starts, and what combines.
Expr reduction_identity(ReduceLowering::Kind kind, int lanes);
loops::BinaryOp reduction_combiner(ReduceLowering::Kind kind);
// The leading dimensions of `space`, up to `count`, at a flattened position; the others at 0.
Index leading_index(const Lowering& lowering, const Shape& space, int count, Expr position);
// Stores a stage's results at the kept coordinates of an index over its operand.
void store_reduction(Lowering& lowering, const Stage& stage, const Index& full, Expr predicate, std::vector<Stmt>& out,
                     const std::function<Expr(const Node&, int which)>& result);

// The loops of a stage that finds the number of the first maximum along an axis (first_maximum.cpp).
std::vector<Stmt> lower_first_maximum(Lowering& lowering, const Stage& stage, const Region& region);

// Sums add up chunks of fixed length, and then the chunks, so that the error grows with the root of the length and the
// order never depends on the threads.
// Moments are taken of the distance to a pivot, the mean of the part's first chunk, so that a mean far larger than the
// deviation costs no digits. Each chunk's squared deviations are about its own mean, found first; chunks are merged by
// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979), as variances
// and not as sums of squares, which overflow sooner the longer the range is. A constant channel gives exactly 0.
class Reducer {
 public:
  // `element(node, p, vector)` appends to its statement list what computes element `p` of the reduced range.
  using ElementAt = std::function<Expr(const Node&, Expr p, int vector, std::vector<Stmt>&)>;

  // The part of the reduced range to accumulate: `count` is the length of the whole range, `fixed` the part's where known.
  struct Part {
    Expr begin, end, count;
    std::optional<int64_t> fixed;
  };

  Reducer(Lowering& lowering, int lanes, int vectors, Part part, ElementAt element)
      : lowering_(lowering), type_{loops::Scalar::f32, lanes}, vectors_(vectors), part_(std::move(part)), element_(std::move(element)) {}

  // Appends the loops; what is below then gives what they found.
  void run(const std::vector<Node*>& nodes, std::vector<Stmt>& out);
  // Of the whole range: the sum, mean or maximum; of moments the mean (`which` = 0) and the variance (1).
  Expr result(const Node& node, int vector, int which) const;
  // Of a part: "total"; of moments "mean", relative to the pivot, and "variance", biased.
  Expr read(const Node& node, const std::string& name, int vector) const;
  Expr pivot(const Node& node, int vector) const { return pivots_.at({&node, vector}); }

 private:
  using Nodes = std::vector<Node*>;
  using Step = std::function<void(const Node&, int vector, Expr element, std::vector<Stmt>&)>;

  void declare(const Node& node, const std::vector<std::string>& names, std::vector<Stmt>& out);
  Stmt write(const Node& node, const std::string& name, int vector, Expr value) const;
  void each(const Nodes& nodes, const std::function<void(const Node&, int)>& body) const;
  void over(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out, const Step& step);
  void combine_into(const std::string& name, const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out);
  void sum_chunk(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out);
  void find_pivots(const Nodes& nodes, std::vector<Stmt>& out);
  void sum_distances(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out);
  void moments_of_one_chunk(const Nodes& nodes, std::vector<Stmt>& out);
  void moments_chunk(const Nodes& nodes, Expr begin, Expr end, std::vector<Stmt>& out);

  Lowering& lowering_;
  loops::Type type_;
  int vectors_;
  Part part_;
  ElementAt element_;
  std::map<std::pair<const Node*, std::string>, std::string> registers_;   // the register array of each name
  std::map<std::pair<const Node*, int>, Expr> pivots_;
};

// Mean and variance of two parts become those of both; means are relative to one pivot. `delta` is b's mean less a's, `weight_b`
// b's share of the elements.
struct MomentsPair {
  Expr mean, variance;
};
MomentsPair merge_moments(const MomentsPair& a, const MomentsPair& b, const Expr& delta, Expr weight_b);

}  // namespace bnc::lower
