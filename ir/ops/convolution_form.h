// The bilinear form that a convolution and its two gradients share:
//   sum over n, oh, ow, kh, kw, ci, co of dy[n, oh, ow, co] * x[n, oh*stride - top + kh*dilation, .., ci] * weight[kh, kw, ci, co]
// with ci and co of the same group. Leaving out one of the three gives the op that computes it from the other two.
#pragma once

#include <initializer_list>

#include "ir/ops/window.h"

namespace bnc::ops {

struct Convolution {
  Dim batch;
  Windows windows;
  int64_t groups = 1, in = 1, out = 1;  // channels of one group

  Shape x() const { return {batch, {windows.height.input}, {windows.width.input}, {groups * in}}; }
  Shape weight() const { return {{windows.height.kernel}, {windows.width.kernel}, {in}, {groups * out}}; }
  Shape y() const { return {batch, {windows.height.output()}, {windows.width.output()}, {groups * out}}; }
  // One channel of x a group, and more than one group: what runs along the groups can be a vector.
  bool depthwise() const { return groups > 1 && in == 1; }
};

// From shapes and explicit attributes that have passed the shape rule.
Convolution convolution_of(const Shape& x, const Shape& weight, const AttributeMap& attributes);
// The image of height 1 that a line is, and the weight of one that convolves lines; images and their weights as they are.
Shape as_image(Shape x);
Shape as_image_weight(Shape weight);

// --- shape rules -----------------------------------------------------------------------------------------------

// The constraints that everything which convolves begins with, in this order; the checks below cite their numbers.
enum ConvolutionConstraint { float_operands = 1, images = 2, integers_in_range = 3, groups_divide = 4, weight_type = 5, window_fits = 6 };
std::vector<std::string> convolution_constraints(const std::string& images, const std::string& sizes, const std::string& weight,
                                                 const std::string& fits = "the window is no larger than the image with its padding");

AttributeSpec groups_attribute();
// Fails unless `groups` is in range and divides the channels of the image `x` that the message calls `name`.
int64_t checked_groups(const InferContext& cx, const std::string& name, const TensorType& x);
// Fails unless `filters` come in equal groups.
void require_grouped(const InferContext& cx, int64_t groups, int64_t filters);
// Fails unless the weight fits the channels of `x`, and of `y` where the weight is that of its input gradient.
void require_weight(const InferContext& cx, const TensorType& x, const TensorType& weight);
void require_transposed_weight(const InferContext& cx, const TensorType& y, const TensorType& weight);
// The convolution of `x` by a weight that fits its channels; fails where the window is larger. `attributes` are explicit and in range.
Convolution checked_convolution(const InferContext& cx, const TensorType& x, const TensorType& weight, const AttributeMap& attributes);

// --- float64 evaluation: each adds to its first tensor, which has the right shape ------------------------------

void add_convolution(Tensor& y, const Convolution& convolution, const Tensor& x, const Tensor& weight);
void add_input_gradient(Tensor& dx, const Convolution& convolution, const Tensor& dy, const Tensor& weight);
void add_weight_gradient(Tensor& d_weight, const Convolution& convolution, const Tensor& x, const Tensor& dy);
// Adds one number a channel, where there is one.
void add_bias(Tensor& y, const Tensor* bias);

// --- lowering and gradients ------------------------------------------------------------------------------------

// The dimensions of `shape` with `more` behind them.
Shape with(Shape shape, std::initializer_list<int64_t> more);
// Where tap `k` of the window at place `i` lies.
loops::Expr tap_position(const Window& window, loops::Expr i, loops::Expr k);

// stride, padding, dilation and groups of `node`, for another of the three ops.
AttributeMap window_attributes(const Node& node);
Value convolution(GraphBuilder& builder, Value x, Value weight, AttributeMap window);
// dL/dx and dL/dweight of the convolution of `x` by `weight`, from dL/dy.
Value input_gradient(GraphBuilder& builder, Value dy, Value weight, const Shape& x, AttributeMap window);
Value weight_gradient(GraphBuilder& builder, Value x, Value dy, const Shape& weight, AttributeMap window);

// --- layers ----------------------------------------------------------------------------------------------------

// The attributes that shape a new weight.
AttributeSpec filters_attribute();
AttributeSpec kernel_attribute();
// `filters`, checked; a multiple of `groups`.
int64_t checked_filters(const InferContext& cx, int64_t groups);
// The bias of a layer whose result has so many channels, made where it is not given; constraint 7 is its type.
inline constexpr const char* bias_constraint = "`bias` is f32 with one number for each filter";
OperandSpec bias_operand(std::function<TensorType(const InferContext&)> type);
void require_bias(const InferContext& cx, const TensorType& wanted);
// y + bias, where there is one.
Value with_bias(GraphBuilder& builder, Value y, Value bias);

}  // namespace bnc::ops
