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

// --- shape rules -----------------------------------------------------------------------------------------------

// The constraints 1 to 6 of everything that convolves; checks below cite their numbers. `image` names the operands
// that are images, `weight` the weight's type in the op's own terms.
std::vector<std::string> convolution_constraints(const std::string& images, const std::string& weight);
enum ConvolutionConstraint { float_operands = 1, images = 2, integers_in_range = 3, groups_divide = 4, weight_type = 5, window_fits = 6 };

AttributeSpec groups_attribute();
// Fails unless `groups` is in range and divides the channels of the image `x` that the message calls `name`.
int64_t checked_groups(const InferContext& cx, const std::string& name, const TensorType& x);
// Fails unless stride, dilation, padding are explicit and in range.
void require_explicit_window(const InferContext& cx);
// The convolution of an image by a weight; fails unless the weight fits it, and its window the image. `attributes` are
// explicit and in range.
Convolution checked_convolution(const InferContext& cx, const TensorType& x, const TensorType& weight, const AttributeMap& attributes);

// --- float64 evaluation: each adds to its first tensor, which has the right shape ------------------------------

void add_convolution(Tensor& y, const Convolution& convolution, const Tensor& x, const Tensor& weight);
void add_input_gradient(Tensor& dx, const Convolution& convolution, const Tensor& dy, const Tensor& weight);
void add_weight_gradient(Tensor& d_weight, const Convolution& convolution, const Tensor& x, const Tensor& dy);

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

}  // namespace bnc::ops
