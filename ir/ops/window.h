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

// `[height, width]`, at their default 1; `[top, bottom, left, right]`, 0.
AttributeSpec stride_attribute();
AttributeSpec dilation_attribute();
AttributeSpec padding_attribute();

// No size, stride, dilation or padding reaches this, so that sums of products of two of them fit in 64 bits.
inline constexpr int64_t window_limit = int64_t{1} << 31;

// Fails unless `x`, which the message calls `name`, has dimensions [N, H, W, C], below window_limit and only the first of them the batch.
void require_image(const InferContext& cx, int constraint, const std::string& name, const TensorType& x);
// The integers of an attribute; fails unless there are `count` of them, from `least` to window_limit.
IntList checked_integers(const InferContext& cx, int constraint, const std::string& attribute, size_t count, int64_t least);
// The windows along H and W of an image from the explicit attributes of a node that has passed its shape rule.
struct Windows {
  Window height, width;
};
Windows windows_of(const AttributeMap& attributes, int64_t height, int64_t width, int64_t kernel_height, int64_t kernel_width);
// Fails unless both windows fit into the padded image of type `x`.
void require_fit(const InferContext& cx, int constraint, const Windows& windows, const TensorType& x);

}  // namespace bnc::ops
