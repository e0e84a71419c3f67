#include "ir/ops/loss.h"
#include "ir/ops/numbers.h"

namespace bnc {

namespace {

TensorType labels_of(const TensorType& prediction) {
  return {DType::i32, Shape(prediction.shape.begin(), prediction.shape.end() - (prediction.rank() > 0))};
}

std::vector<TensorType> infer_loss(const InferContext& cx) {
  const TensorType &prediction = cx.type(0), &target = cx.type(1);
  if (prediction.dtype != DType::f32 || prediction.rank() < 2 || prediction.shape.back().batch)
    ops::fail(cx, 1, fmt::format("the prediction must be f32[.., classes] with at least 2 dimensions, got {}", cx.show(prediction)));
  if (target != labels_of(prediction))
    ops::fail(cx, 2,
              fmt::format("the target of a prediction {} must be {}, got {}", cx.show(prediction), cx.show(labels_of(prediction)),
                          cx.show(target)),
              "the target holds class numbers, one for each row of the prediction");
  ops::require_number(cx, 3, "smoothing", share_of_one);
  return {TensorType{}};
}

Value one_hot(GraphBuilder& b, const Node& node) {
  return b.value("one_hot", {node.operands[1]}, {{"classes", node.operands[0].type().shape.back().factor}});
}

double smoothing_of(const Node& node) { return node.attribute("smoothing").number(); }

double classes_of(const Node& node) { return static_cast<double>(node.operands[0].type().shape.back().factor); }

Value averaged_over_rows(GraphBuilder& b, const Node& node, Value sum) {
  std::vector<int> rows = ops::other_axes(node.operands[0].type().rank(), node.operands[0].type().rank() - 1);
  return ops::averaged(b, node, sum, node.operands[0], ops::to_attribute(rows));
}

std::vector<Value> gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const double smoothing = smoothing_of(cx.node);
  Value target = one_hot(b, cx.node);
  if (smoothing > 0) target = b.add(b.scale(target, 1 - smoothing), b.constant(smoothing / classes_of(cx.node)));
  Value difference = b.sub(b.value("softmax", {cx.operand(0)}), target);
  return {b.mul(difference, averaged_over_rows(b, cx.node, cx.gradient())), Value{}};
}

std::vector<Value> rewrite(GraphBuilder& b, Node& node) {
  // Not a product: a class of probability 0 has log_softmax -infinity, and must not matter where it is not the target.
  const Value logarithms = b.value("log_softmax", {node.operands[0]});
  Value chosen = b.value("relu_gradient", {logarithms, one_hot(b, node)});
  const double smoothing = smoothing_of(node);
  if (smoothing > 0) chosen = b.add(b.scale(chosen, 1 - smoothing), b.scale(logarithms, smoothing / classes_of(node)));
  return {averaged_over_rows(b, node, b.neg(b.value("reduce_sum", {chosen})))};
}

std::vector<Tensor> evaluate_loss(const EvaluateContext& cx) {
  const Tensor &x = cx.operand(0), &target = cx.operand(1);
  int64_t classes = x.dims.back(), rows = target.size();
  const double smoothing = smoothing_of(cx.node);
  double loss = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const double* logits = &x.data[row * classes];
    double maximum = logits[0], sum = 0;
    for (int64_t c = 0; c < classes; ++c) maximum = ops::maximum(maximum, logits[c]);
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(logits[c] - maximum);
    for (int64_t c = 0; c < classes; ++c) {
      const double logarithm = logits[c] - maximum - std::log(sum);
      if (target.data[row] == static_cast<double>(c)) loss -= (1 - smoothing) * logarithm;
      if (smoothing > 0) loss -= smoothing / static_cast<double>(classes) * logarithm;
    }
  }
  return {Tensor::filled(DType::f32, {}, ops::averages(cx.node) ? loss / static_cast<double>(rows) : loss)};
}

}  // namespace

OpDefinition softmax_cross_entropy_op() {
  return {
      .name = "softmax_cross_entropy",
      .category = OpCategory::loss,
      .summary = "Cross-entropy of class numbers, from logits.",
      .description =
          "loss = mean (or sum) over all rows of -sum of t*log_softmax(prediction), where t is 1 for the target class and 0 for the "
          "others, or with `smoothing` s 1 - s + s/classes and s/classes (Szegedy et al., \"Rethinking the Inception architecture\", "
          "2016). Gradient softmax(prediction) - t, divided by the number of rows for the mean. Without smoothing, a logit of minus "
          "infinity outside of the target class counts for nothing. A target outside [0, classes) is 1 for no class.",
      .operands = {ops::tensor_operand("prediction", "`f32[.., classes]`, logits"),
                   ops::fixed_operand("target", "`i32[..]`, class numbers")},
      .attributes = {ops::reduction_attribute("over the batch (all rows)"),
                     {.name = "smoothing",
                      .kind = AttributeKind::number,
                      .fallback = 0.0,
                      .doc = "the share of the target's weight that all classes divide evenly"}},
      .results = {{"loss", "`f32[]`"}},
      .constraints = {"`prediction` is f32 of at least 2 dimensions, the last of them not the batch",
                      "`target` is i32, the shape of `prediction` without its last dimension", "0 <= `smoothing` <= 1"},
      .infer = infer_loss,
      .gradient = gradient,
      .evaluate = evaluate_loss,
      .lowering = DecomposeLowering{rewrite},
      .target_type = labels_of,
      .example = "softmax_cross_entropy(x, labels)",
      .example_inputs = "x: f32[N, 5], labels: i32[N]",
  };
}

}  // namespace bnc
