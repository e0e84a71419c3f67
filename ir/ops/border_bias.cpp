// border_bias: what is left of a shift in front of a convolution with zero padding (bn-fold-border).
#include "ir/ops/common.h"

namespace bnc {

using loops::BinaryOp;
using loops::Expr;

namespace {

constexpr int height_axis = 1, width_axis = 2, channel_axis = 3;

// Along one axis: the image's extent, the table's, and which entry of the table stands for all the pixels inside.
struct Border {
  int64_t image, table, interior;

  int64_t entry(int64_t pixel) const { return std::min(pixel, interior) + std::max<int64_t>(0, pixel - (image - table) - interior); }
  Expr entry(const Expr& pixel) const {
    const Expr behind = loops::binary(BinaryOp::maximum, pixel - Expr(image - table + interior), Expr(0));
    return loops::binary(BinaryOp::minimum, pixel, Expr(interior)) + behind;
  }
};

Border border_of(const Node& node, int axis) {
  return {node.operands[0].type().shape[axis].factor, node.operands[1].type().shape[axis].factor,
          node.attribute("interior").integers()[axis - 1]};
}

std::vector<TensorType> infer_border_bias(const InferContext& cx) {
  ops::require_f32(cx, 1);
  const Shape &x = cx.type(0).shape, &table = cx.type(1).shape;
  const auto has_batch = [](const Shape& shape, size_t from) {
    return std::any_of(shape.begin() + from, shape.end(), [](const Dim& dim) { return dim.batch; });
  };
  if (x.size() != 4 || table.size() != 4 || has_batch(x, 1) || has_batch(table, 0) || !table[0].is_one() ||
      table[channel_axis] != x[channel_axis] || table[height_axis].factor > x[height_axis].factor ||
      table[width_axis].factor > x[width_axis].factor)
    ops::fail(cx, 2,
              fmt::format("`table` must be f32[1, rows, columns, C] for an image f32[N, H, W, C] of at least as many pixels, got {} for {}",
                          cx.show(cx.type(1)), cx.show(cx.type(0))));
  const IntList& interior = cx.attribute("interior").integers();
  const auto stands_in = [&](size_t k) { return interior[k] >= 0 && interior[k] < table[k + 1].factor; };
  if (interior.size() != 2 || !stands_in(0) || !stands_in(1))
    ops::fail(cx, 3,
              fmt::format("`interior` must be a row and a column of `table` {}, got {}", cx.show(cx.type(1)),
                          to_string(cx.attribute("interior"))));
  return {cx.type(0)};
}

std::vector<Tensor> evaluate_border_bias(const EvaluateContext& cx) {
  const Border rows = border_of(cx.node, height_axis), columns = border_of(cx.node, width_axis);
  const Tensor &x = cx.operand(0), &table = cx.operand(1);
  Tensor y = x;
  ops::for_each_index(x.dims, [&](const std::vector<int64_t>& index, int64_t p) {
    y.data[p] +=
        table
            .data[ops::position_of({0, rows.entry(index[height_axis]), columns.entry(index[width_axis]), index[channel_axis]}, table.dims)];
  });
  return {y};
}

Expr border_bias_element(ElementContext& cx, const Index& index) {
  const Border rows = border_of(cx.node, height_axis), columns = border_of(cx.node, width_axis);
  return cx.operand(0, index) +
         cx.operand(1, {Expr(0), rows.entry(index[height_axis]), columns.entry(index[width_axis]), index[channel_axis]});
}

}  // namespace

OpDefinition border_bias_op() {
  return {
      .name = "border_bias",
      .category = OpCategory::linear,
      .summary = "Adds one number a channel, another one near each border of an image.",
      .description =
          "y[n, h, w, c] = x[n, h, w, c] + table[0, row(h), column(w), c]. The table's rows before row `interior` and behind it are those "
          "of the image's first and last rows; row `interior` is that of all rows between them. Columns likewise. This is what a shift "
          "becomes that is folded through a convolution with zero padding, where the window reaches over fewer pixels near the border "
          "(bn-fold-border).",
      .operands = {ops::tensor_operand("x", "`[N, H, W, C]`"),
                   ops::fixed_operand("table", "`[1, rows, columns, C]`, no more rows and columns than the image has")},
      .attributes = {{.name = "interior",
                      .kind = AttributeKind::integers,
                      .fallback = {},
                      .doc = "`[row, column]` of the table, for all pixels away from the border"}},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"`x` and `table` are f32", "`x` is `[N, H, W, C]`, `table` `[1, rows, columns, C]`, rows <= H and columns <= W",
                      "`interior` is a row and a column of `table`"},
      .infer = infer_border_bias,
      .gradient = [](GradientContext& cx) { return std::vector{cx.gradient(), Value{}}; },
      .evaluate = evaluate_border_bias,
      .lowering = ElementLowering{.element = border_bias_element, .cost = 2},
      .example = "border_bias(x, t, interior=[1, 0])",
      .example_inputs = "x: f32[N, 5, 4, 3], t: f32[1, 3, 2, 3]",
  };
}

}  // namespace bnc
