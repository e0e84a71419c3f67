// resize, and its parts: interpolate along one axis and the gradient of that.
#include <algorithm>

#include "ir/ops/common.h"

namespace bnc {

using loops::BinaryOp;
using loops::Expr;

namespace {

constexpr int64_t largest_extent = int64_t{1} << 30;  // so that products of two extents are exact

bool is_linear(const AttributeMap& attributes) { return attributes.at("mode").symbol().name == "bilinear"; }

// Where along an axis of `in` elements the samples of `out` elements lie, in whole numbers, so that code and reference agree:
// sample i lies at (i*step + offset)/denominator, kept within the axis.
struct Grid {
  int64_t in, out, step, offset, denominator;
  bool linear;

  // numerator/denominator of a sample's place
  Expr place(const Expr& i) const { return ops::clamp(i * Expr(step) + Expr(offset), 0, (in - 1) * denominator); }
  int64_t place(int64_t i) const { return std::clamp<int64_t>(i * step + offset, 0, (in - 1) * denominator); }
  Expr fraction(const Expr& place) const {
    return loops::cast(loops::Scalar::f32, place % Expr(denominator)) * loops::real(1.0 / static_cast<double>(denominator));
  }
  // An element is read by the samples whose place lies less than one element behind it, or (linear) in front of it.
  int64_t reach() const { return linear ? 1 : 0; }
  int64_t taps() const { return step == 0 ? out : std::min(out, ((1 + reach()) * denominator + step - 1) / step); }
};

// Nearest: floor((i + 1/2)*in/out). Bilinear: (i + 1/2)*in/out - 1/2, or i*(in - 1)/(out - 1) with aligned corners.
Grid make_grid(int64_t in, int64_t out, const AttributeMap& attributes) {
  if (!is_linear(attributes)) return {in, out, 2 * in, in, 2 * out, false};
  if (!attributes.at("align_corners").boolean()) return {in, out, 2 * in, in - out, 2 * out, true};
  return {in, out, out > 1 ? in - 1 : 0, 0, std::max<int64_t>(out - 1, 1), true};
}

// --- along one axis --------------------------------------------------------------------------------------------

Grid grid_of(const Node& node) {
  const int axis = ops::axis_of(node);
  return make_grid(node.operands[0].type().shape[axis].factor, node.results[0].type.shape[axis].factor, node.attributes);
}

// Of interpolate_gradient, whose result has the extent that interpolate read.
Grid gradient_grid_of(const Node& node) {
  const int axis = ops::axis_of(node);
  return make_grid(node.results[0].type.shape[axis].factor, node.operands[0].type().shape[axis].factor, node.attributes);
}

std::vector<TensorType> infer_interpolate(const InferContext& cx) {
  ops::require_f32(cx, 1);
  TensorType y = cx.type(0);
  const int axis = ops::channel_axis(cx, 2, {});
  const int64_t size = cx.attribute("size").integer();
  if (size < 1 || size > largest_extent || y.shape[axis].factor > largest_extent)
    ops::fail(cx, 3, fmt::format("axis {} of {} cannot get size {}", axis, cx.show(y), size));
  if (cx.attribute("align_corners").boolean() && !is_linear(cx.attributes)) ops::fail(cx, 4, "align_corners=true needs mode=bilinear");
  y.shape[axis].factor = size;
  return {y};
}

// Calls visit(index of the sample, index of an element it reads, weight).
void for_each_tap(const Grid& grid, const std::function<void(int64_t sample, int64_t element, double weight)>& visit) {
  for (int64_t i = 0; i < grid.out; ++i) {
    const int64_t place = grid.place(i), element = place / grid.denominator;
    const double fraction = grid.linear ? static_cast<double>(place % grid.denominator) / static_cast<double>(grid.denominator) : 0;
    visit(i, element, 1 - fraction);
    if (grid.linear) visit(i, std::min(element + 1, grid.in - 1), fraction);
  }
}

// The result of adding weight * operand for each tap; `transposed` adds samples to elements, but to none that has no weight in it.
std::vector<Tensor> evaluate_taps(const EvaluateContext& cx, const Grid& grid, bool transposed) {
  const Tensor& x = cx.operand(0);
  const int axis = ops::axis_of(cx.node);
  Tensor y = cx.result();
  std::vector<int64_t> lines = x.dims;
  lines[axis] = 1;
  const int64_t from = ops::row_major_strides(x.dims)[axis], to = ops::row_major_strides(y.dims)[axis];
  ops::for_each_index(lines, [&](const std::vector<int64_t>& index, int64_t) {
    const int64_t first = ops::position_of(index, x.dims), target = ops::position_of(index, y.dims);
    for_each_tap(grid, [&](int64_t sample, int64_t element, double weight) {
      if (transposed && weight == 0) return;
      const auto [read, written] = transposed ? std::pair{sample, element} : std::pair{element, sample};
      y.data[target + written * to] += weight * x.data[first + read * from];
    });
  });
  return {y};
}

Expr interpolate_element(ElementContext& cx, const Index& index) {
  const int axis = ops::axis_of(cx.node);
  const Grid grid = grid_of(cx.node);
  const Expr place = grid.place(index[axis]);
  Index source = index;
  auto read = [&](Expr at) {
    source[axis] = std::move(at);
    return cx.operand(0, source);
  };
  const Expr low = place / Expr(grid.denominator), first = read(low);
  if (!grid.linear) return first;
  const Expr second = read(loops::binary(BinaryOp::minimum, low + Expr(1), Expr(grid.in - 1))), fraction = grid.fraction(place);
  return (loops::real(1) - fraction) * first + fraction * second;
}

// Sums over the samples that may read the element: those from the first one at or behind element - reach.
Expr interpolate_gradient_element(ElementContext& cx, const Index& index) {
  const int axis = ops::axis_of(cx.node);
  const Grid grid = gradient_grid_of(cx.node);
  const Expr element = index[axis];
  Expr first(0);
  if (grid.taps() < grid.out) {
    const Expr bound = (element - Expr(grid.reach())) * Expr(grid.denominator) - Expr(grid.offset);
    first = ops::clamp((bound + Expr(grid.step - 1)) / Expr(grid.step), 0, grid.out - grid.taps());
  }
  Index source = index;
  Expr sum;
  for (int64_t tap = 0; tap < grid.taps(); ++tap) {
    source[axis] = first + Expr(tap);
    const Expr place = grid.place(source[axis]), low = place / Expr(grid.denominator), dy = cx.operand(0, source);
    Expr term = loops::select(low == element, grid.linear ? (loops::real(1) - grid.fraction(place)) * dy : dy, loops::real(0));
    if (grid.linear) {
      const Expr high = loops::binary(BinaryOp::minimum, low + Expr(1), Expr(grid.in - 1));
      const Expr reads = loops::binary(BinaryOp::logical_and, high == element, Expr(0) < place % Expr(grid.denominator));
      term = term + loops::select(reads, grid.fraction(place) * dy, loops::real(0));
    }
    sum = sum ? sum + term : term;
  }
  return sum;
}

std::vector<Value> along(GraphBuilder& b, const char* op, Value x, Attribute axis, Dim size, const Node& node) {
  return {b.value(
      op, {x},
      {{"axis", axis}, {"size", size.factor}, {"mode", node.attribute("mode")}, {"align_corners", node.attribute("align_corners")}})};
}

std::vector<AttributeSpec> mode_attributes() {
  return {
      {.name = "mode", .kind = AttributeKind::symbol, .fallback = "nearest", .doc = "how to sample", .choices = {"nearest", "bilinear"}},
      {.name = "align_corners",
       .kind = AttributeKind::boolean,
       .fallback = false,
       .doc = "`bilinear` only: first and last samples lie on the first and last elements"}};
}

std::vector<AttributeSpec> one_axis_attributes(const char* size) {
  std::vector<AttributeSpec> attributes = {
      {.name = "axis", .kind = AttributeKind::integer, .fallback = {}, .doc = "the axis; negative counts from the end"},
      {.name = "size", .kind = AttributeKind::integer, .fallback = {}, .doc = size}};
  for (AttributeSpec& spec : mode_attributes()) attributes.push_back(std::move(spec));
  return attributes;
}

const std::vector<std::string> one_axis_constraints = {"the operand is f32", ops::axis_constraint,
                                                       "`size` and the extent of `axis` are at least 1 and at most 2^30",
                                                       "`align_corners` goes with `mode=bilinear`"};

// --- all spatial axes ------------------------------------------------------------------------------------------

std::vector<TensorType> infer_resize(const InferContext& cx) {
  ops::require_f32(cx, 1);
  TensorType y = cx.type(0);
  const IntList& size = cx.attribute("size").integers();
  const NumberList scale = cx.attribute("scale").numbers();
  const size_t spatial = y.shape.size() < 3 ? 0 : y.shape.size() - 2;
  if (spatial == 0) ops::fail(cx, 2, fmt::format("{} has no spatial dimension between the batch and the channels", cx.show(y)));
  if (size.empty() == scale.empty())
    ops::fail(cx, 3, size.empty() ? "neither `size` nor `scale` is given" : "both `size` and `scale` are given");
  if (size.size() != spatial && scale.size() != spatial && scale.size() != 1)
    ops::fail(cx, 3,
              fmt::format("{} numbers are given for the {} spatial dimension{} of {}", std::max(size.size(), scale.size()), spatial,
                          spatial == 1 ? "" : "s", cx.show(y)));
  if (cx.attribute("align_corners").boolean() && !is_linear(cx.attributes)) ops::fail(cx, 5, "align_corners=true needs mode=bilinear");
  for (size_t k = 0; k < spatial; ++k) {
    int64_t& extent = y.shape[1 + k].factor;
    const double wanted = size.empty() ? std::floor(static_cast<double>(extent) * scale[std::min(k, scale.size() - 1)])
                                       : static_cast<double>(size[k]);
    const double limit = static_cast<double>(largest_extent);
    if (!(wanted >= 1 && wanted <= limit) || y.shape[1 + k].batch || extent > largest_extent)
      ops::fail(cx, 4, fmt::format("dimension {} of {} cannot get size {}", 1 + k, cx.show(cx.type(0)), format_number(wanted)));
    extent = static_cast<int64_t>(wanted);
  }
  return {y};
}

// The axes along which the sizes of operand and result differ. (Where they agree each sample lies on its element.)
std::vector<int> resized_axes(const Node& node) {
  std::vector<int> axes;
  for (int axis = 1; axis < node.results[0].type.rank() - 1; ++axis)
    if (node.operands[0].type().shape[axis] != node.results[0].type.shape[axis]) axes.push_back(axis);
  return axes;
}

// Along the last axis first: it makes the result wider, the others longer.
std::vector<Value> rewrite_resize(GraphBuilder& b, Node& node) {
  Value y = node.operands[0];
  const std::vector<int> axes = resized_axes(node);
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    y = along(b, "interpolate", y, *axis, node.results[0].type.shape[*axis], node)[0];
  return {y};
}

std::vector<Value> resize_gradient(GradientContext& cx) {
  Value dx = cx.gradient();
  for (int axis : resized_axes(cx.node))
    dx = along(cx.builder, "interpolate_gradient", dx, axis, cx.operand(0).type().shape[axis], cx.node)[0];
  return {dx};
}

// Every sample from all the elements around it at once.
std::vector<Tensor> evaluate_resize(const EvaluateContext& cx) {
  const Tensor& x = cx.operand(0);
  return ops::evaluate_elements(cx, [&](const std::vector<int64_t>& index) {
    const size_t spatial = index.size() - 2;
    double sum = 0;
    for (int64_t corner = 0; corner < int64_t{1} << spatial; ++corner) {
      std::vector<int64_t> source = index;
      double weight = 1;
      bool reads = true;   // what it reads counts even with a weight of 0, which does not take the place of a number that is not finite
      for (size_t k = 0; k < spatial; ++k) {
        const Grid grid = make_grid(x.dims[1 + k], cx.node.results[0].type.shape[1 + k].factor, cx.node.attributes);
        const int64_t place = grid.place(index[1 + k]), upper = corner >> k & 1;
        const double fraction = grid.linear ? static_cast<double>(place % grid.denominator) / static_cast<double>(grid.denominator) : 0;
        source[1 + k] = std::min(place / grid.denominator + upper, grid.in - 1);
        weight *= upper ? fraction : 1 - fraction;
        reads &= !upper || (grid.linear && x.dims[1 + k] != cx.node.results[0].type.shape[1 + k].factor);
      }
      if (reads) sum += weight * x.data[ops::position_of(source, x.dims)];
    }
    return sum;
  });
}

}  // namespace

OpDefinition resize_op() {
  std::vector<AttributeSpec> attributes = {
      {.name = "size", .kind = AttributeKind::integers, .fallback = IntList{}, .doc = "the new spatial size"},
      {.name = "scale",
       .kind = AttributeKind::numbers,
       .fallback = NumberList{},
       .doc = "instead of `size`: floor(scale * size of `x`), one number for all spatial dimensions or one for each"}};
  for (AttributeSpec& spec : mode_attributes()) attributes.push_back(std::move(spec));
  return {
      .name = "resize",
      .category = OpCategory::shape,
      .summary = "Another spatial size, by the nearest elements or bilinear interpolation.",
      .description =
          "Sample i of `out` along a spatial dimension of `in` elements lies at (i + 1/2)*in/out - 1/2, kept within [0, in - 1]: pixels "
          "are squares whose centres lie at one half (ONNX `half_pixel`). `nearest` takes element floor((i + 1/2)*in/out) (PyTorch's "
          "`nearest-exact`; the same as its `nearest` for whole scales up). `bilinear` weighs the two neighbours along each dimension by "
          "their distance, without antialiasing. With `align_corners` sample i lies at i*(in - 1)/(out - 1). A `scale` only gives the "
          "size; places follow from the sizes (PyTorch's `recompute_scale_factor`).",
      .operands = {ops::tensor_operand("x", "`f32[N, .., C]`, channels last")},
      .attributes = std::move(attributes),
      .results = {{"y", "`x` with the new spatial size"}},
      .constraints = {"`x` is f32", "`x` has at least 3 dimensions: the batch, at least one spatial dimension, and the channels",
                      "either `size` has a number for each spatial dimension, or `scale` has, or `scale` has one number",
                      "spatial dimensions are not the batch, and their sizes are at least 1 and at most 2^30",
                      "`align_corners` goes with `mode=bilinear`"},
      .infer = infer_resize,
      .gradient = resize_gradient,
      .evaluate = evaluate_resize,
      .lowering = DecomposeLowering{rewrite_resize},
      .example = "resize(x, size=[6, 7], mode=bilinear)",
      .example_inputs = "x: f32[N, 4, 3, 5]",
  };
}

OpDefinition interpolate_op() {
  return {
      .name = "interpolate",
      .category = OpCategory::shape,
      .summary = "Another size along one axis.",
      .description = "What `resize` does along one axis, with the same places and weights.",
      .operands = {ops::tensor_operand("x", "at least one dimension")},
      .attributes = one_axis_attributes("the new extent of the axis"),
      .results = {{"y", "`x` with `size` elements along `axis`"}},
      .constraints = one_axis_constraints,
      .infer = infer_interpolate,
      .gradient =
          [](GradientContext& cx) {
            const Attribute& axis = cx.node.attribute("axis");
            return along(cx.builder, "interpolate_gradient", cx.gradient(), axis, cx.operand(0).type().shape[ops::axis_of(cx.node)],
                         cx.node);
          },
      .evaluate = [](const EvaluateContext& cx) { return evaluate_taps(cx, grid_of(cx.node), false); },
      .lowering = ElementLowering{.element = interpolate_element, .cost = 4},
      .example = "interpolate(x, axis=1, size=7, mode=bilinear)",
      .example_inputs = "x: f32[N, 4, 5]",
  };
}

OpDefinition interpolate_gradient_op() {
  return {
      .name = "interpolate_gradient",
      .category = OpCategory::gradient,
      .summary = "Gradient of interpolate: samples are added to the elements they were taken from.",
      .description = "dx[j] = sum over the samples i in which element j has a weight of weight[i, j]*dy[i], along one axis.",
      .operands = {ops::tensor_operand("dy", "gradient of the samples")},
      .attributes = one_axis_attributes("the extent of the axis of what was interpolated"),
      .results = {{"dx", "`dy` with `size` elements along `axis`"}},
      .constraints = one_axis_constraints,
      .infer = infer_interpolate,
      .gradient =
          [](GradientContext& cx) {
            const Attribute& axis = cx.node.attribute("axis");
            return along(cx.builder, "interpolate", cx.gradient(), axis, cx.operand(0).type().shape[ops::axis_of(cx.node)], cx.node);
          },
      .evaluate = [](const EvaluateContext& cx) { return evaluate_taps(cx, gradient_grid_of(cx.node), true); },
      .lowering = ElementLowering{.element = interpolate_gradient_element, .cost = 12},
      .example = "interpolate_gradient(dy, axis=1, size=4, mode=bilinear)",
      .example_inputs = "dy: f32[N, 7, 5]",
  };
}

}  // namespace bnc
