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

// An attribute's number for spatial dimension `k`: one for all, or one for each.
int64_t at(const IntList& list, size_t k) { return list[std::min(k, list.size() - 1)]; }

PoolAxis make_axis(const AttributeMap& attributes, int64_t in, size_t k) {
  const IntList &kernel = attributes.at("kernel").integers(), &stride = attributes.at("stride").integers(), &padding = attributes.at("padding").integers();
  PoolAxis axis{.in = in, .out = 0, .kernel = at(kernel, k), .stride = at(stride.empty() ? kernel : stride, k), .low = 0, .high = 0};
  if (!padding.empty()) axis.low = padding.size() == 1 ? padding[0] : padding[2 * k], axis.high = padding.size() == 1 ? padding[0] : padding[2 * k + 1];
  const int64_t room = axis.in + axis.low + axis.high - axis.kernel;
  axis.out = room / axis.stride + 1;
  if (attributes.at("ceil_mode").boolean() && room % axis.stride != 0 && axis.out * axis.stride < axis.in + axis.low) ++axis.out;
  return axis;
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

std::vector<PoolAxis> pool_axes(const Node& node, const Shape& size) {
  std::vector<PoolAxis> axes;
  for (size_t k = 0; k + 2 < size.size(); ++k) axes.push_back(make_axis(node.attributes, size[1 + k].factor, k));
  return axes;
}

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
  if (pooled != dy) fail(cx, constraint, fmt::format("the size [{}] pools to {}, not to {}", fmt::join(size, ", "), cx.show(pooled), cx.show(dy)));
  return x;
}

std::vector<AttributeSpec> pool_attributes() {
  return {{.name = "kernel", .kind = AttributeKind::integers, .fallback = {}, .doc = "the window: one number, or one for each spatial dimension"},
          {.name = "stride", .kind = AttributeKind::integers, .fallback = IntList{}, .doc = "the distance between windows, likewise; none given is `kernel`"},
          {.name = "padding", .kind = AttributeKind::integers, .fallback = IntList{0}, .doc = "padding: one number, or [low, high, ..] of each spatial dimension"},
          {.name = "ceil_mode", .kind = AttributeKind::boolean, .fallback = false, .doc = "also windows that reach past the padded end, as long as they begin in front of the end of `x`"}};
}

std::vector<std::string> pool_constraints() {
  return {"the operands are of the types stated", "`x` has at least 3 dimensions: the batch, at least one spatial dimension, and the channels; no other is the batch",
          "`kernel` and `stride` hold one number, or one for each spatial dimension; all are at least 1 and below 2^31",
          "padding is not negative and less than `kernel`", "the padded input is at least as large as `kernel`"};
}

Shape pooled_shape(const InferContext& cx, const Shape& shape) {
  auto show = [&](const Shape& s) { return cx.show({DType::f32, s}); };
  const size_t spatial = shape.size() < 3 ? 0 : shape.size() - 2;
  if (spatial == 0) fail(cx, 2, fmt::format("{} has no spatial dimension between the batch and the channels", show(shape)));
  for (size_t k = 1; k < shape.size(); ++k)
    if (shape[k].batch || shape[k].factor >= int64_t{1} << 31) fail(cx, 2, fmt::format("dimension {} of {} is the batch or has 2^31 elements", k, show(shape)));
  for (const char* name : {"kernel", "stride"}) {
    const IntList& list = cx.attribute(name).integers();
    const bool is_default = list.empty() && std::string_view(name) == "stride";
    if (!is_default && list.size() != 1 && list.size() != spatial)
      fail(cx, 3, fmt::format("`{}` has {} numbers for the {} spatial dimension{} of {}", name, list.size(), spatial, spatial == 1 ? "" : "s", show(shape)));
    for (int64_t number : list)
      if (number < 1 || number >= int64_t{1} << 31) fail(cx, 3, fmt::format("`{}` must be at least 1 and below 2^31, got {}", name, number));
  }
  const IntList& padding = cx.attribute("padding").integers();
  if (padding.size() > 1 && padding.size() != 2 * spatial)
    fail(cx, 4, fmt::format("`padding` has {} numbers for the {} spatial dimension{} of {}", padding.size(), spatial, spatial == 1 ? "" : "s", show(shape)));
  Shape result = shape;
  for (size_t k = 0; k < spatial; ++k) {
    const PoolAxis axis = make_axis(cx.attributes, shape[1 + k].factor, k);
    for (int64_t padded : {axis.low, axis.high})
      if (padded < 0 || padded >= axis.kernel) fail(cx, 4, fmt::format("padding {} does not go with a kernel of {}", padded, axis.kernel), "each window must hold an element of `x`");
    if (axis.in + axis.low + axis.high < axis.kernel)
      fail(cx, 5, fmt::format("a kernel of {} does not fit in dimension {} of {}, padded by {} and {}", axis.kernel, 1 + k, show(shape), axis.low, axis.high));
    result[1 + k].factor = axis.out;
  }
  return result;
}

}  // namespace bnc::ops
