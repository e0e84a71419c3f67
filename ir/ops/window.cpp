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

void require_image(const InferContext& cx, int constraint, const std::string& name, const TensorType& x, int axes) {
  const std::string layout = axes == 1
                                 ? "lines are channels last: [batch, length, channels]; `reshape` or `transpose` makes them so"
                                 : "images are channels last: [batch, height, width, channels]; `reshape` or `transpose` makes them so";
  if (x.rank() != axes + 2)
    fail(cx, constraint,
         fmt::format("`{}` must have {} dimensions {}, got {}", name, axes + 2, axes == 1 ? "[N, L, C]" : "[N, H, W, C]", cx.show(x)),
         layout);
  for (int axis = 1; axis < axes + 2; ++axis) {
    if (x.shape[axis].batch)
      fail(cx, constraint, fmt::format("dimension {} of `{}` {} is the batch, which only the first may be", axis, name, cx.show(x)),
           layout);
    if (x.shape[axis].factor < 1 || x.shape[axis].factor >= window_limit)
      fail(cx, constraint, fmt::format("dimension {} of `{}` {} is not between 1 and 2^31 - 1", axis, name, cx.show(x)));
  }
}

// One integer is a list of one.
static IntList integers_of(const Attribute& attribute) {
  const int64_t* one = attribute.get_if<int64_t>();
  return one ? IntList{*one} : attribute.integers();
}

IntList checked_integers(const InferContext& cx, int constraint, const std::string& attribute, std::initializer_list<int> counts,
                         int64_t least) {
  const Attribute& given = cx.attribute(attribute);
  IntList list = integers_of(given);
  if (std::find(counts.begin(), counts.end(), static_cast<int>(list.size())) == counts.end())
    fail(cx, constraint, fmt::format("{} must be {} integers, got {}", attribute, fmt::join(counts, " or "), to_string(given)));
  for (int64_t value : list)
    if (value < least || value >= window_limit)
      fail(cx, constraint,
           fmt::format("{} must be {}, got {}", attribute, value < least ? fmt::format("at least {}", least) : "below 2^31", value));
  return list;
}

void require_padding(const InferContext& cx, int constraint, const Windows& windows) {
  const int64_t most = std::max({windows.height.before, windows.height.after, windows.width.before, windows.width.after});
  if (most >= window_limit)
    fail(cx, constraint,
         fmt::format("a window of {} x {} would have {} zeros beside the image, which must be below 2^31", windows.height.span(),
                     windows.width.span(), most),
         "take a smaller kernel or dilation");
}

void require_fit(const InferContext& cx, int constraint, const Windows& windows, const TensorType& x) {
  require_padding(cx, constraint, windows);
  const Window &h = windows.height, &w = windows.width;
  if (h.span() <= h.padded() && w.span() <= w.padded()) return;
  auto size = [&](int64_t height, int64_t width) {
    return x.rank() == 3 ? fmt::format("{}", width) : fmt::format("{} x {}", height, width);
  };
  fail(cx, constraint,
       fmt::format("a window of {} is larger than {} with its padding, {}", size(h.span(), w.span()), cx.show(x),
                   size(h.padded(), w.padded())),
       "pad more, or take a smaller kernel or dilation");
}

// --- explicit attributes ---------------------------------------------------------------------------------------

static AttributeSpec integers_attribute(const char* name, IntList fallback, const char* doc) {
  return {.name = name, .kind = AttributeKind::integers, .fallback = std::move(fallback), .doc = doc};
}

AttributeSpec stride_attribute() {
  return integers_attribute("stride", {1, 1}, "`[height, width]`: how far the window moves between results");
}
AttributeSpec dilation_attribute() {
  return integers_attribute("dilation", {1, 1}, "`[height, width]`: the distance between neighbouring taps");
}
AttributeSpec padding_attribute() {
  return integers_attribute("padding", {0, 0, 0, 0}, "`[top, bottom, left, right]`: zeros around the image");
}

void require_explicit_window(const InferContext& cx, int constraint) {
  checked_integers(cx, constraint, "stride", {2}, 1);
  checked_integers(cx, constraint, "dilation", {2}, 1);
  checked_integers(cx, constraint, "padding", {4}, 0);
}

Windows windows_of(const AttributeMap& attributes, int64_t height, int64_t width, int64_t kernel_height, int64_t kernel_width) {
  const IntList &stride = attributes.at("stride").integers(), &dilation = attributes.at("dilation").integers();
  const IntList& padding = attributes.at("padding").integers();
  return {{height, kernel_height, stride[0], dilation[0], padding[0], padding[1]},
          {width, kernel_width, stride[1], dilation[1], padding[2], padding[3]}};
}

// --- attributes of layers --------------------------------------------------------------------------------------

AttributeSpec layer_stride_attribute() { return integers_attribute("stride", {1}, "how far the window moves between results"); }
AttributeSpec layer_dilation_attribute() { return integers_attribute("dilation", {1}, "the distance between neighbouring taps"); }

AttributeSpec layer_padding_attribute() {
  return {.name = "padding",
          .kind = AttributeKind::padding,
          .fallback = "same",
          .doc =
              "zeros around the image: `same` (results of ceil(size/stride), an odd one out at the end), `valid` (none), or how many: one "
              "integer, one for each axis, or one for each end",
          .choices = {"same", "valid"}};
}

void require_layer_padding(const InferContext& cx, int constraint, int axes) {
  if (cx.attribute("padding").get_if<Symbol>()) return;
  if (axes == 1) checked_integers(cx, constraint, "padding", {1, 2}, 0);
  else checked_integers(cx, constraint, "padding", {1, 2, 4}, 0);
}

void require_layer_window(const InferContext& cx, int constraint, int axes) {
  checked_integers(cx, constraint, "stride", {1, axes}, 1);
  checked_integers(cx, constraint, "dilation", {1, axes}, 1);
  require_layer_padding(cx, constraint, axes);
}

IntList per_axis(const Attribute& attribute, int axes) {
  const IntList list = integers_of(attribute);
  return {axes == 1 ? 1 : list.front(), list.back()};
}

// Before and after, as TensorFlow has it: as little as gives ceil(input/stride) results, more of it after.
static std::pair<int64_t, int64_t> same_padding(const Window& window) {
  const int64_t results = (window.input - 1) / window.stride + 1;
  const int64_t total = std::max<int64_t>(0, (results - 1) * window.stride + window.span() - window.input);
  return {total / 2, total - total / 2};
}

static IntList explicit_padding(const Attribute& padding, int axes, const Windows& unpadded) {
  if (const Symbol* name = padding.get_if<Symbol>()) {
    if (name->name == "valid") return {0, 0, 0, 0};
    const auto [top, bottom] = same_padding(unpadded.height);
    const auto [left, right] = same_padding(unpadded.width);
    return {top, bottom, left, right};
  }
  const IntList list = integers_of(padding);
  if (axes == 1) return {0, 0, list.front(), list.back()};
  return list.size() == 4 ? list : IntList{list.front(), list.front(), list.back(), list.back()};
}

AttributeMap explicit_window(const AttributeMap& layer, int axes, int64_t height, int64_t width, int64_t kernel_height,
                             int64_t kernel_width) {
  AttributeMap window = {
      {"stride", per_axis(layer.at("stride"), axes)}, {"dilation", per_axis(layer.at("dilation"), axes)}, {"padding", IntList(4)}};
  const Windows unpadded = windows_of(window, height, width, kernel_height, kernel_width);
  window["padding"] = explicit_padding(layer.at("padding"), axes, unpadded);
  return window;
}

}  // namespace bnc::ops
