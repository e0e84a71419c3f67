// max_pool; its gradient goes through the number, within each window, of the element that is the maximum.
#include "ir/ops/pooling.h"

namespace bnc {

using loops::BinaryOp;
using loops::Expr;
using loops::Scalar;
using ops::PoolAxis;

namespace {

std::vector<PoolAxis> axes_of_operand(const Node& node) { return ops::pool_axes(node, node.operands[0].type().shape); }

// Calls visit(element, its number within the window) for the elements of window `o`, in row-major order. Where the window
// reaches outside, the nearest element inside, which is one of the window too, comes again.
void for_each_element(ElementContext& cx, const std::vector<PoolAxis>& axes, const Index& o,
                      const std::function<void(const Expr&, const Expr&)>& visit) {
  std::vector<int64_t> kernel;
  for (const PoolAxis& axis : axes) kernel.push_back(axis.kernel);
  ops::for_each_index(kernel, [&](const std::vector<int64_t>& tap, int64_t) {
    Index source = o;
    Expr number(0);
    for (size_t k = 0; k < axes.size(); ++k) {
      const ops::PoolTap place = ops::pool_tap(axes[k], o[1 + k], tap[k]);
      source[1 + k] = place.position;
      number = number * Expr(axes[k].kernel) + place.local;
    }
    visit(cx.operand(0, source), number);
  });
}

Expr max_pool_element(ElementContext& cx, const Index& index) {
  Expr maximum;
  for_each_element(cx, axes_of_operand(cx.node), index,
                   [&](const Expr& x, const Expr&) { maximum = maximum ? loops::binary(BinaryOp::maximum, maximum, x) : x; });
  return maximum;
}

Expr as_index(const Expr& number) { return loops::cast(Scalar::i32, number); }

struct Numbered {
  Expr element, number;
};

// The maximum of the elements [begin, end), and its number. By halves: each comparison holds the maxima of both sides, so that a chain
// of them would double, or square, with the size of the window.
Numbered numbered_maximum(const std::vector<Numbered>& all, size_t begin, size_t end) {
  if (end - begin == 1) return all[begin];
  const size_t middle = begin + (end - begin) / 2;
  const Numbered left = numbered_maximum(all, begin, middle), right = numbered_maximum(all, middle, end);
  const Expr is_nan = loops::binary(BinaryOp::not_equal, right.element, right.element);
  const Expr better = loops::binary(BinaryOp::logical_or, left.element < right.element, is_nan);
  return {loops::binary(BinaryOp::maximum, left.element, right.element), loops::select(better, right.number, left.number)};
}

Expr max_pool_index_element(ElementContext& cx, const Index& index) {
  std::vector<Numbered> all;
  for_each_element(cx, axes_of_operand(cx.node), index, [&](const Expr& x, const Expr& local) { all.push_back({x, as_index(local)}); });
  return numbered_maximum(all, 0, all.size()).number;
}

// Sums, over the windows that contain the element, dy where the element's number is the index; dimension by dimension from
// `k` on. `number` is the element's number by the dimensions before.
Expr sum_covering(ElementContext& cx, const std::vector<PoolAxis>& axes, const Index& index, Index& source, size_t k, const Expr& number,
                  const Expr& valid) {
  if (k == axes.size()) {
    const Expr wanted = as_index(valid ? loops::select(valid, number, Expr(-1)) : number);
    return loops::select(cx.operand(1, source) == wanted, cx.operand(0, source), loops::real(0));
  }
  Expr sum;
  for (int64_t j = ops::covering_windows(axes[k]); j-- > 0;) {
    const ops::CoveringWindow window = ops::covering_window(axes[k], index[1 + k], j);
    source[1 + k] = window.o;
    const Expr still_valid = valid && window.valid ? loops::binary(BinaryOp::logical_and, valid, window.valid)
                             : valid               ? valid
                                                   : window.valid;
    const Expr term = sum_covering(cx, axes, index, source, k + 1, number * Expr(axes[k].kernel) + window.local, still_valid);
    sum = sum ? sum + term : term;
  }
  return sum;
}

Expr max_pool_gradient_element(ElementContext& cx, const Index& index) {
  Index source = index;
  return sum_covering(cx, ops::pool_axes(cx.node, cx.node.results[0].type.shape), index, source, 0, Expr(0), {});
}

std::vector<Tensor> evaluate_index(const EvaluateContext& cx) {
  const Tensor& x = cx.operand(0);
  Tensor index = cx.result(), maximum = index;
  index.data.assign(index.data.size(), -1);
  ops::for_each_tap(axes_of_operand(cx.node), x.dims, index.dims,
                    [&](const std::vector<int64_t>&, int64_t pooled, int64_t at, int64_t local) {
                      if (index.data[pooled] >= 0 && !(x.data[at] > maximum.data[pooled]) && !std::isnan(x.data[at])) return;
                      maximum.data[pooled] = x.data[at];
                      index.data[pooled] = static_cast<double>(local);
                    });
  return {index};
}

}  // namespace

OpDefinition max_pool_op() {
  return {
      .name = "max_pool",
      .category = OpCategory::pooling,
      .summary = "Maximum of each window.",
      .description =
          "y = maximum of the window's elements of `x`, channel by channel; NaN where one of them is NaN; padding never wins. Sizes are "
          "those of `average_pool`. The gradient goes to the first of equal maxima in row-major order, or to the last NaN, as PyTorch has "
          "it.",
      .operands = {ops::tensor_operand("x", "`f32[N, H, W, C]` or `f32[N, L, C]`")},
      .attributes = ops::pool_attributes(),
      .results = {{"y", "one element a window and channel"}},
      .constraints = ops::pool_constraints(),
      .infer = [](const InferContext& cx) { return ops::infer_pooled(cx, DType::f32); },
      .gradient =
          [](GradientContext& cx) {
            const Value index = cx.builder.value("max_pool_index", {cx.operand(0)}, cx.node.attributes);
            return std::vector{
                cx.builder.value("max_pool_gradient", {cx.gradient(), index}, ops::with_size(cx.node, cx.operand(0).type().shape))};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            const Tensor& x = cx.operand(0);
            Tensor y = cx.result();
            y.data.assign(y.data.size(), -INFINITY);
            ops::for_each_tap(axes_of_operand(cx.node), x.dims, y.dims,
                              [&](const std::vector<int64_t>&, int64_t pooled, int64_t at, int64_t) {
                                y.data[pooled] = ops::maximum(y.data[pooled], x.data[at]);
                              });
            return std::vector{y};
          },
      .lowering = ElementLowering{.element = max_pool_element, .cost = 8},
      .example = "max_pool(x, kernel=3, stride=2, padding=1)",
      .example_inputs = "x: f32[N, 5, 6, 3]",
  };
}

OpDefinition max_pool_index_op() {
  return {
      .name = "max_pool_index",
      .category = OpCategory::pooling,
      .summary = "Which element of each window is its maximum.",
      .description = "The number, row-major within the window, of the first of equal maxima, or of the last NaN.",
      .operands = {ops::fixed_operand("x", "`f32[N, H, W, C]` or `f32[N, L, C]`")},
      .attributes = ops::pool_attributes(),
      .results = {{"index", "i32, one number a window and channel"}},
      .constraints = ops::pool_constraints(),
      .infer = [](const InferContext& cx) { return ops::infer_pooled(cx, DType::i32); },
      .evaluate = evaluate_index,
      .lowering = ElementLowering{.element = max_pool_index_element, .cost = 12},
      .example = "max_pool_index(x, kernel=2)",
      .example_inputs = "x: f32[N, 5, 6, 3]",
  };
}

OpDefinition max_pool_gradient_op() {
  return {
      .name = "max_pool_gradient",
      .category = OpCategory::gradient,
      .summary = "Gradient of max_pool.",
      .description = "dx = sum of dy over the windows of which the element is the maximum, as `max_pool_index` says.",
      .operands = {ops::fixed_operand("dy", "gradient of the result"), ops::fixed_operand("index", "`max_pool_index`")},
      .attributes = ops::pool_gradient_attributes(ops::pool_attributes()),
      .results = {{"dx", "`dy` with the spatial `size`"}},
      .constraints = ops::pool_gradient_constraints(),
      .infer =
          [](const InferContext& cx) {
            const TensorType &dy = cx.type(0), index{DType::i32, dy.shape};
            if (dy.dtype != DType::f32 || cx.type(1) != index)
              ops::fail(cx, 1,
                        fmt::format("`dy` must be f32 and `index` i32 of its shape, got {} and {}", cx.show(dy), cx.show(cx.type(1))));
            return std::vector{TensorType{DType::f32, ops::pool_input_shape(cx)}};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            const Tensor &dy = cx.operand(0), &index = cx.operand(1);
            Tensor dx = cx.result();
            ops::for_each_tap(ops::pool_axes(cx.node, cx.node.results[0].type.shape), dx.dims, dy.dims,
                              [&](const std::vector<int64_t>&, int64_t pooled, int64_t at, int64_t local) {
                                if (index.data[pooled] == static_cast<double>(local)) dx.data[at] += dy.data[pooled];
                              });
            return std::vector{dx};
          },
      .lowering = ElementLowering{.element = max_pool_gradient_element, .cost = 8},
      .example = "max_pool_gradient(dy, index, kernel=2, size=[5, 6])",
      .example_inputs = "dy: f32[N, 2, 3, 4], index: i32[N, 2, 3, 4]",
  };
}

}  // namespace bnc
