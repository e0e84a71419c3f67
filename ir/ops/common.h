// What several op definitions share: checks, shape helpers, float64 evaluation, index arithmetic of the lowering.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ir/builder.h"
#include "ir/op.h"

namespace bnc::ops {

// --- shape rules -----------------------------------------------------------------------------------------------

// Fails at the node with `text` and the number of the violated constraint behind it: "... (C2)".
[[noreturn]] void fail(const InferContext& cx, int constraint, const std::string& text, const std::string& help = "");
// Fails unless every operand present is f32.
void require_f32(const InferContext& cx, int constraint);
// The operands' common type; fails where two differ.
TensorType same_type(const InferContext& cx, int constraint);
// The attribute `axis`, non-negative, of operand `x`; fails where it is out of range.
int checked_axis(const InferContext& cx, int constraint, int x = 0);
// Fails unless every dimension is at least 1.
void require_positive(const InferContext& cx, int constraint, const Shape& shape);
// As checked_axis; fails (citing `constraint`) where that dimension is the batch, and (citing the next constraint) unless the
// operands `channels` that are present are f32 with one number a channel.
int channel_axis(const InferContext& cx, int constraint, const std::vector<int>& channels, int x = 0);
// The texts of channel_axis's two constraints.
inline constexpr const char* axis_constraint = "`axis` names a dimension of `x` that is not the batch";
std::string channels_constraint(const std::string& names);
// `axes` made non-negative and ascending; an empty list is all axes.
std::vector<int> all_axes(const IntList& axes, int rank);
// As all_axes, of attribute `axes`; fails where one is out of range or given twice.
std::vector<int> checked_axes(const InferContext& cx, int constraint, int rank);
// Attribute `axis` of a node that has passed its shape rule, non-negative.
int axis_of(const Node& node, int x = 0);
// Attribute `axes` of a node that has passed its shape rule.
std::vector<int> axes_of(const Node& node);
// Every axis of `rank` but `axis`.
std::vector<int> other_axes(int rank, int axis);
IntList to_attribute(const std::vector<int>& axes);
// `shape` without `axes`, or with 1 in their place.
Shape reduced_shape(const Shape& shape, const std::vector<int>& axes, bool keep_dims);
// The product of the dimensions at `axes` for one batch size.
int64_t count_over(const Shape& shape, const std::vector<int>& axes, int64_t batch_size);

// The specifications that many ops repeat.
OperandSpec tensor_operand(const std::string& name, const std::string& doc);
OperandSpec fixed_operand(const std::string& name, const std::string& doc);  // not differentiable
AttributeSpec axis_attribute(const std::string& doc);
AttributeSpec epsilon_attribute();
// Fails unless the attribute `epsilon` is positive.
void require_epsilon(const InferContext& cx, int constraint);

// --- maps of one operand ---------------------------------------------------------------------------------------

// Completes the definition of a map y = f(x): operand, result, shape rule, evaluation and lowering.
OpDefinition unary_map(OpDefinition op, std::function<double(const Node&, double x)> evaluate,
                       std::function<loops::Expr(const Node&, loops::Expr x)> element, int cost);
// Completes `NAME_gradient(dy, x)`: dx = f(dy, x).
OpDefinition unary_map_gradient(OpDefinition op, std::function<double(const Node&, double dy, double x)> evaluate,
                                std::function<loops::Expr(const Node&, loops::Expr dy, loops::Expr x)> element, int cost);

// --- float64 evaluation ----------------------------------------------------------------------------------------

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& dims);
// The distance between neighbours along each dimension of a result of `rank`, in an operand broadcast to it; 0 where it is repeated.
std::vector<int64_t> broadcast_strides(const std::vector<int64_t>& dims, size_t rank);
// Calls visit(index, position) for every index of a tensor of these dimensions, in row-major order.
void for_each_index(const std::vector<int64_t>& dims,
                    const std::function<void(const std::vector<int64_t>& index, int64_t position)>& visit);
int64_t position_of(const std::vector<int64_t>& index, const std::vector<int64_t>& dims);
// Where an index of a broadcast result falls in an operand of these dimensions.
int64_t broadcast_position(const std::vector<int64_t>& index, const std::vector<int64_t>& dims);
// The only result, each element from its index.
std::vector<Tensor> evaluate_elements(const EvaluateContext& cx, const std::function<double(const std::vector<int64_t>& index)>& element);
// The only result, each element from the operands' (broadcast) elements there.
std::vector<Tensor> evaluate_pointwise(const EvaluateContext& cx, const std::function<double(const std::vector<double>& x)>& element);
// The operand's elements in the result's shape.
std::vector<Tensor> same_elements(const EvaluateContext& cx);

// Biased moments for each index along `axis` over all other axes, by two passes; a constant channel has variance 0 exactly.
struct Moments {
  std::vector<double> mean, variance;
};
Moments moments_of(const Tensor& x, int axis);
// The number of elements in one channel.
int64_t elements_per_channel(const Tensor& x, int axis);
// Calls visit(position, channel) for every element.
void for_each_in_channel(const Tensor& x, int axis, const std::function<void(int64_t position, int64_t channel)>& visit);

// Unlike std::max, NaN when either is NaN.
double maximum(double a, double b);

// --- lowering --------------------------------------------------------------------------------------------------

// The index of an operand of `shape` that is broadcast to the result that `index` is of.
Index broadcast_index(const Index& index, const Shape& shape);
// Operand `k`, broadcast to the result's index.
loops::Expr broadcast_operand(ElementContext& cx, int k, const Index& index);
// Operand `k`, one number a channel, at index[axis].
loops::Expr channel_operand(ElementContext& cx, int k, const Index& index, int axis);
// rsqrt(variance + epsilon) of operand `k` at index[axis]; epsilon is the node's attribute.
loops::Expr channel_reciprocal_deviation(ElementContext& cx, int k, const Index& index, int axis);
// The row-major position of `index` in a tensor of `shape`.
loops::Expr linear_index(ElementContext& cx, const Index& index, const Shape& shape);
// The index in a tensor of shape `to` of the element that stands at `index` in row-major `from`; dimensions that both
// begin or end with pass through.
Index reindex(ElementContext& cx, const Index& index, const Shape& from, const Shape& to);
// The integer kept within [low, high].
loops::Expr clamp(loops::Expr x, int64_t low, int64_t high);
// 1 / (number of elements in one channel of operand `x`), in f32.
loops::Expr reciprocal_channel_count(ElementContext& cx, int x, int axis);
// An element lowering that reads operand k's broadcast element as x[k].
ElementLowering pointwise_lowering(std::function<loops::Expr(const Node&, const std::vector<loops::Expr>& x)> element, int cost);

// --- gradients -------------------------------------------------------------------------------------------------

// A value of one number a channel, reshaped to broadcast along `axis` of a tensor of `rank`.
Value along_axis(GraphBuilder& builder, Value channels, int axis, int rank);
// Leading dimensions merged into rows.
Value as_matrix(GraphBuilder& builder, Value x);
// Sums over all axes but `axis`.
Value sum_to_channels(GraphBuilder& builder, Value x, int axis);
// rsqrt(variance + epsilon)
Value reciprocal_deviation(GraphBuilder& builder, Value variance, double epsilon);
// The inference-mode batch norm `node` as y = x*scale + shift: one number a channel each (bn-infer).
struct ScaleAndShift {
  Value scale, shift;
};
ScaleAndShift frozen_batch_norm(GraphBuilder& builder, const Node& node);
// The preprocess `node` as a scale_shift of channels, which folds; nothing where each element has its own statistics.
std::vector<Value> frozen_preprocess(GraphBuilder& builder, const Node& node);

}  // namespace bnc::ops
