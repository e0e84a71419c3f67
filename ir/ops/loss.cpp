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

OpDefinition elementwise_loss(OpDefinition op, double (*evaluate)(double, double)) {
  op.category = OpCategory::loss;
  op.operands = {tensor_operand("prediction", "any shape"), tensor_operand("target", "the type of `prediction`")};
  op.attributes = {reduction_attribute("over all elements")};
  op.results = {{"loss", "`f32[]`"}};
  op.constraints = {"both operands are f32", "both operands have the same shape"};
  op.infer = [](const InferContext& cx) {
    require_f32(cx, 1);
    same_type(cx, 2);
    return std::vector{TensorType{}};
  };
  op.evaluate = [evaluate](const EvaluateContext& cx) {
    const Tensor &prediction = cx.operand(0), &target = cx.operand(1);
    double sum = 0;
    for (size_t p = 0; p < prediction.data.size(); ++p) sum += evaluate(prediction.data[p], target.data[p]);
    return std::vector{Tensor::filled(DType::f32, {}, averages(cx.node) ? sum / static_cast<double>(prediction.size()) : sum)};
  };
  op.target_type = [](const TensorType& prediction) { return prediction; };
  op.example = op.name + "(x, y, reduction=sum)";
  op.example_inputs = "x: f32[N, 5], y: f32[N, 5]";
  return op;
}

}  // namespace bnc::ops
