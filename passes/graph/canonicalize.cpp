#include <algorithm>

#include "ir/ops/common.h"
#include "passes/graph/channels.h"
#include "passes/graph/rewrite.h"
#include "passes/passes.h"

namespace bnc {

namespace {

// What takes the place of the node's only result; absent where the rule does not apply.
using Rewrite = Value (*)(GraphBuilder&, Node&);

Value only_if_same_type(Value replacement, const Node& node) { return replacement.type() == node.results[0].type ? replacement : Value{}; }

Value constant_to_the_right(GraphBuilder& builder, Node& node) {
  const Value a = node.operands[0], b = node.operands[1];
  return a.node->is("constant") && !b.node->is("constant") ? builder.value(node.op->name, {b, a}) : Value{};
}

// x + 0, x - 0
Value drop_zero(GraphBuilder&, Node& node) {
  return is_constant(node.operands[1], 0) ? only_if_same_type(node.operands[0], node) : Value{};
}

// x * 1, x / 1
Value drop_one(GraphBuilder&, Node& node) { return is_constant(node.operands[1], 1) ? only_if_same_type(node.operands[0], node) : Value{}; }

// a + -b = a - b and -b + a = a - b
Value add_of_negated(GraphBuilder& builder, Node& node) {
  const Value a = node.operands[0], b = node.operands[1];
  if (b.node->is("neg")) return builder.sub(a, b.node->operands[0]);
  if (a.node->is("neg")) return builder.sub(b, a.node->operands[0]);
  return {};
}

// a - -b = a + b
Value sub_of_negated(GraphBuilder& builder, Node& node) {
  const Value b = node.operands[1];
  return b.node->is("neg") ? builder.add(node.operands[0], b.node->operands[0]) : Value{};
}

Value double_negation(GraphBuilder&, Node& node) {
  const Node& inner = *node.operands[0].node;
  return inner.is("neg") ? inner.operands[0] : Value{};
}

// relu(relu(x)) = relu(x)
Value same_twice(GraphBuilder&, Node& node) { return node.operands[0].node->op == node.op ? node.operands[0] : Value{}; }

Value same_shape(GraphBuilder&, Node& node) { return only_if_same_type(node.operands[0], node); }

Value reshape_of_reshape(GraphBuilder& builder, Node& node) {
  const Node& inner = *node.operands[0].node;
  return inner.is("reshape") ? builder.value("reshape", {inner.operands[0]}, {{"shape", node.results[0].type.shape}}) : Value{};
}

Value identity_transpose(GraphBuilder&, Node& node) {
  const IntList permutation = permutation_of(node);
  return std::is_sorted(permutation.begin(), permutation.end()) ? node.operands[0] : Value{};
}

Value transpose_of_transpose(GraphBuilder& builder, Node& node) {
  const Node& inner = *node.operands[0].node;
  if (!inner.is("transpose")) return {};
  const IntList first = permutation_of(inner);
  IntList both;
  for (int64_t axis : permutation_of(node)) both.push_back(first[axis]);
  return builder.value("transpose", {inner.operands[0]}, {{"permutation", both}});
}

Value concat_of_one(GraphBuilder&, Node& node) { return node.operands.size() == 1 ? node.operands[0] : Value{}; }

// A reduction over axes of extent 1 only moves no number: it is a reshape.
Value reduce_of_ones(GraphBuilder& builder, Node& node) {
  const TensorType& type = node.operands[0].type();
  const std::vector<int> axes = ops::axes_of(node);
  const bool ones = std::all_of(axes.begin(), axes.end(), [&](int axis) { return type.shape[axis].is_one(); });
  return ones ? builder.reshape(node.operands[0], node.results[0].type.shape) : Value{};
}

// Whether a convolution's window of shape `weight` sees one pixel and visits each of them, in one group.
bool sees_one_pixel(const Node& node, const Shape& weight) {
  return weight[0].is_one() && weight[1].is_one() && node.attribute("stride") == Attribute(IntList{1, 1}) &&
         node.attribute("padding") == Attribute(IntList{0, 0, 0, 0}) && node.attribute("groups") == Attribute(1);
}

// Such a convolution is a product of matrices over the channels, and so are its gradients.
Value convolution_as_product(GraphBuilder& builder, Node& node) {
  const Value weight = node.operands[1];
  const Shape& shape = weight.type().shape;
  return sees_one_pixel(node, shape) ? builder.value("matmul", {node.operands[0], builder.reshape(weight, {shape[2], shape[3]})}) : Value{};
}

Value input_gradient_as_product(GraphBuilder& builder, Node& node) {
  const Value weight = node.operands[1];
  const Shape& shape = weight.type().shape;
  if (!sees_one_pixel(node, shape)) return {};
  return builder.value("matmul", {node.operands[0], builder.reshape(weight, {shape[2], shape[3]})}, {{"transpose_right", true}});
}

Value weight_gradient_as_product(GraphBuilder& builder, Node& node) {
  const Shape& shape = node.results[0].type.shape;
  if (!sees_one_pixel(node, shape)) return {};
  const Value x = ops::as_matrix(builder, node.operands[0]), dy = ops::as_matrix(builder, node.operands[1]);
  return builder.reshape(builder.value("matmul", {x, dy}, {{"transpose_left", true}}), shape);
}

// One matrix for all of several: the rows of those are the rows of one product.
Value one_matrix_for_all(GraphBuilder& builder, Node& node) {
  const Value right = node.operands[1];
  const Shape& shape = right.type().shape;
  const bool one = std::all_of(shape.begin(), shape.end() - 2, [](const Dim& dim) { return dim.is_one(); });
  if (shape.size() == 2 || !one || node.attribute("transpose_left").boolean()) return {};
  const Value matrix = builder.reshape(right, Shape(shape.end() - 2, shape.end()));
  return builder.reshape(builder.value("matmul", {node.operands[0], matrix}, node.attributes), node.results[0].type.shape);
}

// The last axis is -1 where that is the default, every other one counts from the front: so that equal axes look equal.
bool canonical_axis(Node& node) {
  const AttributeSpec* spec = node.op->attribute("axis");
  if (!spec || spec->kind != AttributeKind::integer) return false;
  const int last = node.operands[0].type().rank() - 1;
  int64_t axis = ops::axis_of(node);
  if (axis == last && spec->fallback == Attribute(-1)) axis = -1;
  if (node.attribute("axis") == Attribute(axis)) return false;
  node.attributes["axis"] = axis;
  return true;
}

struct Rule {
  const char* op;
  Rewrite rewrite;
};

const Rule rules[] = {
    {"add", constant_to_the_right},
    {"mul", constant_to_the_right},
    {"add", drop_zero},
    {"sub", drop_zero},
    {"mul", drop_one},
    {"div", drop_one},
    {"add", add_of_negated},
    {"sub", sub_of_negated},
    {"neg", double_negation},
    {"relu", same_twice},
    {"reshape", same_shape},
    {"broadcast_to", same_shape},
    {"slice", same_shape},
    {"reshape", reshape_of_reshape},
    {"transpose", identity_transpose},
    {"transpose", transpose_of_transpose},
    {"concat", concat_of_one},
    {"reduce_sum", reduce_of_ones},
    {"reduce_mean", reduce_of_ones},
    {"reduce_max", reduce_of_ones},
    {"matmul", one_matrix_for_all},
    {"convolution", convolution_as_product},
    {"convolution_input_gradient", input_gradient_as_product},
    {"convolution_weight_gradient", weight_gradient_as_product},
};

Replacements rewrite(Graph& graph, Node& node) {
  GraphBuilder builder = GraphBuilder::before(graph, &node);
  if (const auto* lowering = node.op->lowering_as<DecomposeLowering>(); lowering && lowering->canonical)
    return lowering->rewrite(builder, node);
  for (const Rule& rule : rules) {
    if (!node.is(rule.op)) continue;
    if (const Value replacement = rule.rewrite(builder, node)) return {replacement};
  }
  return {};
}

}  // namespace

// A rewritten node may match another rule.
bool canonicalize(Graph& graph, PassContext&) {
  bool changed = false, again = true;
  while (again) {
    bool moved_axis = false;
    again = sweep(graph, [&](Node& node) {
      moved_axis |= canonical_axis(node);
      return rewrite(graph, node);
    });
    changed |= again || moved_axis;
  }
  return changed;
}

}  // namespace bnc
