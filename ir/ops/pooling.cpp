#include "ir/ops/pooling.h"

#include <algorithm>

namespace bnc::ops {

using loops::BinaryOp;
using loops::Expr;

namespace {

Expr minimum(Expr a, Expr b) { return loops::binary(BinaryOp::minimum, std::move(a), std::move(b)); }
Expr maximum(Expr a, Expr b) { return loops::binary(BinaryOp::maximum, std::move(a), std::move(b)); }

// `a` and `b`, either of which may be absent: always true.
Expr both(Expr a, Expr b) { return a && b ? loops::binary(BinaryOp::logical_and, std::move(a), std::move(b)) : a ? a : b; }

constexpr int64_t largest_window = 4096;

// Without one the stride is the kernel.
bool has_stride(const AttributeMap& attributes) { return attributes.at("stride") != Attribute(IntList{}); }

// Of the kernel over H and W, or over L alone.
Windows windows(const AttributeMap& attributes, const Shape& x) {
  const int axes = static_cast<int>(x.size()) - 2;
  const Attribute& stride = attributes.at(has_stride(attributes) ? "stride" : "kernel");
  const IntList kernel = per_axis(attributes.at("kernel"), axes);
  const AttributeMap layer = {{"stride", stride}, {"dilation", IntList{1}}, {"padding", attributes.at("padding")}};
  const int64_t height = axes == 1 ? 1 : x[1].factor, width = x[x.size() - 2].factor;
  return windows_of(explicit_window(layer, axes, height, width, kernel[0], kernel[1]), height, width, kernel[0], kernel[1]);
}

PoolAxis make_axis(const Window& window, bool ceil_mode) {
  PoolAxis axis{window.input, window.output(), window.kernel, window.stride, window.before, window.after};
  if (ceil_mode && (window.padded() - window.kernel) % axis.stride != 0 && axis.out * axis.stride < axis.in + axis.low) ++axis.out;
  return axis;
}

std::vector<PoolAxis> make_axes(const AttributeMap& attributes, const Shape& x) {
  const Windows along = windows(attributes, x);
  const bool ceil_mode = attributes.at("ceil_mode").boolean();
  if (x.size() == 3) return {make_axis(along.width, ceil_mode)};
  return {make_axis(along.height, ceil_mode), make_axis(along.width, ceil_mode)};
}

}  // namespace

int64_t PoolAxis::count(int64_t o, bool include_pad) const {
  const int64_t begin = o * stride - low, end = std::min(begin + kernel, in + (include_pad ? high : 0));
  return end - (include_pad ? begin : std::max<int64_t>(begin, 0));
}

Expr PoolAxis::count(const Expr& o, bool include_pad) const {
  const int64_t limit = in + (include_pad ? high : 0);
  const bool cut_begin = !include_pad && starts_outside(), cut_end = (out - 1) * stride - low + kernel > limit;
  if (!cut_begin && !cut_end) return Expr(kernel);
  const Expr begin = o * Expr(stride) - Expr(low), end = begin + Expr(kernel);
  return (cut_end ? minimum(end, Expr(limit)) : end) - (cut_begin ? maximum(begin, Expr(0)) : begin);
}

PoolTap pool_tap(const PoolAxis& axis, const Expr& o, int64_t k) {
  const Expr begin = o * Expr(axis.stride) - Expr(axis.low), position = begin + Expr(k);
  const bool in_front = k < axis.low, behind = (axis.out - 1) * axis.stride - axis.low + k >= axis.in;
  PoolTap tap{position, {}, Expr(k)};
  if (in_front) tap.position = maximum(tap.position, Expr(0)), tap.inside = position >= Expr(0);
  if (behind) tap.position = minimum(tap.position, Expr(axis.in - 1)), tap.inside = both(tap.inside, position < Expr(axis.in));
  if (in_front || behind) tap.local = tap.position - begin;
  return tap;
}

CoveringWindow covering_window(const PoolAxis& axis, const Expr& i, int64_t j) {
  const Expr shifted = i + Expr(axis.low), last = shifted / Expr(axis.stride), o = last - Expr(j);
  CoveringWindow window{o, shifted % Expr(axis.stride) + Expr(j * axis.stride), {}};
  if (j > 0) window.o = maximum(o, Expr(0)), window.valid = o >= Expr(0);
  if ((axis.in - 1 + axis.low) / axis.stride - j >= axis.out) {
    window.o = minimum(window.o, Expr(axis.out - 1));
    window.valid = both(window.valid, o < Expr(axis.out));
  }
  if ((j + 1) * axis.stride > axis.kernel) window.valid = both(window.valid, window.local < Expr(axis.kernel));
  return window;
}

std::vector<PoolAxis> pool_axes(const Node& node, const Shape& x) { return make_axes(node.attributes, x); }

void for_each_tap(const std::vector<PoolAxis>& axes, const std::vector<int64_t>& x, const std::vector<int64_t>& y,
                  const std::function<void(const std::vector<int64_t>&, int64_t, int64_t, int64_t)>& visit) {
  std::vector<int64_t> kernel;
  for (const PoolAxis& axis : axes) kernel.push_back(axis.kernel);
  for_each_index(y, [&](const std::vector<int64_t>& o, int64_t pooled) {
    for_each_index(kernel, [&](const std::vector<int64_t>& tap, int64_t local) {
      std::vector<int64_t> at = o;
      bool inside = true;
      for (size_t k = 0; k < axes.size(); ++k) {
        at[1 + k] = o[1 + k] * axes[k].stride - axes[k].low + tap[k];
        inside = inside && at[1 + k] >= 0 && at[1 + k] < axes[k].in;
      }
      if (inside) visit(o, pooled, position_of(at, x), local);
    });
  });
}

AttributeMap with_size(const Node& node, const Shape& x) {
  AttributeMap attributes = node.attributes;
  IntList size;
  for (size_t k = 1; k + 1 < x.size(); ++k) size.push_back(x[k].factor);
  attributes["size"] = size;
  return attributes;
}

std::vector<AttributeSpec> pool_gradient_attributes(std::vector<AttributeSpec> attributes) {
  attributes.push_back({.name = "size", .kind = AttributeKind::integers, .fallback = {}, .doc = "the spatial size of what was pooled"});
  return attributes;
}

std::vector<std::string> pool_gradient_constraints() {
  std::vector<std::string> constraints = pool_constraints();
  constraints.push_back("`size` has a number of at least 1 for each spatial dimension, and pools to the shape of `dy`");
  return constraints;
}

Shape pool_input_shape(const InferContext& cx) {
  const int constraint = static_cast<int>(pool_gradient_constraints().size());
  const TensorType& dy = cx.type(0);
  const IntList& size = cx.attribute("size").integers();
  if (size.size() + 2 != dy.shape.size() || std::any_of(size.begin(), size.end(), [](int64_t extent) { return extent < 1; }))
    fail(cx, constraint, fmt::format("[{}] is no spatial size for {}", fmt::join(size, ", "), cx.show(dy)));
  Shape x = dy.shape;
  for (size_t k = 0; k < size.size(); ++k) x[1 + k] = Dim{size[k]};
  const TensorType pooled{DType::f32, pooled_shape(cx, x)};
  if (pooled != dy)
    fail(cx, constraint, fmt::format("the size [{}] pools to {}, not to {}", fmt::join(size, ", "), cx.show(pooled), cx.show(dy)));
  return x;
}

std::vector<AttributeSpec> pool_attributes() {
  AttributeSpec padding = layer_padding_attribute();
  padding.fallback = "valid";
  return {{.name = "kernel", .kind = AttributeKind::integers, .fallback = {}, .doc = "the size of the window"},
          {.name = "stride",
           .kind = AttributeKind::integers,
           .fallback = IntList{},
           .doc = "the distance between windows; none given is `kernel`"},
          std::move(padding),
          {.name = "ceil_mode",
           .kind = AttributeKind::boolean,
           .fallback = false,
           .doc = "also windows that reach past the padded end, as long as they begin in front of the end of `x`"}};
}

std::vector<std::string> pool_constraints() {
  return {"the operands are of the types stated", "`x` is `[N, H, W, C]` or `[N, L, C]`, where only N may be the batch",
          "`kernel`, `stride` and `padding` are one integer, or one for each axis (padding: or for each end); those of `kernel` and "
          "`stride` are at least 1, all below 2^31",
          "padding is less than `kernel`, so that each window holds an element of `x`",
          "the window is no larger than `x` with its padding, and holds at most 4096 elements"};
}

Shape pooled_shape(const InferContext& cx, const Shape& shape) {
  const TensorType x{DType::f32, shape};
  const int axes = shape.size() == 3 ? 1 : 2;
  require_image(cx, 2, "x", x, axes);
  checked_integers(cx, 3, "kernel", {1, axes}, 1);
  if (has_stride(cx.attributes)) checked_integers(cx, 3, "stride", {1, axes}, 1);
  require_layer_padding(cx, 3, axes);
  const Windows over = windows(cx.attributes, shape);
  require_fit(cx, 5, over, x);
  // The code of a window is a straight line.
  if (over.height.kernel > largest_window || over.width.kernel > largest_window / over.height.kernel)
    fail(cx, 5, fmt::format("a window of {} x {} holds more than {} elements", over.height.kernel, over.width.kernel, largest_window),
         "`global_average_pool` and `global_max_pool` reduce images of any size");
  Shape result = shape;
  const std::vector<PoolAxis> along = make_axes(cx.attributes, shape);
  for (size_t k = 0; k < along.size(); ++k) {
    const PoolAxis& axis = along[k];
    if (std::max(axis.low, axis.high) >= axis.kernel)
      fail(cx, 4, fmt::format("a padding of {} is not less than the kernel, {}", std::max(axis.low, axis.high), axis.kernel),
           "some windows would hold no element of `x`");
    result[1 + k].factor = axis.out;
  }
  return result;
}

std::vector<TensorType> infer_pooled(const InferContext& cx, DType dtype) {
  require_f32(cx, 1);
  return {TensorType{dtype, pooled_shape(cx, cx.type(0).shape)}};
}

}  // namespace bnc::ops
