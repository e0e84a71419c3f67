#include <algorithm>

#include "ir/ops/common.h"

namespace bnc {

namespace {

Shape leading_of(const Shape& shape) { return Shape(shape.begin(), shape.end() - 2); }
bool all_one(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.is_one(); });
}

bool is_transposed(const Node& node, const char* which) { return node.attribute(which).boolean(); }

struct MatmulShape {
  bool transpose_left, transpose_right;
  Dim rows, columns, inner_left, inner_right;
};

MatmulShape matmul_shape(const Shape& left, const Shape& right, const AttributeMap& attributes) {
  MatmulShape s{attributes.at("transpose_left").boolean(), attributes.at("transpose_right").boolean(), {}, {}, {}, {}};
  auto last = [](const Shape& shape, size_t from_end) { return shape[shape.size() - from_end]; };
  s.rows = last(left, s.transpose_left ? 1 : 2);
  s.inner_left = last(left, s.transpose_left ? 2 : 1);
  s.inner_right = last(right, s.transpose_right ? 1 : 2);
  s.columns = last(right, s.transpose_right ? 2 : 1);
  return s;
}

std::vector<TensorType> infer_matmul(const InferContext& cx) {
  ops::require_f32(cx, 1);
  const TensorType &left = cx.type(0), &right = cx.type(1);
  std::string both = fmt::format("{} and {}", cx.show(left), cx.show(right));
  if (left.rank() < 2 || right.rank() < 2) ops::fail(cx, 2, fmt::format("{}: both operands need at least 2 dimensions", both));
  const std::optional<Shape> leading = broadcast(leading_of(left.shape), leading_of(right.shape));
  if (!leading) {
    ops::fail(cx, 3, fmt::format("the dimensions in front of the matrices of {} cannot be broadcast to one another", both),
              "aligned at their last, two of them must be equal, or one of them 1 or missing");
  }
  MatmulShape s = matmul_shape(left.shape, right.shape, cx.attributes);
  if (s.inner_left != s.inner_right) {
    auto dimension = [&](Dim d) { return to_string(d, cx.batch_symbol); };
    std::string how = s.transpose_left || s.transpose_right
                          ? fmt::format(" (transpose_left={}, transpose_right={})", s.transpose_left, s.transpose_right) : "";
    ops::fail(cx, 4,
              fmt::format("the inner dimensions {} and {} of {} differ{}", dimension(s.inner_left), dimension(s.inner_right), both, how));
  }
  TensorType result{DType::f32, *leading};
  result.shape.insert(result.shape.end(), {s.rows, s.columns});
  return {result};
}

Value product(GraphBuilder& b, Value x, Value y, bool transpose_x, bool transpose_y) {
  return b.value("matmul", {x, y}, {{"transpose_left", transpose_x}, {"transpose_right", transpose_y}});
}

std::vector<Value> matmul_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value left = cx.operand(0), right = cx.operand(1), dy = cx.gradient();
  const bool tl = is_transposed(cx.node, "transpose_left"), tr = is_transposed(cx.node, "transpose_right");
  const Value d_left = tl ? product(b, right, dy, tr, true) : product(b, dy, right, false, !tr);
  Value x = left, rows = dy;
  // All rows of one matrix: its gradient sums over them in one product.
  if (!tl && all_one(leading_of(right.type().shape))) x = ops::as_matrix(b, left), rows = ops::as_matrix(b, dy);
  const Value d_right = tr ? product(b, rows, x, true, tl) : product(b, x, rows, !tl, false);
  return {b.sum_to(d_left, left.type()), b.sum_to(d_right, right.type())};
}

std::vector<Tensor> evaluate_matmul(const EvaluateContext& cx) {
  const Tensor &left = cx.operand(0), &right = cx.operand(1);
  const bool tl = is_transposed(cx.node, "transpose_left"), tr = is_transposed(cx.node, "transpose_right");
  Tensor y = cx.result();
  auto leading = [](const Tensor& x) { return std::vector<int64_t>(x.dims.begin(), x.dims.end() - 2); };
  const size_t rank = y.dims.size();
  const int64_t rows = y.dims[rank - 2], columns = y.dims[rank - 1], inner = right.dims[right.dims.size() - (tr ? 1 : 2)];
  ops::for_each_index(leading(y), [&](const std::vector<int64_t>& index, int64_t matrix) {
    const double* a = left.data.data() + ops::broadcast_position(index, leading(left)) * rows * inner;
    const double* b = right.data.data() + ops::broadcast_position(index, leading(right)) * inner * columns;
    double* result = y.data.data() + matrix * rows * columns;
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t k = 0; k < inner; ++k) {
        const double factor = a[tl ? k * rows + m : m * inner + k];
        for (int64_t n = 0; n < columns; ++n) result[m * columns + n] += factor * b[tr ? n * inner + k : k * columns + n];
      }
  });
  return {y};
}

// The index of a matrix of the operand, whose rows and columns are to follow: that of the result, and 0 where it is repeated.
Index matrix_index(const Shape& operand, const Shape& result, const Index& index) {
  const size_t missing = result.size() - operand.size();
  Index matrix;
  for (size_t d = 0; d + 2 < operand.size(); ++d)
    matrix.push_back(operand[d] == result[missing + d] ? index[missing + d] : loops::Expr(0));
  return matrix;
}

std::vector<ContractLowering::Part> matmul_parts(const Node& node) {
  const Shape left = node.operands[0].type().shape, right = node.operands[1].type().shape, result = node.results[0].type.shape;
  const MatmulShape s = matmul_shape(left, right, node.attributes);
  auto at = [result](const Shape& operand, const Index& i, loops::Expr row, loops::Expr column, bool transposed) {
    Index index = matrix_index(operand, result, i);
    if (transposed) std::swap(row, column);
    index.insert(index.end(), {row, column});
    return index;
  };
  return {{.space = result,
           .reduction = {s.inner_left},
           .result = [](const Index& i) { return i; },
           .left = [=](const Index& i, const Index& k) { return at(left, i, i[i.size() - 2], k[0], s.transpose_left); },
           .right = [=](const Index& i, const Index& k) { return at(right, i, k[0], i.back(), s.transpose_right); }}};
}

}  // namespace

OpDefinition matmul_op() {
  return {
      .name = "matmul",
      .category = OpCategory::linear,
      .summary = "Matrix product.",
      .description =
          "y[.., m, n] = sum over k of left[.., m, k]*right[.., k, n], for each matrix that the dimensions in front count; they are "
          "broadcast as NumPy does. A transposed operand is stored with its last two dimensions exchanged.",
      .operands = {ops::tensor_operand("left", "`[.., m, k]`, or `[.., k, m]` with `transpose_left`"),
                   ops::tensor_operand("right", "`[.., k, n]`, or `[.., n, k]` with `transpose_right`")},
      .attributes =
          {{.name = "transpose_left", .kind = AttributeKind::boolean, .fallback = false, .doc = "`left` is stored as `[.., k, m]`"},
           {.name = "transpose_right", .kind = AttributeKind::boolean, .fallback = false, .doc = "`right` is stored as `[.., n, k]`"}},
      .results = {{"y", "`[.., m, n]`"}},
      .constraints = {"both operands are f32", "both operands have at least 2 dimensions",
                      "aligned at their last, the dimensions in front of those two are equal, or one of them is 1 or missing",
                      "the inner dimensions are equal"},
      .infer = infer_matmul,
      .gradient = matmul_gradient,
      .evaluate = evaluate_matmul,
      .lowering = ContractLowering{matmul_parts},
      .example = "matmul(x, w)",
      .example_inputs = "x: f32[N, 5], w: f32[5, 3]",
  };
}

}  // namespace bnc
