#include "ir/ops/common.h"

namespace bnc {

namespace {

// The type of a new weight: [in, units].
TensorType new_dense_weight(const InferContext& cx) {
  if (cx.type(0).rank() < 2)
    ops::fail(cx, 2, fmt::format("`x` needs at least 2 dimensions, the batch and the features, got {}", cx.show(cx.type(0))));
  Dim features = cx.type(0).shape.back();
  if (features.batch)
    ops::fail(cx, 2, fmt::format("the last dimension of {} is the batch and cannot be the features", cx.show(cx.type(0))));
  int64_t units = cx.attribute("units").integer();
  if (units < 1) ops::fail(cx, 5, fmt::format("units must be at least 1, got {}", units));
  return {DType::f32, {features, Dim{units}}};
}

// The type of a bias: [units]. Checks the weight, which stands before it.
TensorType new_dense_bias(const InferContext& cx) {
  const TensorType &x = cx.type(0), &weight = cx.type(1);
  if (weight.rank() != 2 || weight.shape[0] != x.shape.back())
    ops::fail(cx, 3, fmt::format("the weight of {} must be f32[{}, units], got {}", cx.show(x),
                                 x.shape.back().factor, cx.show(weight)));
  return {DType::f32, {weight.shape[1]}};
}

std::vector<TensorType> infer_dense(const InferContext& cx) {
  ops::require_f32(cx, 1);
  const TensorType &x = cx.type(0), &weight = cx.type(1);
  if (x.rank() < 2)
    ops::fail(cx, 2, fmt::format("`x` needs at least 2 dimensions, the batch and the features, got {}", cx.show(x)));
  TensorType bias = new_dense_bias(cx);
  if (cx.has(2) && cx.type(2) != bias)
    ops::fail(cx, 4, fmt::format("the bias beside weight {} must be {}, got {}", cx.show(weight), cx.show(bias), cx.show(cx.type(2))));
  TensorType y = x;
  y.shape.back() = weight.shape[1];
  return {y};
}

std::vector<Value> rewrite_dense(GraphBuilder& b, Node& node) {
  Value y = b.value("matmul", {node.operands[0], node.operands[1]});
  if (!node.operands[2]) return {y};
  const bool units_are_batch = y.type().shape.back().batch;   // of a weight that is an input; the channels of `bias` are no batch
  return {units_are_batch ? b.add(y, node.operands[2]) : b.value("bias", {y, node.operands[2]})};
}

std::vector<Value> dense_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value x = cx.operand(0), dy = cx.gradient();
  Value dx = b.value("matmul", {dy, cx.operand(1)}, {{"transpose_right", true}});
  Value d_weight = b.value("matmul", {ops::as_matrix(b, x), ops::as_matrix(b, dy)}, {{"transpose_left", true}});
  Value d_bias = cx.operand(2) ? ops::sum_to_channels(b, dy, dy.type().rank() - 1) : Value{};
  return {dx, d_weight, d_bias};
}

std::vector<Tensor> evaluate_dense(const EvaluateContext& cx) {
  const Tensor &x = cx.operand(0), &weight = cx.operand(1);
  int64_t features = weight.dims[0], units = weight.dims[1];
  Tensor y = cx.result();
  for (int64_t p = 0; p < y.size(); ++p) {
    int64_t row = p / units, unit = p % units;
    double sum = cx.has(2) ? cx.operand(2).data[unit] : 0;
    for (int64_t k = 0; k < features; ++k) sum += x.data[row * features + k] * weight.data[k * units + unit];
    y.data[p] = sum;
  }
  return {y};
}

}  // namespace

OpDefinition dense_op() {
  return {
      .name = "dense",
      .category = OpCategory::linear,
      .summary = "Fully connected layer.",
      .description =
          "y = x*weight + bias over the last dimension. A new weight is drawn by `he` (He et al., \"Delving deep into rectifiers\", 2015), "
          "which keeps the variance through layers of the ReLU family; in front of a batch norm the scale does not matter.",
      .operands = {ops::tensor_operand("x", "`[.., in]`"),
                   {.name = "weight",
                    .doc = "`[in, units]`",
                    .parameter = ParameterRule{.type = new_dense_weight, .initializer = {"he", {}}}},
                   {.name = "bias",
                    .doc = "`[units]`",
                    .optional = true,
                    .parameter = ParameterRule{.type = new_dense_bias, .initializer = {"zeros", {}}}}},
      .attributes = {{.name = "units",
                      .kind = AttributeKind::integer,
                      .fallback = {},
                      .doc = "the size of the result's last dimension",
                      .layer_only = true}},
      .results = {{"y", "`[.., units]`"}},
      .constraints = {"all operands are f32", "`x` has at least 2 dimensions, the last of them not the batch", "`weight` is `[in, units]`",
                      "`bias` is `[units]`", "`units` is at least 1"},
      .infer = infer_dense,
      .gradient = dense_gradient,
      .evaluate = evaluate_dense,
      .lowering = DecomposeLowering{rewrite_dense, /*canonical=*/true},
      .example = "dense(x, 3)",
      .example_inputs = "x: f32[N, 5]",
  };
}

}  // namespace bnc
