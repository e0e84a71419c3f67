#include "ir/ops/convolution_form.h"

namespace bnc {

using loops::Expr;
using ops::Convolution;

namespace {

Convolution form_of_weight_gradient(const Node& node) {
  return ops::convolution_of(node.operands[0].type().shape, node.results[0].type.shape, node.attributes);
}

std::vector<TensorType> infer_weight_gradient(const InferContext& cx) {
  ops::require_f32(cx, ops::float_operands);
  const TensorType &x = cx.type(0), &dy = cx.type(1);
  ops::require_image(cx, ops::images, "x", x);
  ops::require_image(cx, ops::images, "dy", dy);
  ops::require_explicit_window(cx, ops::integers_in_range);
  const IntList kernel = ops::checked_integers(cx, ops::integers_in_range, "kernel", {2}, 1);
  const int64_t groups = ops::checked_groups(cx, "x", x);
  const TensorType d_weight{DType::f32, {{kernel[0]}, {kernel[1]}, {x.shape[3].factor / groups}, dy.shape[3]}};
  ops::require_grouped(cx, groups, dy.shape[3].factor);
  const Shape y = ops::checked_convolution(cx, x, d_weight, cx.attributes).y();
  if (y != dy.shape)
    ops::fail(cx, ops::weight_type,
              fmt::format("the convolution of {} by {} gives {}, not `dy` {}", cx.show(x), cx.show(d_weight), cx.show({DType::f32, y}),
                          cx.show(dy)));
  return {d_weight};
}

std::vector<Value> weight_gradient_gradient(GradientContext& cx) {
  const AttributeMap window = ops::window_attributes(cx.node);
  return {ops::input_gradient(cx.builder, cx.operand(1), cx.gradient(), cx.operand(0).type().shape, window),
          ops::convolution(cx.builder, cx.operand(0), cx.gradient(), window)};
}

// Columns are the filters of one group; of many narrow groups, the groups, once for each filter of theirs.
std::vector<ContractLowering::Part> weight_gradient_parts(const Node& node) {
  const Convolution c = form_of_weight_gradient(node);
  const auto [h, w] = c.windows;
  auto pixel = [h = h, w = w](const Index& i, const Index& k, Expr channel) {
    return Index{k[0], ops::tap_position(h, k[1], i[0]), ops::tap_position(w, k[2], i[1]), channel};
  };
  auto place = [](const Index& k, Expr channel) { return Index{k[0], k[1], k[2], channel}; };
  const Shape taps = {{h.kernel}, {w.kernel}}, reduction = {c.batch, {h.output()}, {w.output()}};
  std::vector<ContractLowering::Part> parts;
  if (c.depthwise() && c.groups >= c.out) {
    for (int64_t j = 0; j < c.out; ++j)
      parts.push_back({.space = ops::with(taps, {c.groups}),
                       .reduction = reduction,
                       .result = [c, j](const Index& i) { return Index{i[0], i[1], 0, i[2] * c.out + j}; },
                       .left = [pixel](const Index& i, const Index& k) { return pixel(i, k, i[2]); },
                       .right = [c, j, place](const Index& i, const Index& k) { return place(k, i[2] * c.out + j); }});
  } else if (c.groups > 1) {
    parts.push_back({.space = ops::with(taps, {c.in, c.groups, c.out}),
                     .reduction = reduction,
                     .result = [c](const Index& i) { return Index{i[0], i[1], i[2], i[3] * c.out + i[4]}; },
                     .left = [c, pixel](const Index& i, const Index& k) { return pixel(i, k, i[3] * c.in + i[2]); },
                     .right = [c, place](const Index& i, const Index& k) { return place(k, i[3] * c.out + i[4]); }});
  } else {
    parts.push_back({.space = ops::with(taps, {c.in, c.out}),
                     .reduction = reduction,
                     .result = [](const Index& i) { return i; },
                     .left = [pixel](const Index& i, const Index& k) { return pixel(i, k, i[2]); },
                     .right = [place](const Index& i, const Index& k) { return place(k, i[3]); }});
  }
  return parts;
}

}  // namespace

OpDefinition convolution_weight_gradient_op() {
  return {
      .name = "convolution_weight_gradient",
      .category = OpCategory::linear,
      .summary = "Gradient of a convolution by its weight.",
      .description =
          "dweight[kh, kw, ci, co] = sum over n, oh, ow of x[n, oh*stride - top + kh*dilation, ow*stride - left + kw*dilation, ci]*dy[n, "
          "oh, ow, co], where ci counts the channels of co's group and x is zero outside of the image.",
      .operands = {ops::tensor_operand("x", "`[N, H, W, C]`"), ops::tensor_operand("dy", "`[N, OH, OW, O]`")},
      .attributes = {{.name = "kernel", .kind = AttributeKind::integers, .fallback = {}, .doc = "`[kh, kw]`: the size of the window"},
                     ops::stride_attribute(),
                     ops::padding_attribute(),
                     ops::dilation_attribute(),
                     ops::groups_attribute()},
      .results = {{"dweight", "`[kh, kw, C/groups, O]`"}},
      .constraints = ops::convolution_constraints("`x` and `dy` are `[N, H, W, C]`", "`kernel`, `stride` and `dilation` are",
                                                  "the convolution of `x` by a window of `kernel` has the size of `dy`"),
      .infer = infer_weight_gradient,
      .gradient = weight_gradient_gradient,
      .evaluate =
          [](const EvaluateContext& cx) {
            Tensor d_weight = cx.result();
            ops::add_weight_gradient(d_weight, form_of_weight_gradient(cx.node), cx.operand(0), cx.operand(1));
            return std::vector{std::move(d_weight)};
          },
      .lowering = ContractLowering{weight_gradient_parts, /*zero_outside=*/true},
      .example = "convolution_weight_gradient(x, dy, kernel=[3, 2])",
      .example_inputs = "x: f32[N, 5, 4, 2], dy: f32[N, 3, 3, 3]",
  };
}

}  // namespace bnc
