#include "ir/ops/convolution_form.h"

namespace bnc {

using ops::Convolution;

namespace {

enum { bias_type = 7, output_padding_range = 8 };

void check_image(const InferContext& cx) {
  ops::require_f32(cx, ops::float_operands);
  ops::require_image(cx, ops::images, "x", cx.type(0));
  ops::require_layer_window(cx, ops::integers_in_range, 2);
  ops::checked_groups(cx, "x", cx.type(0));
}

TensorType new_transposed_weight(const InferContext& cx) {
  check_image(cx);
  const int64_t groups = cx.attribute("groups").integer();
  ops::checked_integers(cx, ops::integers_in_range, "kernel", {1, 2}, 1);
  const IntList kernel = ops::per_axis(cx.attribute("kernel"), 2);
  return {DType::f32, {{kernel[0]}, {kernel[1]}, {ops::checked_filters(cx, groups) / groups}, cx.type(0).shape[3]}};
}

TensorType new_transposed_bias(const InferContext& cx) {
  check_image(cx);
  ops::require_transposed_weight(cx, cx.type(0), cx.type(1));
  return {DType::f32, {{cx.type(1).shape[2].factor * cx.attribute("groups").integer()}}};
}

// The convolution that goes the other way: from the result, one pixel more of which the padding takes for each of
// `output_padding`, to `x`.
struct Transposed {
  AttributeMap window;
  Shape y;
};

Transposed transposed(const AttributeMap& layer, const Shape& x, const Shape& weight) {
  const IntList stride = ops::per_axis(layer.at("stride"), 2), more = ops::per_axis(layer.at("output_padding"), 2);
  Transposed result;
  result.window = ops::explicit_window(layer, 2, x[1].factor * stride[0], x[2].factor * stride[1], weight[0].factor, weight[1].factor);
  const auto [h, w] = ops::windows_of(result.window, x[1].factor, x[2].factor, weight[0].factor, weight[1].factor);
  result.window["groups"] = layer.at("groups");
  const bool same = layer.at("padding") == Attribute("same");
  auto size = [&](const ops::Window& window, int64_t output_padding) {
    return same ? window.input * window.stride
                : (window.input - 1) * window.stride + window.span() - window.before - window.after + output_padding;
  };
  result.y = {x[0], {size(h, more[0])}, {size(w, more[1])}, {weight[2].factor * layer.at("groups").integer()}};
  return result;
}

Transposed transposed(const Node& node) {
  return transposed(node.attributes, node.operands[0].type().shape, node.operands[1].type().shape);
}

void check_output_padding(const InferContext& cx) {
  ops::checked_integers(cx, output_padding_range, "output_padding", {1, 2}, 0);
  const IntList stride = ops::per_axis(cx.attribute("stride"), 2), more = ops::per_axis(cx.attribute("output_padding"), 2);
  for (int axis = 0; axis < 2; ++axis)
    if (more[axis] >= stride[axis])
      ops::fail(cx, output_padding_range, fmt::format("output_padding {} must be less than the stride {}", more[axis], stride[axis]),
                "it tells apart the sizes that a convolution of that stride would take to the same one");
  if (cx.attribute("padding") == Attribute("same") && more != IntList{0, 0})
    ops::fail(cx, output_padding_range, "output_padding has no meaning with padding=same, whose result is `stride` times as large as `x`");
}

std::vector<TensorType> infer_transposed(const InferContext& cx) {
  ops::require_bias(cx, new_transposed_bias(cx));
  check_output_padding(cx);
  const TensorType &x = cx.type(0), &weight = cx.type(1);
  const Transposed form = transposed(cx.attributes, x.shape, weight.shape);
  ops::require_padding(cx, ops::window_fits,
                       ops::windows_of(form.window, x.shape[1].factor, x.shape[2].factor, weight.shape[0].factor, weight.shape[1].factor));
  const TensorType y{DType::f32, form.y};
  for (int axis : {1, 2, 3})
    if (y.shape[axis].factor < 1 || y.shape[axis].factor >= ops::window_limit)
      ops::fail(cx, ops::window_fits, fmt::format("the result would be {}", cx.show(y)),
                y.shape[axis].factor < 1 ? "padding takes pixels off the result of a transposed convolution: pad less" : "");
  return {y};
}

std::vector<Value> rewrite_transposed(GraphBuilder& b, Node& node) {
  const Transposed t = transposed(node);
  return {ops::with_bias(b, ops::input_gradient(b, node.operands[0], node.operands[1], t.y, t.window), node.operands[2])};
}

std::vector<Value> transposed_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const Value dy = cx.gradient();
  const Transposed t = transposed(cx.node);
  return {ops::convolution(b, dy, cx.operand(1), t.window),
          ops::weight_gradient(b, dy, cx.operand(0), cx.operand(1).type().shape, t.window),
          cx.operand(2) ? ops::sum_to_channels(b, dy, 3) : Value{}};
}

std::vector<Tensor> evaluate_transposed(const EvaluateContext& cx) {
  const Transposed t = transposed(cx.node);
  Tensor y = cx.result();
  ops::add_input_gradient(y, ops::convolution_of(t.y, cx.node.operands[1].type().shape, t.window), cx.operand(0), cx.operand(1));
  ops::add_bias(y, cx.has(2) ? &cx.operand(2) : nullptr);
  return {std::move(y)};
}

std::vector<std::string> transposed_constraints() {
  std::vector<std::string> constraints = ops::convolution_constraints(
      "`x` is `[N, H, W, C]`", "`filters`, `kernel`, `stride` and `dilation` are", "`weight` is `[kh, kw, filters/groups, C]`",
      "the result has at least one pixel, and less than 2^31 each way");
  constraints.push_back(ops::bias_constraint);
  constraints.push_back("`output_padding` is at least 0 and less than `stride`; 0 with `padding=same`");
  return constraints;
}

}  // namespace

OpDefinition conv2d_transpose_op() {
  return {
      .name = "conv2d_transpose",
      .category = OpCategory::linear,
      .summary = "Transposed convolution layer over images, channels last.",
      .description =
          "y = convolution_input_gradient(x, weight) + bias: it takes sizes and channels the way back that a convolution with the same "
          "stride, padding and weight takes them. Each pixel of `x` adds a `kernel` of pixels to the result. OH = (H - 1)*stride + (kh - "
          "1)*dilation + 1 - top - bottom + output_padding, OW likewise; with `same`, OH = H*stride.",
      .layer_name = "conv_transpose",
      .operands = {ops::tensor_operand("x", "`[N, H, W, C]`"),
                   {.name = "weight",
                    .doc = "`[kh, kw, filters/groups, C]`, the weight of the convolution that goes the other way",
                    .parameter = ParameterRule{.type = new_transposed_weight, .initializer = {"he", {{"fan_out", true}}}}},
                   ops::bias_operand(new_transposed_bias)},
      .attributes = {ops::filters_attribute(),
                     ops::kernel_attribute(),
                     ops::layer_stride_attribute(),
                     ops::layer_padding_attribute(),
                     ops::layer_dilation_attribute(),
                     ops::groups_attribute(),
                     {.name = "output_padding",
                      .kind = AttributeKind::integers,
                      .fallback = IntList{0},
                      .doc = "pixels more at the bottom and right, less than `stride`"}},
      .results = {{"y", "`[N, OH, OW, filters]`"}},
      .constraints = transposed_constraints(),
      .infer = infer_transposed,
      .gradient = transposed_gradient,
      .evaluate = evaluate_transposed,
      .lowering = DecomposeLowering{rewrite_transposed, /*canonical=*/true},
      .example = "conv2d_transpose(x, 3, kernel=4, stride=2)",
      .example_inputs = "x: f32[N, 3, 2, 2]",
  };
}

}  // namespace bnc
