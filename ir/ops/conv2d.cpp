// conv2d and conv1d: the layers of a convolution. A line is an image of height 1.
#include "ir/ops/convolution_form.h"

namespace bnc {

using ops::Convolution;

namespace {

AttributeMap explicit_attributes(const AttributeMap& layer, const Shape& x, const Shape& weight) {
  const int axes = static_cast<int>(x.size()) - 2;
  const Shape image = ops::as_image(x), kernel = ops::as_image_weight(weight);
  AttributeMap attributes = ops::explicit_window(layer, axes, image[1].factor, image[2].factor, kernel[0].factor, kernel[1].factor);
  attributes["groups"] = layer.at("groups");
  return attributes;
}

AttributeMap explicit_attributes(const Node& node) {
  return explicit_attributes(node.attributes, node.operands[0].type().shape, node.operands[1].type().shape);
}

void check_image(const InferContext& cx, int axes) {
  ops::require_f32(cx, ops::float_operands);
  ops::require_image(cx, ops::images, "x", cx.type(0), axes);
  ops::require_layer_window(cx, ops::integers_in_range, axes);
  ops::checked_groups(cx, "x", cx.type(0));
}

TensorType new_weight(const InferContext& cx, int axes) {
  check_image(cx, axes);
  const int64_t groups = cx.attribute("groups").integer();
  ops::checked_integers(cx, ops::integers_in_range, "kernel", {1, axes}, 1);
  const IntList kernel = ops::per_axis(cx.attribute("kernel"), axes);
  const Shape weight = {{kernel[0]}, {kernel[1]}, {cx.type(0).shape.back().factor / groups}, {ops::checked_filters(cx, groups)}};
  return {DType::f32, Shape(weight.end() - (axes + 2), weight.end())};
}

TensorType new_bias(const InferContext& cx, int axes) {
  check_image(cx, axes);
  ops::require_weight(cx, cx.type(0), cx.type(1));
  return {DType::f32, {cx.type(1).shape.back()}};
}

std::vector<TensorType> infer_layer(const InferContext& cx, int axes) {
  ops::require_bias(cx, new_bias(cx, axes));
  const TensorType &x = cx.type(0), &weight = cx.type(1);
  Shape y = ops::checked_convolution(cx, x, weight, explicit_attributes(cx.attributes, x.shape, weight.shape)).y();
  if (axes == 1) y.erase(y.begin() + 1);
  return {{DType::f32, y}};
}

std::vector<Value> rewrite_layer(GraphBuilder& b, Node& node) {
  const Value x = node.operands[0], weight = node.operands[1];
  const Value image = b.reshape(x, ops::as_image(x.type().shape)), kernel = b.reshape(weight, ops::as_image_weight(weight.type().shape));
  const Value y = ops::convolution(b, image, kernel, explicit_attributes(node));
  return {ops::with_bias(b, b.reshape(y, node.results[0].type.shape), node.operands[2])};
}

std::vector<Value> layer_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const Value x = cx.operand(0), weight = cx.operand(1), dy = cx.gradient();
  const Shape image = ops::as_image(x.type().shape), kernel = ops::as_image_weight(weight.type().shape);
  const AttributeMap window = explicit_attributes(cx.node);
  const Value d_result = b.reshape(dy, ops::as_image(dy.type().shape));
  const Value dx = ops::input_gradient(b, d_result, b.reshape(weight, kernel), image, window);
  const Value d_weight = ops::weight_gradient(b, b.reshape(x, image), d_result, kernel, window);
  return {b.reshape(dx, x.type().shape), b.reshape(d_weight, weight.type().shape),
          cx.operand(2) ? ops::sum_to_channels(b, dy, dy.type().rank() - 1) : Value{}};
}

std::vector<Tensor> evaluate_layer(const EvaluateContext& cx) {
  const Shape x = ops::as_image(cx.node.operands[0].type().shape), weight = ops::as_image_weight(cx.node.operands[1].type().shape);
  Tensor y = cx.result();
  ops::add_convolution(y, ops::convolution_of(x, weight, explicit_attributes(cx.node)), cx.operand(0), cx.operand(1));
  ops::add_bias(y, cx.has(2) ? &cx.operand(2) : nullptr);
  return {std::move(y)};
}

// What both layers share; `axes` are 1 or 2.
OpDefinition convolution_layer(OpDefinition op, int axes, const std::string& x, const std::string& weight) {
  op.category = OpCategory::linear;
  op.layer_name = "conv";
  op.operands = {
      ops::tensor_operand("x", x),
      {.name = "weight",
       .doc = weight,
       .parameter = ParameterRule{.type = [axes](const InferContext& cx) { return new_weight(cx, axes); }, .initializer = {"he", {}}}},
      ops::bias_operand([axes](const InferContext& cx) { return new_bias(cx, axes); })};
  op.attributes = {ops::filters_attribute(),      ops::kernel_attribute(),          ops::layer_stride_attribute(),
                   ops::layer_padding_attribute(), ops::layer_dilation_attribute(), ops::groups_attribute()};
  op.constraints = ops::convolution_constraints("`x` is " + x, "`filters`, `kernel`, `stride` and `dilation` are", "`weight` is " + weight);
  op.constraints.push_back(ops::bias_constraint);
  op.infer = [axes](const InferContext& cx) { return infer_layer(cx, axes); };
  op.gradient = layer_gradient;
  op.evaluate = evaluate_layer;
  op.lowering = DecomposeLowering{rewrite_layer, /*canonical=*/true};
  return op;
}

}  // namespace

OpDefinition conv2d_op() {
  return convolution_layer(
      {.name = "conv2d",
       .summary = "Convolution layer over images, channels last.",
       .description = "y = convolution(x, weight) + bias: each pixel of the result is a weighted sum of a `kernel` of pixels, all of their "
                      "channels, with weights of its own for each of the `filters`. With `groups` as many as channels it is a depthwise "
                      "convolution; `filters` are then a multiple of them. `same` pads as TensorFlow does: with a stride, the odd zero "
                      "goes to the bottom and right, which is not what PyTorch's `padding=1` does with a stride of 2.",
       .results = {{"y", "`[N, OH, OW, filters]`"}},
       .example = "conv2d(x, 3, kernel=3, stride=2)",
       .example_inputs = "x: f32[N, 5, 4, 2]"},
      2, "`[N, H, W, C]`", "`[kh, kw, C/groups, filters]`");
}

OpDefinition conv1d_op() {
  return convolution_layer(
      {.name = "conv1d",
       .summary = "Convolution layer over lines, channels last.",
       .description = "y = convolution(x, weight) + bias, as `conv2d`, along one axis.",
       .results = {{"y", "`[N, OL, filters]`"}},
       .example = "conv1d(x, 3, kernel=3, padding=[2, 0])",
       .example_inputs = "x: f32[N, 5, 2]"},
      1, "`[N, L, C]`", "`[k, C/groups, filters]`");
}

}  // namespace bnc
