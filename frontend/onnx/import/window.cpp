#include "frontend/onnx/import/window.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "frontend/onnx/onnx_check.h"

namespace bnc::onnx {

namespace {

std::string auto_pad_of(const NodeImport& cx) {
  const std::string mode = cx.text("auto_pad", "NOTSET");
  constexpr std::string_view known[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""};
  if (std::ranges::find(known, mode) == std::end(known)) cx.fail(fmt::format("its `auto_pad` is {}", onnx_quoted(mode)));
  return mode;
}

}  // namespace

Window window_of(const NodeImport& cx, IntList kernel) {
  const int64_t spatial = static_cast<int64_t>(kernel.size());
  for (const int64_t size : kernel)
    if (size >= largest_count) cx.fail(fmt::format("its window has {} elements along an axis", size));
  return {std::move(kernel), cx.windows("strides", spatial, 1), cx.windows("dilations", spatial, 1), cx.windows("pads", 2 * spatial, 0)};
}

void pad_axis(const NodeImport& cx, Window& window, size_t axis, int64_t total) {
  const int64_t begin = auto_pad_of(cx) == "SAME_UPPER" ? total / 2 : total - total / 2;
  window.padding[axis] = begin;
  window.padding[axis + window.kernel.size()] = total - begin;
}

void pad_automatically(const NodeImport& cx, Window& window) {
  const std::string mode = auto_pad_of(cx);
  if (mode == "VALID") std::fill(window.padding.begin(), window.padding.end(), 0);
  if (!mode.starts_with("SAME")) return;
  for (size_t k = 0; k < window.kernel.size(); ++k) {
    const int64_t size = cx.fixed(0, static_cast<int64_t>(k) + 2, "a spatial dimension");
    const int64_t span = (window.kernel[k] - 1) * window.dilation[k] + 1, results = (size - 1) / window.stride[k] + 1;
    pad_axis(cx, window, k, std::max<int64_t>(0, (results - 1) * window.stride[k] - size + span));
  }
}

Attribute padding_attribute(const Window& window) {
  const size_t spatial = window.kernel.size();
  const auto middle = window.padding.begin() + static_cast<int64_t>(spatial);
  if (std::equal(window.padding.begin(), middle, middle)) {
    const IntList symmetric = shortest(IntList(window.padding.begin(), middle));
    return symmetric.size() == 1 ? Attribute(symmetric[0]) : Attribute(symmetric);
  }
  IntList ends;   // begin and end of each axis in turn
  for (size_t k = 0; k < spatial; ++k) ends.insert(ends.end(), {window.padding[k], window.padding[k + spatial]});
  return ends;
}

}  // namespace bnc::onnx
