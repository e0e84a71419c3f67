// add, sub, mul, div and maximum with broadcasting: they differ in one row of a table.
#include "ir/ops/common.h"

namespace bnc {

namespace {

struct Arithmetic {
  const char* name;
  const char* summary;
  const char* description;
  bool commutative;
  bool integers;  // also defined on i32
  double (*function)(double, double);
  loops::BinaryOp lowered;
  int cost;
  // Gradients of both operands, before they are summed to the operands' types.
  std::pair<Value, Value> (*gradient)(GraphBuilder& b, Value dy, Value left, Value right, Value result);
};

std::vector<TensorType> infer_arithmetic(const InferContext& cx, bool integers) {
  const TensorType &left = cx.type(0), &right = cx.type(1);
  if (left.dtype != right.dtype || (left.dtype == DType::i32 && !integers))
    ops::fail(cx, 1, fmt::format("{} and {}: the element types must be {}", cx.show(left), cx.show(right),
                                 integers ? "the same" : "f32"));
  std::optional<Shape> shape = broadcast(left.shape, right.shape);
  if (!shape)
    ops::fail(cx, 2, fmt::format("the shapes of {} and {} cannot be broadcast to one another", cx.show(left), cx.show(right)),
              "aligned at the last dimension, two dimensions must be equal, or one of them 1 or missing");
  return {TensorType{left.dtype, *shape}};
}

// i32 wraps around.
double in_type(DType dtype, double value) {
  return dtype == DType::i32 ? static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(value))) : value;
}

OpDefinition arithmetic_op(const Arithmetic& row) {
  return {
      .name = row.name,
      .category = OpCategory::arithmetic,
      .summary = row.summary,
      .description = row.description,
      .operands = {ops::tensor_operand("left", "any shape"), ops::tensor_operand("right", "a shape that broadcasts with that of `left`")},
      .results = {{"result", "the shape both broadcast to"}},
      .constraints = {row.integers ? "both operands are f32, or both i32" : "both operands are f32",
                      "aligned at the last dimension, dimensions are equal, or one of them is 1 or missing"},
      .commutative = row.commutative,
      .infer = [integers = row.integers](const InferContext& cx) { return infer_arithmetic(cx, integers); },
      .gradient =
          [gradient = row.gradient](GradientContext& cx) {
            Value left = cx.operand(0), right = cx.operand(1);
            auto [d_left, d_right] = gradient(cx.builder, cx.gradient(), left, right, cx.result());
            return std::vector{cx.builder.sum_to(d_left, left.type()), cx.builder.sum_to(d_right, right.type())};
          },
      .evaluate =
          [function = row.function](const EvaluateContext& cx) {
            DType dtype = cx.operand(0).dtype;
            return ops::evaluate_pointwise(cx, [&](const std::vector<double>& x) { return in_type(dtype, function(x[0], x[1])); });
          },
      .lowering = ops::pointwise_lowering(
          [lowered = row.lowered](const Node&, const std::vector<loops::Expr>& x) { return loops::binary(lowered, x[0], x[1]); }, row.cost),
      .example = std::string(row.name) + "(x, y)",
      .example_inputs = "x: f32[N, 5], y: f32[5]",
  };
}

}  // namespace

OpDefinition add_op() {
  return arithmetic_op({"add", "Sum of two tensors.", "left + right with NumPy's broadcasting.", true, true,
                        [](double a, double b) { return a + b; }, loops::BinaryOp::add, 1,
                        [](GraphBuilder&, Value dy, Value, Value, Value) { return std::pair{dy, dy}; }});
}

OpDefinition sub_op() {
  return arithmetic_op({"sub", "Difference of two tensors.", "left - right with NumPy's broadcasting.", false, true,
                        [](double a, double b) { return a - b; }, loops::BinaryOp::subtract, 1,
                        [](GraphBuilder& b, Value dy, Value, Value, Value) { return std::pair{dy, b.neg(dy)}; }});
}

OpDefinition mul_op() {
  return arithmetic_op(
      {"mul", "Product of two tensors, element by element.", "left*right with NumPy's broadcasting.", true, false,
       [](double a, double b) { return a * b; }, loops::BinaryOp::multiply, 1,
       [](GraphBuilder& b, Value dy, Value left, Value right, Value) { return std::pair{b.mul(dy, right), b.mul(dy, left)}; }});
}

OpDefinition div_op() {
  return arithmetic_op({"div", "Quotient of two tensors, element by element.",
                        "left/right with NumPy's broadcasting. Gradients dy/right and -(dy/right)*result.", false, false,
                        [](double a, double b) { return a / b; }, loops::BinaryOp::divide, 4,
                        [](GraphBuilder& b, Value dy, Value, Value right, Value result) {
                          Value d_left = b.div(dy, right);
                          return std::pair{d_left, b.neg(b.mul(d_left, result))};
                        }});
}

OpDefinition maximum_op() {
  return arithmetic_op({"maximum", "The larger of two tensors, element by element.",
                        "The larger of left and right with NumPy's broadcasting; NaN where either is NaN. The gradient goes to the larger "
                        "one, at ties to `right`.",
                        false, false, ops::maximum, loops::BinaryOp::maximum, 1,
                        [](GraphBuilder& b, Value dy, Value left, Value right, Value) {
                          const Value d_left = b.value("relu_gradient", {dy, b.sub(left, right)});
                          return std::pair{d_left, b.sub(dy, d_left)};
                        }});
}

}  // namespace bnc
