// global_average_pool and global_max_pool: names for reductions over all spatial axes.
#include "ir/ops/common.h"

namespace bnc {

namespace {

IntList spatial_axes(const TensorType& x) {
  IntList axes;
  for (int axis = 1; axis < x.rank() - 1; ++axis) axes.push_back(axis);
  return axes;
}

Value reduced(GraphBuilder& b, const char* reduction, const Node& node) {
  return b.value(reduction, {node.operands[0]},
                 {{"axes", spatial_axes(node.operands[0].type())}, {"keep_dims", node.attribute("keep_dims")}});
}

std::vector<Tensor> evaluate_pool(const EvaluateContext& cx, bool maximum) {
  const Tensor& x = cx.operand(0);
  const int64_t channels = x.dims.back(), pixels = x.size() / x.dims.front() / channels;
  Tensor y = cx.result();
  for (int64_t p = 0; p < x.size(); ++p) {
    double& pooled = y.data[p / (pixels * channels) * channels + p % channels];
    if (!maximum) pooled += x.data[p] / static_cast<double>(pixels);
    else pooled = p / channels % pixels == 0 ? x.data[p] : ops::maximum(pooled, x.data[p]);
  }
  return {y};
}

OpDefinition global_pool(const char* name, bool maximum, const char* summary, const char* description) {
  const char* const reduction = maximum ? "reduce_max" : "reduce_mean";
  return {
      .name = name,
      .category = OpCategory::pooling,
      .summary = summary,
      .description = description,
      .operands = {ops::tensor_operand("x", "`f32[N, .., C]`, channels last")},
      .attributes =
          {{.name = "keep_dims", .kind = AttributeKind::boolean, .fallback = false, .doc = "keep the spatial dimensions, with size 1"}},
      .results = {{"y", "`f32[N, C]`"}},
      .constraints = {"`x` is f32", "`x` has at least 3 dimensions: the batch, at least one spatial dimension, and the channels"},
      .infer =
          [](const InferContext& cx) {
            ops::require_f32(cx, 1);
            const TensorType& x = cx.type(0);
            if (x.rank() < 3) ops::fail(cx, 2, fmt::format("{} has no spatial dimension between the batch and the channels", cx.show(x)));
            return std::vector{TensorType{
                DType::f32, ops::reduced_shape(x.shape, ops::all_axes(spatial_axes(x), x.rank()), cx.attribute("keep_dims").boolean())}};
          },
      // The reduction's own rule, applied to a reduction of the same operand.
      .gradient =
          [reduction](GradientContext& cx) {
            Node& reduce = *reduced(cx.builder, reduction, cx.node).node;
            GradientContext of_reduction{cx.builder, reduce, {cx.gradient()}};
            return reduce.op->gradient(of_reduction);
          },
      .evaluate = [maximum](const EvaluateContext& cx) { return evaluate_pool(cx, maximum); },
      .lowering = DecomposeLowering{[reduction](GraphBuilder& b, Node& node) { return std::vector{reduced(b, reduction, node)}; },
                                    /*canonical=*/true},
      .example = std::string(name) + "(x)",
      .example_inputs = "x: f32[N, 4, 3, 5]",
  };
}

}  // namespace

OpDefinition global_average_pool_op() {
  return global_pool("global_average_pool", false, "Mean over all spatial dimensions.",
                     "y[n, c] = mean of x[n, .., c]. `reduce_mean` over all axes but the first and the last.");
}

OpDefinition global_max_pool_op() {
  return global_pool("global_max_pool", true, "Maximum over all spatial dimensions.",
                     "y[n, c] = maximum of x[n, .., c]; NaN where one of them is NaN. `reduce_max` over all axes but the first and the "
                     "last: equal maxima share the gradient evenly, as with PyTorch's `amax`.");
}

}  // namespace bnc
