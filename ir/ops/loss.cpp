#include "ir/ops/loss.h"

namespace bnc::ops {

AttributeSpec reduction_attribute(const std::string& over) {
  return {.name = "reduction",
          .kind = AttributeKind::symbol,
          .fallback = "mean",
          .doc = "`mean` " + over + ", or `sum`",
          .choices = {"mean", "sum"}};
}

bool averages(const Node& node) { return node.attribute("reduction").symbol().name == "mean"; }

Value averaged(GraphBuilder& builder, const Node& node, Value sum, Value x, const IntList& axes) {
  return averages(node) ? builder.div(sum, builder.value("element_count", {x}, {{"axes", axes}})) : sum;
}

// relu_gradient selects: its first operand where the second is above 0, else 0.
Value averaged_by_weight(GraphBuilder& builder, const Node& node, Value sum, Value total) {
  return averages(node) ? builder.value("relu_gradient", {builder.div(sum, total), total}) : sum;
}

std::vector<Tensor> reduced_loss(const Node& node, double sum, double total) {
  if (averages(node)) sum = total <= 0 ? 0 : sum / total;
  return {Tensor::filled(DType::f32, {}, sum)};
}

OperandSpec weights_operand(const std::string& doc) {
  return {.name = "weights", .doc = doc, .optional = true, .differentiable = false};
}

void require_weights(const InferContext& cx, int constraint) {
  if (!cx.has(2)) return;
  const TensorType wanted = cx.op.weights_type(cx.type(0));
  if (cx.type(2) != wanted)
    fail(cx, constraint,
         fmt::format("the weights of a prediction {} must be {}, got {}", cx.show(cx.type(0)), cx.show(wanted), cx.show(cx.type(2))));
}

namespace {

// One number an example, which is an index of the first dimension.
TensorType weights_of_examples(const TensorType& prediction) {
  const Shape& shape = prediction.shape;
  return {DType::f32, Shape(shape.begin(), shape.begin() + (shape.empty() ? 0 : 1))};
}

// The weights in a shape that broadcasts to the prediction's, the first dimension of both being the same.
Value broadcast_weights(GraphBuilder& b, const Node& node) {
  Shape shape(node.operands[0].type().rank(), Dim{});
  if (!shape.empty()) shape[0] = node.operands[0].type().shape[0];
  return b.reshape(node.operands[2], shape);
}

Value averaged_over_elements(GraphBuilder& b, const Node& node, Value sum) {
  const Value prediction = node.operands[0], weights = node.operands[2];
  if (!weights) return averaged(b, node, sum, prediction);
  if (!averages(node)) return sum;
  Value total = b.value("reduce_sum", {weights});
  if (prediction.type().rank() > 1)
    total = b.mul(total, b.value("element_count", {prediction}, {{"axes", to_attribute(other_axes(prediction.type().rank(), 0))}}));
  return averaged_by_weight(b, node, sum, total);
}

std::vector<Tensor> evaluate_elementwise(const EvaluateContext& cx, const ElementwiseLoss& loss) {
  const Tensor &prediction = cx.operand(0), &target = cx.operand(1);
  const int64_t an_example = prediction.dims.empty() ? 1 : prediction.size() / prediction.dims[0];
  double sum = 0, total = 0;
  for (int64_t p = 0; p < prediction.size(); ++p) {
    const double weight = cx.has(2) ? cx.operand(2).data[p / an_example] : 1;
    sum += weight * loss.evaluate(cx.node, p, prediction.data[p], target.data[p]);
    total += weight;
  }
  return reduced_loss(cx.node, sum, total);
}

std::vector<TensorType> infer_elementwise(const InferContext& cx) {
  require_f32(cx, 1);
  if (const TensorType &prediction = cx.type(0), &target = cx.type(1); prediction != target)
    fail(cx, 2, fmt::format("`prediction` {} and `target` {} must have the same type", cx.show(prediction), cx.show(target)));
  require_weights(cx, 3);
  return {TensorType{}};
}

}  // namespace

OpDefinition elementwise_loss(OpDefinition op, const ElementwiseLoss& loss) {
  op.category = OpCategory::loss;
  op.operands = {tensor_operand("prediction", "any shape"), tensor_operand("target", "the type of `prediction`"),
                 weights_operand("`f32`, one number for each index of the first dimension, the examples; 1 each where left out")};
  op.attributes.insert(op.attributes.begin(), reduction_attribute("over all elements, each counted as often as its example weighs"));
  op.results = {{"loss", "`f32[]`"}};
  op.constraints.insert(op.constraints.begin(), {"all operands are f32", "`prediction` and `target` have the same shape",
                                                 "`weights` has the size of the first dimension of `prediction`, or one number where "
                                                 "that has none"});
  op.infer = [of_op = op.infer](const InferContext& cx) {
    std::vector<TensorType> result = infer_elementwise(cx);
    if (of_op) of_op(cx);
    return result;
  };
  op.evaluate = [loss](const EvaluateContext& cx) { return evaluate_elementwise(cx, loss); };
  op.gradient = [loss](GradientContext& cx) {
    Value scale = averaged_over_elements(cx.builder, cx.node, cx.gradient());
    if (cx.operand(2)) scale = cx.builder.mul(broadcast_weights(cx.builder, cx.node), scale);
    const auto [d_prediction, d_target] = loss.gradient(cx.builder, cx.node, cx.operand(0), cx.operand(1), scale);
    return std::vector{d_prediction, d_target, Value{}};
  };
  op.lowering = DecomposeLowering{[loss](GraphBuilder& b, Node& node) {
    Value element = loss.element(b, node, node.operands[0], node.operands[1]);
    if (node.operands[2]) element = b.mul(element, broadcast_weights(b, node));
    return std::vector{averaged_over_elements(b, node, b.value("reduce_sum", {element}))};
  }};
  op.target_type = [](const TensorType& prediction) { return prediction; };
  op.weights_type = weights_of_examples;
  if (op.example.empty()) op.example = op.name + "(x, y, reduction=sum)";
  op.example_inputs = "x: f32[N, 5], y: f32[N, 5]";
  return op;
}

}  // namespace bnc::ops
