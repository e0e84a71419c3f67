// softmax and log_softmax.
#include "ir/ops/common.h"

namespace bnc {

namespace {

IntList axis_list(const Node& node) { return {ops::axis_of(node)}; }

Value reduce(GraphBuilder& b, const char* op, Value x, const Node& node) {
  return b.value(op, {x}, {{"axes", axis_list(node)}, {"keep_dims", true}});
}

// x minus its maximum along the axis, which makes exp overflow nowhere.
Value shifted(GraphBuilder& b, const Node& node) {
  Value x = node.operands[0];
  return b.sub(x, reduce(b, "reduce_max", x, node));
}

// y*(dy - sum(dy*y))
std::vector<Value> softmax_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value y = cx.result(), dy = cx.gradient();
  return {b.mul(y, b.sub(dy, reduce(b, "reduce_sum", b.mul(dy, y), cx.node)))};
}

// dy - exp(y)*sum(dy)
std::vector<Value> log_softmax_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  Value dy = cx.gradient();
  return {b.sub(dy, b.mul(b.value("exp", {cx.result()}), reduce(b, "reduce_sum", dy, cx.node)))};
}

std::vector<Value> rewrite_softmax(GraphBuilder& b, Node& node) {
  Value e = b.value("exp", {shifted(b, node)});
  return {b.div(e, reduce(b, "reduce_sum", e, node))};
}

std::vector<Value> rewrite_log_softmax(GraphBuilder& b, Node& node) {
  Value difference = shifted(b, node);
  Value sum = reduce(b, "reduce_sum", b.value("exp", {difference}), node);
  return {b.sub(difference, b.value("log", {sum}))};
}

// Calls finish(element - maximum, sum of exp) for each element.
std::vector<Tensor> evaluate_along_axis(const EvaluateContext& cx, double (*finish)(double difference, double sum)) {
  const Tensor& x = cx.operand(0);
  int axis = ops::axis_of(cx.node);
  int64_t stride = ops::row_major_strides(x.dims)[axis], extent = x.dims[axis];
  Tensor y = cx.result();
  for (int64_t p = 0; p < x.size(); ++p) {
    if (p / stride % extent != 0) continue;  // p begins a row along the axis
    double maximum = x.data[p], sum = 0;
    for (int64_t k = 0; k < extent; ++k) maximum = ops::maximum(maximum, x.data[p + k * stride]);
    for (int64_t k = 0; k < extent; ++k) sum += std::exp(x.data[p + k * stride] - maximum);
    for (int64_t k = 0; k < extent; ++k) y.data[p + k * stride] = finish(x.data[p + k * stride] - maximum, sum);
  }
  return {y};
}

OpDefinition along_axis(OpDefinition op) {
  op.category = OpCategory::activation;
  op.operands = {ops::tensor_operand("x", "at least one dimension")};
  op.attributes = {ops::axis_attribute("along which the classes lie")};
  op.results = {{"y", "the type of `x`"}};
  op.constraints = {"`x` is f32", "`axis` names a dimension of `x`"};
  op.infer = [](const InferContext& cx) {
    ops::require_f32(cx, 1);
    ops::checked_axis(cx, 2);
    return std::vector{cx.type(0)};
  };
  op.example = op.name + "(x)";
  op.example_inputs = "x: f32[N, 5]";
  return op;
}

}  // namespace

OpDefinition softmax_op() {
  return along_axis({.name = "softmax",
                     .summary = "Exponentials along one axis, scaled to sum to 1.",
                     .description = "y = exp(x - max)/sum of exp(x - max) along `axis`. Gradient y*(dy - sum of dy*y).",
                     .gradient = softmax_gradient,
                     .evaluate =
                         [](const EvaluateContext& cx) {
                           return evaluate_along_axis(cx, [](double difference, double sum) { return std::exp(difference) / sum; });
                         },
                     .lowering = DecomposeLowering{rewrite_softmax}});
}

OpDefinition log_softmax_op() {
  return along_axis({.name = "log_softmax",
                     .summary = "Logarithm of softmax.",
                     .description = "y = (x - max) - log(sum of exp(x - max)) along `axis`. Gradient dy - exp(y)*sum of dy.",
                     .gradient = log_softmax_gradient,
                     .evaluate =
                         [](const EvaluateContext& cx) {
                           return evaluate_along_axis(cx, [](double difference, double sum) { return difference - std::log(sum); });
                         },
                     .lowering = DecomposeLowering{rewrite_log_softmax}});
}

}  // namespace bnc
