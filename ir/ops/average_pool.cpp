// average_pool and its gradient.
#include "ir/ops/pooling.h"

namespace bnc {

using loops::Expr;
using ops::PoolAxis;

namespace {

bool includes_pad(const Node& node) { return node.attribute("count_include_pad").boolean(); }

const Shape& pooled_operand(const Node& node) { return node.operands[0].type().shape; }

// One over the number of elements that window `o` is the average of.
double weight(const std::vector<PoolAxis>& axes, const std::vector<int64_t>& o, bool include_pad) {
  double count = 1;
  for (size_t k = 0; k < axes.size(); ++k) count *= static_cast<double>(axes[k].count(o[1 + k], include_pad));
  return 1 / count;
}

// 1/count, in f32.
Expr reciprocal_count(const std::vector<PoolAxis>& axes, const Index& o, bool include_pad) {
  Expr count(1);
  for (size_t k = 0; k < axes.size(); ++k) count = count * axes[k].count(o[k], include_pad);
  if (const auto fixed = loops::as_integer(count)) return loops::real(1.0 / static_cast<double>(*fixed));
  return loops::real(1) / loops::cast(loops::Scalar::f32, count);
}

// A position along one spatial dimension that belongs to a sum where it is valid (absent: always).
struct Term {
  Expr position, valid;
};

// Sums `element` over all terms of all dimensions, from dimension `k` on; `at` holds the positions in those before.
Expr sum_of(const std::vector<std::vector<Term>>& terms, Index& at, size_t k, const std::function<Expr(const Index&)>& element) {
  if (k == terms.size()) return element(at);
  Expr sum;
  for (const Term& term : terms[k]) {
    at[1 + k] = term.position;
    Expr part = sum_of(terms, at, k + 1, element);
    if (term.valid) part = loops::select(term.valid, part, loops::real(0));
    sum = sum ? sum + part : part;
  }
  return sum;
}

Expr average_pool_element(ElementContext& cx, const Index& index) {
  const std::vector<PoolAxis> axes = ops::pool_axes(cx.node, pooled_operand(cx.node));
  std::vector<std::vector<Term>> window(axes.size());
  for (size_t k = 0; k < axes.size(); ++k) {
    for (int64_t tap = 0; tap < axes[k].kernel; ++tap) {
      const ops::PoolTap place = ops::pool_tap(axes[k], index[1 + k], tap);
      window[k].push_back({place.position, place.inside});
    }
  }
  Index at = index;
  const Expr sum = sum_of(window, at, 0, [&](const Index& source) { return cx.operand(0, source); });
  return sum * reciprocal_count(axes, Index(index.begin() + 1, index.end() - 1), includes_pad(cx.node));
}

// Sums dy/count over the windows that contain the element.
Expr average_pool_gradient_element(ElementContext& cx, const Index& index) {
  const std::vector<PoolAxis> axes = ops::pool_axes(cx.node, cx.node.results[0].type.shape);
  std::vector<std::vector<Term>> covering(axes.size());
  for (size_t k = 0; k < axes.size(); ++k) {
    for (int64_t j = ops::covering_windows(axes[k]); j-- > 0;) {
      const ops::CoveringWindow window = ops::covering_window(axes[k], index[1 + k], j);
      covering[k].push_back({window.o, window.valid});
    }
  }
  Index at = index;
  return sum_of(covering, at, 0, [&](const Index& o) {
    return cx.operand(0, o) * reciprocal_count(axes, Index(o.begin() + 1, o.end() - 1), includes_pad(cx.node));
  });
}

std::vector<AttributeSpec> average_attributes() {
  std::vector<AttributeSpec> attributes = ops::pool_attributes();
  attributes.push_back({.name = "count_include_pad",
                        .kind = AttributeKind::boolean,
                        .fallback = true,
                        .doc = "padding counts as zeros; else a window is the average of its elements of `x` alone"});
  return attributes;
}

}  // namespace

OpDefinition average_pool_op() {
  return {
      .name = "average_pool",
      .category = OpCategory::pooling,
      .summary = "Mean of each window.",
      .description =
          "y = sum of the window's elements of x / their number, channel by channel. Sizes and counts are PyTorch's: floor((size + padding "
          "- kernel)/stride) + 1 windows along an axis, with `ceil_mode` ceil instead of floor, less a last one that would begin behind "
          "the elements of `x`. With `count_include_pad` the padding counts as zeros, but what `ceil_mode` lets reach past the padding "
          "does not count.",
      .operands = {ops::tensor_operand("x", "`f32[N, H, W, C]` or `f32[N, L, C]`")},
      .attributes = average_attributes(),
      .results = {{"y", "one element a window and channel"}},
      .constraints = ops::pool_constraints(),
      .infer = [](const InferContext& cx) { return ops::infer_pooled(cx, DType::f32); },
      .gradient =
          [](GradientContext& cx) {
            return std::vector{
                cx.builder.value("average_pool_gradient", {cx.gradient()}, ops::with_size(cx.node, cx.operand(0).type().shape))};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            const Tensor& x = cx.operand(0);
            Tensor y = cx.result();
            const std::vector<PoolAxis> axes = ops::pool_axes(cx.node, pooled_operand(cx.node));
            ops::for_each_tap(axes, x.dims, y.dims, [&](const std::vector<int64_t>& o, int64_t pooled, int64_t at, int64_t) {
              y.data[pooled] += weight(axes, o, includes_pad(cx.node)) * x.data[at];
            });
            return std::vector{y};
          },
      .lowering = ElementLowering{.element = average_pool_element, .cost = 8},
      .example = "average_pool(x, kernel=[3, 2], stride=2, padding=[1, 1, 0, 0])",
      .example_inputs = "x: f32[N, 5, 6, 3]",
  };
}

OpDefinition average_pool_gradient_op() {
  return {
      .name = "average_pool_gradient",
      .category = OpCategory::gradient,
      .summary = "Gradient of average_pool.",
      .description = "dx = sum over the windows that contain the element of dy / number of elements in the window.",
      .operands = {ops::tensor_operand("dy", "gradient of the result")},
      .attributes = ops::pool_gradient_attributes(average_attributes()),
      .results = {{"dx", "`dy` with the spatial `size`"}},
      .constraints = ops::pool_gradient_constraints(),
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            return std::vector{TensorType{DType::f32, ops::pool_input_shape(cx)}};
          },
      .gradient =
          [](GradientContext& cx) {
            AttributeMap attributes = cx.node.attributes;
            attributes.erase("size");
            return std::vector{cx.builder.value("average_pool", {cx.gradient()}, attributes)};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            const Tensor& dy = cx.operand(0);
            Tensor dx = cx.result();
            const std::vector<PoolAxis> axes = ops::pool_axes(cx.node, cx.node.results[0].type.shape);
            ops::for_each_tap(axes, dx.dims, dy.dims, [&](const std::vector<int64_t>& o, int64_t pooled, int64_t at, int64_t) {
              dx.data[at] += weight(axes, o, includes_pad(cx.node)) * dy.data[pooled];
            });
            return std::vector{dx};
          },
      .lowering = ElementLowering{.element = average_pool_gradient_element, .cost = 6},
      .example = "average_pool_gradient(dy, kernel=2, size=[5, 6])",
      .example_inputs = "dy: f32[N, 2, 3, 4]",
  };
}

}  // namespace bnc
