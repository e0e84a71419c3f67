#include "ir/ops/common.h"

namespace bnc {

namespace {

struct MatmulShape {
  bool transpose_left, transpose_right;
  Dim rows, columns, inner_left, inner_right;
};

MatmulShape matmul_shape(const Shape& left, const Shape& right, const AttributeMap& attributes) {
  MatmulShape s{attributes.at("transpose_left").boolean(), attributes.at("transpose_right").boolean(), {}, {}, {}, {}};
  size_t rank = left.size();
  s.rows = s.transpose_left ? left[rank - 1] : left[rank - 2];
  s.inner_left = s.transpose_left ? left[rank - 2] : left[rank - 1];
  s.inner_right = s.transpose_right ? right[1] : right[0];
  s.columns = s.transpose_right ? right[0] : right[1];
  return s;
}

std::vector<TensorType> infer_matmul(const InferContext& cx) {
  ops::require_f32(cx, 1);
  const TensorType &left = cx.type(0), &right = cx.type(1);
  std::string both = fmt::format("{} and {}", cx.show(left), cx.show(right));
  if (left.rank() < 2 || right.rank() != 2)
    ops::fail(cx, 2, fmt::format("{}: the left operand needs at least 2 dimensions, the right one exactly 2", both));
  MatmulShape s = matmul_shape(left.shape, right.shape, cx.attributes);
  if (s.transpose_left && left.rank() != 2)
    ops::fail(cx, 3, fmt::format("transpose_left needs a left operand of 2 dimensions, got {}", cx.show(left)));
  if (s.inner_left != s.inner_right) {
    auto dimension = [&](Dim d) { return to_string(d, cx.batch_symbol); };
    std::string how = s.transpose_left || s.transpose_right
                          ? fmt::format(" (transpose_left={}, transpose_right={})", s.transpose_left, s.transpose_right) : "";
    ops::fail(cx, 4,
              fmt::format("the inner dimensions {} and {} of {} differ{}", dimension(s.inner_left), dimension(s.inner_right), both, how));
  }
  TensorType result = left;
  result.shape[left.rank() - 2] = s.rows;
  result.shape[left.rank() - 1] = s.columns;
  return {result};
}

std::vector<Value> matmul_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value left = cx.operand(0), right = cx.operand(1), dy = cx.gradient();
  bool tl = cx.node.attribute("transpose_left").boolean(), tr = cx.node.attribute("transpose_right").boolean();
  auto product = [&](Value x, Value y, bool transpose_x, bool transpose_y) {
    return b.value("matmul", {x, y}, {{"transpose_left", transpose_x}, {"transpose_right", transpose_y}});
  };
  Value d_left = tl ? product(right, dy, tr, true) : product(dy, right, false, !tr);
  Value rows = ops::as_matrix(b, left), dy_rows = ops::as_matrix(b, dy);
  Value d_right = tr ? product(dy_rows, rows, true, tl) : product(rows, dy_rows, !tl, false);
  return {d_left, d_right};
}

std::vector<Tensor> evaluate_matmul(const EvaluateContext& cx) {
  const Tensor &left = cx.operand(0), &right = cx.operand(1);
  bool tl = cx.node.attribute("transpose_left").boolean(), tr = cx.node.attribute("transpose_right").boolean();
  Tensor y = cx.result();
  int64_t columns = y.dims.back(), rows = y.size() / columns, inner = right.dims[tr ? 1 : 0];
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t k = 0; k < inner; ++k) {
      double factor = left.data[tl ? k * rows + m : m * inner + k];
      for (int64_t n = 0; n < columns; ++n) y.data[m * columns + n] += factor * right.data[tr ? n * inner + k : k * columns + n];
    }
  return {y};
}

std::vector<ContractLowering::Part> matmul_parts(const Node& node) {
  MatmulShape s = matmul_shape(node.operands[0].type().shape, node.operands[1].type().shape, node.attributes);
  return {{.space = node.results[0].type.shape,
          .reduction = {s.inner_left},
          .result = [](const Index& i) { return i; },
          .left =
              [s](const Index& result, const Index& reduction) {
                if (s.transpose_left) return Index{reduction[0], result[0]};
                Index index(result.begin(), result.end() - 1);
                index.push_back(reduction[0]);
                return index;
              },
          .right =
              [s](const Index& result, const Index& reduction) {
                return s.transpose_right ? Index{result.back(), reduction[0]} : Index{reduction[0], result.back()};
              }}};
}

}  // namespace

OpDefinition matmul_op() {
  return {
      .name = "matmul",
      .category = OpCategory::linear,
      .summary = "Matrix product.",
      .description =
          "y[.., m, n] = sum over k of left[.., m, k]*right[k, n]. A transposed operand is stored with its two dimensions exchanged.",
      .operands = {ops::tensor_operand("left", "`[.., m, k]`, or `[k, m]` with `transpose_left`"),
                   ops::tensor_operand("right", "`[k, n]`, or `[n, k]` with `transpose_right`")},
      .attributes =
          {{.name = "transpose_left", .kind = AttributeKind::boolean, .fallback = false, .doc = "`left` is stored as `[k, m]`"},
           {.name = "transpose_right", .kind = AttributeKind::boolean, .fallback = false, .doc = "`right` is stored as `[n, k]`"}},
      .results = {{"y", "`[.., m, n]`"}},
      .constraints = {"both operands are f32", "`left` has at least 2 dimensions, `right` exactly 2",
                      "with `transpose_left`, `left` has exactly 2 dimensions", "the inner dimensions are equal"},
      .infer = infer_matmul,
      .gradient = matmul_gradient,
      .evaluate = evaluate_matmul,
      .lowering = ContractLowering{matmul_parts},
      .example = "matmul(x, w)",
      .example_inputs = "x: f32[N, 5], w: f32[5, 3]",
  };
}

}  // namespace bnc
