#include "ir/ops/window.h"

#include <algorithm>

namespace bnc::ops {

int64_t Window::first_inside(int64_t k) const {
  const int64_t missing = before - k * dilation;  // from the first place's tap to the first element
  return std::max<int64_t>(0, missing <= 0 ? 0 : (missing - 1) / stride + 1);
}

int64_t Window::end_inside(int64_t k) const {
  const int64_t last = input - 1 + before - k * dilation;  // as far as the tap may be moved
  return last < 0 ? 0 : std::min(output(), last / stride + 1);
}

static AttributeSpec integers_attribute(const char* name, IntList fallback, const char* doc) {
  return {.name = name, .kind = AttributeKind::integers, .fallback = std::move(fallback), .doc = doc};
}

AttributeSpec stride_attribute() { return integers_attribute("stride", {1, 1}, "`[height, width]`: how far the window moves between results"); }
AttributeSpec dilation_attribute() { return integers_attribute("dilation", {1, 1}, "`[height, width]`: the distance between neighbouring taps"); }
AttributeSpec padding_attribute() { return integers_attribute("padding", {0, 0, 0, 0}, "`[top, bottom, left, right]`: zeros around the image"); }

void require_image(const InferContext& cx, int constraint, const std::string& name, const TensorType& x) {
  const std::string layout = "images are channels last: [batch, height, width, channels]";
  if (x.rank() != 4) fail(cx, constraint, fmt::format("`{}` must have 4 dimensions [N, H, W, C], got {}", name, cx.show(x)), layout);
  for (int axis = 1; axis < 4; ++axis) {
    if (x.shape[axis].batch)
      fail(cx, constraint, fmt::format("dimension {} of `{}` {} is the batch, which only the first may be", axis, name, cx.show(x)), layout);
    if (x.shape[axis].factor < 1 || x.shape[axis].factor >= window_limit)
      fail(cx, constraint, fmt::format("dimension {} of `{}` {} is not between 1 and 2^31 - 1", axis, name, cx.show(x)));
  }
}

IntList checked_integers(const InferContext& cx, int constraint, const std::string& attribute, size_t count, int64_t least) {
  const Attribute& given = cx.attribute(attribute);
  const IntList& list = given.integers();
  if (list.size() != count)
    fail(cx, constraint, fmt::format("{} must be {} integer{}, got {}", attribute, count, count == 1 ? "" : "s", to_string(given)));
  for (int64_t value : list)
    if (value < least || value >= window_limit)
      fail(cx, constraint, fmt::format("{} must be {}, got {}", attribute, value < least ? fmt::format("at least {}", least) : "below 2^31", value));
  return list;
}

Windows windows_of(const AttributeMap& attributes, int64_t height, int64_t width, int64_t kernel_height, int64_t kernel_width) {
  const IntList &stride = attributes.at("stride").integers(), &dilation = attributes.at("dilation").integers();
  const IntList& padding = attributes.at("padding").integers();
  return {{height, kernel_height, stride[0], dilation[0], padding[0], padding[1]},
          {width, kernel_width, stride[1], dilation[1], padding[2], padding[3]}};
}

void require_fit(const InferContext& cx, int constraint, const Windows& windows, const TensorType& x) {
  const Window &h = windows.height, &w = windows.width;
  if (h.span() <= h.padded() && w.span() <= w.padded()) return;
  fail(cx, constraint,
       fmt::format("a window of {} x {} pixels is larger than the {} x {} pixels of {} with its padding", h.span(), w.span(), h.padded(), w.padded(),
                   cx.show(x)),
       "pad more, or take a smaller kernel or dilation");
}

}  // namespace bnc::ops
