#include "ir/ops/convolution_form.h"

namespace bnc {

using ops::Convolution;

namespace {

Convolution form_of(const Node& node) {
  return ops::convolution_of(node.operands[0].type().shape, node.operands[1].type().shape, node.attributes);
}

std::vector<TensorType> infer_convolution(const InferContext& cx) {
  ops::require_f32(cx, ops::float_operands);
  ops::require_image(cx, ops::images, "x", cx.type(0));
  ops::require_explicit_window(cx, ops::integers_in_range);
  ops::checked_groups(cx, "x", cx.type(0));
  ops::require_weight(cx, cx.type(0), cx.type(1));
  return {{DType::f32, ops::checked_convolution(cx, cx.type(0), cx.type(1), cx.attributes).y()}};
}

std::vector<Value> convolution_gradient(GradientContext& cx) {
  const AttributeMap window = ops::window_attributes(cx.node);
  return {ops::input_gradient(cx.builder, cx.gradient(), cx.operand(1), cx.operand(0).type().shape, window),
          ops::weight_gradient(cx.builder, cx.operand(0), cx.gradient(), cx.operand(1).type().shape, window)};
}

// Columns are the filters of one group; of many narrow groups, the groups, once for each filter of theirs.
std::vector<ContractLowering::Part> convolution_parts(const Node& node) {
  const Convolution c = form_of(node);
  const auto [h, w] = c.windows;
  auto pixel = [h = h, w = w](const Index& i, const Index& k, loops::Expr channel) {
    return Index{i[0], ops::tap_position(h, i[1], k[0]), ops::tap_position(w, i[2], k[1]), channel};
  };
  const Shape rows = {c.batch, {h.output()}, {w.output()}}, taps = {{h.kernel}, {w.kernel}};
  std::vector<ContractLowering::Part> parts;
  if (c.depthwise() && c.groups >= c.out) {
    for (int64_t j = 0; j < c.out; ++j)
      parts.push_back({.space = ops::with(rows, {c.groups}),
                       .reduction = taps,
                       .result = [c, j](const Index& i) { return Index{i[0], i[1], i[2], i[3] * c.out + j}; },
                       .left = [pixel](const Index& i, const Index& k) { return pixel(i, k, i[3]); },
                       .right = [c, j](const Index& i, const Index& k) { return Index{k[0], k[1], 0, i[3] * c.out + j}; }});
  } else if (c.groups > 1) {
    parts.push_back({.space = ops::with(rows, {c.groups, c.out}),
                     .reduction = ops::with(taps, {c.in}),
                     .result = [c](const Index& i) { return Index{i[0], i[1], i[2], i[3] * c.out + i[4]}; },
                     .left = [c, pixel](const Index& i, const Index& k) { return pixel(i, k, i[3] * c.in + k[2]); },
                     .right = [c](const Index& i, const Index& k) { return Index{k[0], k[1], k[2], i[3] * c.out + i[4]}; }});
  } else {
    parts.push_back({.space = ops::with(rows, {c.out}),
                     .reduction = ops::with(taps, {c.in}),
                     .result = [](const Index& i) { return i; },
                     .left = [pixel](const Index& i, const Index& k) { return pixel(i, k, k[2]); },
                     .right = [](const Index& i, const Index& k) { return Index{k[0], k[1], k[2], i[3]}; }});
  }
  return parts;
}

}  // namespace

OpDefinition convolution_op() {
  return {
      .name = "convolution",
      .category = OpCategory::linear,
      .summary = "Convolution of images, channels last.",
      .description =
          "y[n, oh, ow, co] = sum over kh, kw, ci of x[n, oh*stride - top + kh*dilation, ow*stride - left + kw*dilation, ci]*weight[kh, "
          "kw, ci, co], where ci runs through the channels of co's group and x is zero outside of the image. The window is not turned "
          "around: a cross-correlation, as in all neural networks. `conv2d` is the layer that makes its weight, adds a bias and works out "
          "paddings.",
      .operands = {ops::tensor_operand("x", "`[N, H, W, C]`"), ops::tensor_operand("weight", "`[kh, kw, C/groups, O]`")},
      .attributes = {ops::stride_attribute(), ops::padding_attribute(), ops::dilation_attribute(), ops::groups_attribute()},
      .results = {{"y", "`[N, OH, OW, O]`, OH = floor((top + H + bottom - (kh - 1)*dilation - 1)/stride) + 1, OW likewise"}},
      .constraints = ops::convolution_constraints("`x` is `[N, H, W, C]`", "`stride` and `dilation` are",
                                                  "`weight` is `[kh, kw, C/groups, O]`"),
      .infer = infer_convolution,
      .gradient = convolution_gradient,
      .evaluate =
          [](const EvaluateContext& cx) {
            Tensor y = cx.result();
            ops::add_convolution(y, form_of(cx.node), cx.operand(0), cx.operand(1));
            return std::vector{std::move(y)};
          },
      .lowering = ContractLowering{convolution_parts, /*zero_outside=*/true},
      .example = "convolution(x, w, padding=[1, 1, 1, 1])",
      .example_inputs = "x: f32[N, 5, 4, 2], w: f32[3, 3, 2, 3]",
  };
}

}  // namespace bnc
