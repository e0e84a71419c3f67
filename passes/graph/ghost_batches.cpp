#include "passes/graph/ghost_batches.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "ir/ops/common.h"

namespace bnc {

int64_t ghost_batch_size(const Graph& graph) {
  int64_t size = 1;
  for (const Node* node : graph.nodes_of("batch_norm"))
    if (node->attribute("mode").symbol().name != "infer") size = std::lcm(size, std::max<int64_t>(1, node->attribute("ghost").integer()));
  return size;
}

// The place of a batch norm with ghost batches, for errors.
static const Node* first_with_ghosts(const Graph& graph) {
  for (const Node* node : graph.nodes_of("batch_norm"))
    if (node->attribute("ghost").integer() > 0) return node;
  return nullptr;
}

void count_batch_by(Graph& graph, PassContext& cx, int64_t size) {
  if (size == 1) return;
  if (cx.batch && *cx.batch % size != 0) {
    Diagnostic diagnostic{Severity::error,
                          first_with_ghosts(graph)->range,
                          fmt::format("a batch of {} examples does not divide into ghost batches of {}", *cx.batch, size),
                          {}};
    diagnostic.help(fmt::format("train with a batch of a multiple of {}, for example `batch = {}`", size, (*cx.batch / size + 1) * size));
    throw CompileError(std::move(diagnostic));
  }
  if (cx.batch) *cx.batch /= size;
  auto scaled = [size](Shape shape) {
    for (Dim& dim : shape)
      if (dim.batch) dim.factor *= size;
    return shape;
  };
  for (const auto& node : graph.nodes()) {
    for (Result& result : node->results) result.type.shape = scaled(result.type.shape);
    for (auto& [name, attribute] : node->attributes)
      if (const Shape* shape = attribute.get_if<Shape>()) attribute = scaled(*shape);
  }
}

// Ghost batches are the instances of an instance norm, whose examples are their pixels.
GhostBatchNorm split_into_ghost_batches(Graph& graph, const Node& node) {
  GraphBuilder b = GraphBuilder::before(graph, &node);
  b.at(node.range);
  const Value x = node.operands[0];
  const Shape& shape = x.type().shape;
  const int64_t size = node.attribute("ghost").integer();
  Shape grouped_shape = {Dim{shape[0].factor / size, true}, Dim{size}};
  grouped_shape.insert(grouped_shape.end(), shape.begin() + 1, shape.end());
  const Value grouped = b.reshape(x, grouped_shape);
  const int last = grouped.type().rank() - 1;
  auto mean = [&](Value value, int first, bool keep) {
    std::vector<int> axes(static_cast<size_t>(last - first));
    std::iota(axes.begin(), axes.end(), first);
    return b.value("reduce_mean", {value}, {{"axes", ops::to_attribute(axes)}, {"keep_dims", keep}});
  };
  // The instance norm's own parts, which are merged with these.
  const Value means = mean(grouped, 1, true), difference = b.sub(grouped, means);
  GhostBatchNorm result;
  result.mean = mean(means, 0, false);
  result.variance = mean(mean(b.mul(difference, difference), 1, true), 0, false);
  result.batches = b.value("element_count", {grouped}, {{"axes", IntList{0}}});
  result.elements = element_count(Shape(grouped_shape.begin() + 1, grouped_shape.end() - 1))->factor;
  result.y = b.reshape(b.value("instance_norm", {grouped, node.operands[1], node.operands[2]}, {{"epsilon", node.attribute("epsilon")}}),
                       shape);
  return result;
}

}  // namespace bnc
