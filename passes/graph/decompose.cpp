// decompose: ops without a lowering of their own become parts that have one, and reductions over scattered axes become
// several, each over axes that lie together behind all others, or in front of the last one.
#include <algorithm>

#include "ir/ops/common.h"
#include "passes/graph/rewrite.h"
#include "passes/passes.h"

namespace bnc {

namespace {

using Kind = ReduceLowering::Kind;

bool lies_together(const std::vector<int>& axes) { return axes.back() - axes.front() + 1 == static_cast<int>(axes.size()); }

Value reduce_over(GraphBuilder& b, const std::string& op, Value x, const std::vector<int>& axes, bool keep_dims = false) {
  return b.value(op, {x}, {{"axes", ops::to_attribute(axes)}, {"keep_dims", keep_dims}});
}

// Sum, mean or maximum: over the last axes first, then over those in front. What is kept behind the last axes becomes one
// dimension.
Replacements split_reduction(GraphBuilder& b, Node& node, const std::vector<int>& axes) {
  const Value x = node.operands[0];
  const Shape& shape = x.type().shape;
  const int rank = x.type().rank();
  const TensorType result = node.results[0].type;
  if (axes.back() < rank - 2) {
    Shape merged(shape.begin(), shape.begin() + axes.back() + 1);
    merged.push_back(*element_count(Shape(shape.begin() + axes.back() + 1, shape.end())));
    return {b.reshape(reduce_over(b, node.op->name, b.reshape(x, merged), axes), result.shape)};
  }
  if (lies_together(axes)) return {};
  size_t first = axes.size() - 1;
  while (axes[first - 1] == axes[first] - 1) --first;
  const Value part = reduce_over(b, node.op->name, x, {axes.begin() + static_cast<ptrdiff_t>(first), axes.end()});
  return {b.reshape(reduce_over(b, node.op->name, part, {axes.begin(), axes.begin() + static_cast<ptrdiff_t>(first)}), result.shape)};
}

// What lies behind the axis becomes one dimension.
Replacements merge_behind(GraphBuilder& b, Node& node, int axis) {
  const Value x = node.operands[0];
  const Shape& shape = x.type().shape;
  if (axis + 2 >= x.type().rank()) return {};
  Shape merged(shape.begin(), shape.begin() + axis + 1);
  merged.push_back(*element_count(Shape(shape.begin() + axis + 1, shape.end())));
  const Value number = b.value(node.op->name, {b.reshape(x, merged)}, {{"axis", axis}});
  return {b.reshape(number, node.results[0].type.shape)};
}

Value with_last(GraphBuilder& b, Value x, int axis) {
  IntList permutation = ops::to_attribute(ops::other_axes(x.type().rank(), axis));
  permutation.push_back(axis);
  return axis == x.type().rank() - 1 ? x : b.value("transpose", {x}, {{"permutation", permutation}});
}

// An element of each channel, or one as large, along `axis`: distances from it are small, and exactly 0 where all elements are equal.
Value channel_pivot(GraphBuilder& b, Value x, int axis) {
  Value pivot = x;
  for (int k = 0; k < x.type().rank(); ++k)
    if (k != axis && !x.type().shape[k].batch) pivot = b.value("slice", {pivot}, {{"axis", k}, {"begin", 0}, {"end", 1}});
  return reduce_over(b, "reduce_max", pivot, ops::other_axes(x.type().rank(), axis), true);
}

// Channels that are not the last axis: the moments of each line of the axes behind them, then the moments of the lines'
// means. Lines are equally long, so the variances' mean adds to the variance of the means.
Replacements split_moments(GraphBuilder& b, Node& node) {
  const Value x = node.operands[0];
  const Shape& shape = x.type().shape;
  const TensorType channels = node.results[0].type;
  const int axis = ops::axis_of(node), rank = x.type().rank();
  if (axis == rank - 1) return {};
  std::vector<int> line;  // the axes behind the channels, as far as the batch
  for (int k = rank; --k > axis && !shape[k].batch;) line.insert(line.begin(), k);
  if (line.empty()) {
    Node& moments = *b.create("moments", {with_last(b, x, axis)});
    return {moments.result(0), moments.result(1)};
  }
  const Value pivot = channel_pivot(b, x, axis), distance = b.sub(x, pivot);
  const Value line_means = reduce_over(b, "reduce_mean", distance, line, true), difference = b.sub(distance, line_means);
  const Value line_variances = reduce_over(b, "reduce_mean", b.mul(difference, difference), line);
  const Value means = b.reshape(line_means, line_variances.type().shape);
  auto absolute = [&](Value mean) { return b.add(b.reshape(pivot, channels.shape), mean); };
  if (means.type() == channels) return {absolute(means), line_variances};
  Node& moments = *b.create("moments", {with_last(b, means, axis)});
  const Value variances = with_last(b, line_variances, axis);
  const int last = variances.type().rank() - 1;
  return {absolute(moments.result(0)), b.add(moments.result(1), reduce_over(b, "reduce_mean", variances, ops::other_axes(last + 1, last)))};
}

Replacements split(Graph& graph, Node& node) {
  GraphBuilder builder = GraphBuilder::before(graph, &node);
  if (const auto* lowering = node.op->lowering_as<DecomposeLowering>()) return lowering->rewrite(builder, node);
  const auto* reduce = node.op->lowering_as<ReduceLowering>();
  if (!reduce) return {};
  if (reduce->kind == Kind::moments) return split_moments(builder, node);
  const std::vector<int> axes = reduce->axes(node);
  if (reduce->kind == Kind::first_maximum) return merge_behind(builder, node, axes.front());
  if (axes.empty()) return {builder.reshape(node.operands[0], node.results[0].type.shape)};
  return split_reduction(builder, node, axes);
}

}  // namespace

// A part may decompose further.
bool decompose(Graph& graph, PassContext&) {
  bool changed = false;
  while (sweep(graph, [&](Node& node) { return split(graph, node); })) changed = true;
  return changed;
}

}  // namespace bnc
