#include <algorithm>
#include <numeric>

#include "ir/ops/convolution_form.h"

namespace bnc {

using loops::Expr;
using ops::Convolution;
using ops::Window;

namespace {

Convolution form_of_input_gradient(const Node& node) {
  return ops::convolution_of(node.results[0].type.shape, node.operands[1].type().shape, node.attributes);
}

std::vector<TensorType> infer_input_gradient(const InferContext& cx) {
  ops::require_f32(cx, ops::float_operands);
  const TensorType &dy = cx.type(0), &weight = cx.type(1);
  ops::require_image(cx, ops::images, "dy", dy);
  ops::require_explicit_window(cx, ops::integers_in_range);
  const IntList size = ops::checked_integers(cx, ops::integers_in_range, "size", {2}, 1);
  const int64_t groups = ops::checked_groups(cx, "dy", dy);
  ops::require_transposed_weight(cx, dy, weight);
  const TensorType dx{DType::f32, {dy.shape[0], {size[0]}, {size[1]}, {weight.shape[2].factor * groups}}};
  const Shape y = ops::checked_convolution(cx, dx, weight, cx.attributes).y();
  if (y != dy.shape)
    ops::fail(cx, 7,
              fmt::format("the convolution of {} by {} gives {}, not `dy` {}", cx.show(dx), cx.show(weight), cx.show({DType::f32, y}),
                          cx.show(dy)));
  return {dx};
}

std::vector<Value> input_gradient_gradient(GradientContext& cx) {
  const AttributeMap window = ops::window_attributes(cx.node);
  return {ops::convolution(cx.builder, cx.gradient(), cx.operand(1), window),
          ops::weight_gradient(cx.builder, cx.gradient(), cx.operand(0), cx.operand(1).type().shape, window)};
}

// The elements phase + q*stride of dx along one axis. Tap first + step*j, of `taps`, brings them dy at q + offset - slope*j;
// no other tap of the window ever falls on them.
struct Phase {
  int64_t phase, extent, first = 0, step, taps = 0, offset = 0, slope;

  Phase(const Window& window, int64_t phase) : phase(phase), extent((window.input - 1 - phase) / window.stride + 1) {
    const int64_t common = std::gcd(window.stride, window.dilation);
    step = window.stride / common;
    slope = window.dilation / common;
    auto distance = [&] { return phase + window.before - first * window.dilation; };
    const int64_t candidates = std::min(step, window.kernel);
    while (first < candidates && distance() % window.stride != 0) ++first;
    if (first == candidates) return;
    taps = (window.kernel - 1 - first) / step + 1;
    offset = distance() / window.stride;
    leave_out_idle_taps(window.output());
  }

  // Those that bring nothing to any element, as dy has only so many places; of a wide window they may be all but a few.
  void leave_out_idle_taps(int64_t places) {
    const auto is_idle = [&](int64_t j) { return offset - slope * j + extent <= 0 || offset - slope * j >= places; };
    int64_t idle = 0;
    while (idle < taps && is_idle(idle)) ++idle;
    first += step * idle;
    offset -= slope * idle;
    taps -= idle;
    while (taps > 0 && is_idle(taps - 1)) --taps;
  }

  Expr tap(Expr j) const { return j * step + first; }
  Expr source(Expr q, Expr j) const { return q - j * slope + offset; }
};

std::vector<Phase> phases_of(const Window& window) {
  std::vector<Phase> phases;
  for (int64_t phase = 0; phase < std::min(window.stride, window.input); ++phase) phases.emplace_back(window, phase);
  return phases;
}

// Columns are the channels of one group, or the groups where those have one channel each.
ContractLowering::Part part_of(const Convolution& c, const Phase& h, const Phase& w, int64_t h_stride, int64_t w_stride) {
  auto target = [=](const Index& i, Expr channel) {
    return Index{i[0], i[1] * h_stride + h.phase, i[2] * w_stride + w.phase, channel};
  };
  auto pixel = [h, w](const Index& i, const Index& k, Expr channel) {
    return Index{i[0], h.source(i[1], k[0]), w.source(i[2], k[1]), channel};
  };
  auto tap = [h, w](const Index& k, Expr in, Expr out) { return Index{h.tap(k[0]), w.tap(k[1]), in, out}; };
  const Shape rows = {c.batch, {h.extent}, {w.extent}}, reduction = {{h.taps}, {w.taps}, {c.out}};
  if (c.depthwise())
    return {.space = ops::with(rows, {c.groups}),
            .reduction = reduction,
            .result = [target](const Index& i) { return target(i, i[3]); },
            .left = [c, pixel](const Index& i, const Index& k) { return pixel(i, k, i[3] * c.out + k[2]); },
            .right = [c, tap](const Index& i, const Index& k) { return tap(k, 0, i[3] * c.out + k[2]); }};
  if (c.groups > 1)
    return {.space = ops::with(rows, {c.groups, c.in}),
            .reduction = reduction,
            .result = [c, target](const Index& i) { return target(i, i[3] * c.in + i[4]); },
            .left = [c, pixel](const Index& i, const Index& k) { return pixel(i, k, i[3] * c.out + k[2]); },
            .right = [c, tap](const Index& i, const Index& k) { return tap(k, i[4], i[3] * c.out + k[2]); }};
  return {.space = ops::with(rows, {c.in}),
          .reduction = reduction,
          .result = [target](const Index& i) { return target(i, i[3]); },
          .left = [pixel](const Index& i, const Index& k) { return pixel(i, k, k[2]); },
          .right = [tap](const Index& i, const Index& k) { return tap(k, i[3], k[2]); }};
}

std::vector<ContractLowering::Part> input_gradient_parts(const Node& node) {
  const Convolution c = form_of_input_gradient(node);
  const auto& [height, width] = c.windows;
  std::vector<ContractLowering::Part> parts;
  for (const Phase& h : phases_of(height))
    for (const Phase& w : phases_of(width)) parts.push_back(part_of(c, h, w, height.stride, width.stride));
  return parts;
}

std::vector<std::string> input_gradient_constraints() {
  std::vector<std::string> constraints = ops::convolution_constraints("`dy` is `[N, H, W, C]`", "`size`, `stride` and `dilation` are",
                                                                      "`weight` is `[kh, kw, C/groups, O]`");
  constraints.push_back("the convolution of an image of `size` has the size of `dy`");
  return constraints;
}

}  // namespace

OpDefinition convolution_input_gradient_op() {
  return {
      .name = "convolution_input_gradient",
      .category = OpCategory::linear,
      .summary = "Gradient of a convolution by its image; the transposed convolution.",
      .description =
          "dx[n, ih, iw, ci] = sum over all oh, ow, kh, kw with ih = oh*stride - top + kh*dilation, iw likewise, and over the filters co "
          "of ci's group, of dy[n, oh, ow, co]*weight[kh, kw, ci, co]. `conv2d_transpose` is the layer made of it.",
      .operands = {ops::tensor_operand("dy", "`[N, OH, OW, O]`"), ops::tensor_operand("weight", "`[kh, kw, C/groups, O]`")},
      .attributes = {{.name = "size", .kind = AttributeKind::integers, .fallback = {}, .doc = "`[H, W]`: the size of the image"},
                     ops::stride_attribute(),
                     ops::padding_attribute(),
                     ops::dilation_attribute(),
                     ops::groups_attribute()},
      .results = {{"dx", "`[N, H, W, C]`"}},
      .constraints = input_gradient_constraints(),
      .infer = infer_input_gradient,
      .gradient = input_gradient_gradient,
      .evaluate =
          [](const EvaluateContext& cx) {
            Tensor dx = cx.result();
            ops::add_input_gradient(dx, form_of_input_gradient(cx.node), cx.operand(0), cx.operand(1));
            return std::vector{std::move(dx)};
          },
      .lowering = ContractLowering{input_gradient_parts, /*zero_outside=*/true},
      .example = "convolution_input_gradient(dy, w, size=[7, 6], stride=[2, 2])",
      .example_inputs = "dy: f32[N, 3, 2, 3], w: f32[3, 3, 2, 3]",
  };
}

}  // namespace bnc
