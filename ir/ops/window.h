// A window that slides over the pixels of an image: its attributes, and how many places it takes along an axis.
#pragma once

#include "ir/ops/common.h"

namespace bnc::ops {

// Along one axis: `kernel` taps, `dilation` apart, moved by `stride` over `input` elements with padding on both ends.
struct Window {
  int64_t input = 1, kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;

  int64_t span() const { return (kernel - 1) * dilation + 1; }  // from the first tap to the last
  int64_t padded() const { return before + input + after; }
  int64_t output() const { return (padded() - span()) / stride + 1; }
  // The first place at which tap `k` lies on an element, and the one behind the last.
  int64_t first_inside(int64_t k) const;
  int64_t end_inside(int64_t k) const;
};

// The windows along H and W.
struct Windows {
  Window height, width;
};

// No size, stride, dilation or padding reaches this, so that sums of products of two of them fit in 64 bits.
inline constexpr int64_t window_limit = int64_t{1} << 31;

// Fails unless `x`, which the message calls `name`, is [N, H, W, C] (with one axis: [N, L, C]), all of it below window_limit
// and only N the batch.
void require_image(const InferContext& cx, int constraint, const std::string& name, const TensorType& x, int axes = 2);
// The integers of an attribute, which may also be given as one; fails unless there are as many as one of `counts`, from
// `least` to window_limit.
IntList checked_integers(const InferContext& cx, int constraint, const std::string& attribute, std::initializer_list<int> counts,
                         int64_t least);
// Fails unless what `same` comes to is below window_limit too.
void require_padding(const InferContext& cx, int constraint, const Windows& windows);
// Fails unless the windows fit into the padded image of type `x`.
void require_fit(const InferContext& cx, int constraint, const Windows& windows, const TensorType& x);

// --- explicit attributes: stride and dilation are [height, width], padding is [top, bottom, left, right] --------

AttributeSpec stride_attribute();
AttributeSpec dilation_attribute();
AttributeSpec padding_attribute();
void require_explicit_window(const InferContext& cx, int constraint);
Windows windows_of(const AttributeMap& attributes, int64_t height, int64_t width, int64_t kernel_height, int64_t kernel_width);

// --- attributes of layers over one or two axes: one integer for all axes or one for each; padding also by name ---

AttributeSpec layer_stride_attribute();
AttributeSpec layer_dilation_attribute();
AttributeSpec layer_padding_attribute();
void require_layer_padding(const InferContext& cx, int constraint, int axes);
void require_layer_window(const InferContext& cx, int constraint, int axes);
// [height, width] of such an attribute; the height of a line is 1.
IntList per_axis(const Attribute& attribute, int axes);
// The explicit attributes that the layer's stand for.
AttributeMap explicit_window(const AttributeMap& layer, int axes, int64_t height, int64_t width, int64_t kernel_height,
                             int64_t kernel_width);

}  // namespace bnc::ops
