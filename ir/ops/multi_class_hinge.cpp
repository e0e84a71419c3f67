#include "ir/ops/numbers.h"
#include "ir/ops/row_loss.h"

namespace bnc {

namespace {

double class_margin_of(const Node& node) { return node.attribute("margin").number(); }

// How much each class lacks of the margin to the target class; `others` is 1 for the classes beside the target of rows that count, else 0.
struct Margins {
  Value one_hot, others, missing, weights, counts;
};

Margins margins_of(GraphBuilder& b, const Node& node) {
  const Value prediction = node.operands[0], one_hot = ops::one_hot_labels(b, node), kept = ops::kept_rows(b, node),
              weights = ops::weights_along_rows(b, node);
  // Not a product: a score of minus infinity outside of the target class must not matter.
  const Value score = ops::sum_over_classes(b, b.value("relu_gradient", {prediction, one_hot}));
  const Value missing = b.add(b.sub(prediction, score), b.constant(class_margin_of(node)));
  return {one_hot, ops::product_of_present(b, b.sub(b.constant(1), one_hot), kept), missing, weights,
          ops::product_of_present(b, kept, weights)};
}

Value shared_by_classes(GraphBuilder& b, const Node& node, Value x) {
  return b.scale(x, 1 / static_cast<double>(ops::classes_of_rows(node)));
}

std::vector<Value> margins_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  const auto [one_hot, others, missing, weights, counts] = margins_of(b, cx.node);
  const Value scale = ops::product_of_present(b, ops::averaged_over_rows(b, cx.node, cx.gradient(), counts), weights);
  const Value missed = b.value("relu_gradient", {others, missing});
  const Value slope = b.sub(missed, b.mul(one_hot, ops::sum_over_classes(b, missed)));
  return {b.mul(slope, shared_by_classes(b, cx.node, scale)), Value{}, Value{}};
}

std::vector<Value> rewrite_margins(GraphBuilder& b, Node& node) {
  const Margins margins = margins_of(b, node);
  const Value terms = b.value("relu_gradient", {b.value("relu", {margins.missing}), margins.others});
  return ops::reduced_rows(b, node, shared_by_classes(b, node, ops::sum_over_classes(b, terms)), margins.weights, margins.counts);
}

std::vector<Tensor> evaluate_margins(const EvaluateContext& cx) {
  const IntList& ignored = cx.node.attribute("ignore").integers();
  const int64_t classes = cx.operand(0).dims.back();
  const double margin = class_margin_of(cx.node);
  return ops::evaluate_rows(cx, [&](int64_t row, const double* scores) {
    const double label = cx.operand(1).data[row];
    for (const int64_t each : ignored)
      if (label == static_cast<double>(each)) return ops::RowLoss{0, 0};
    double score = 0;
    ops::RowLoss result{0};
    for (int64_t c = 0; c < classes; ++c)
      if (label == static_cast<double>(c)) score = scores[c];
    for (int64_t c = 0; c < classes; ++c)
      if (label != static_cast<double>(c)) result.loss += ops::maximum(scores[c] - score + margin, 0) / static_cast<double>(classes);
    return result;
  });
}

std::vector<TensorType> infer_margins(const InferContext& cx) {
  ops::require_rows(cx, "the target holds class numbers, one for each row of the prediction");
  ops::require_number(cx, 4, "margin", positive);
  ops::require_ignored(cx, 5);
  return {TensorType{}};
}

}  // namespace

OpDefinition multi_class_hinge_op() {
  return {
      .name = "multi_class_hinge",
      .category = OpCategory::loss,
      .summary = "How far the score of the target class falls short of a margin before the others.",
      .description =
          "loss = mean (or sum) over all rows of the sum, over the classes c beside the target class y, of max(0, margin - prediction[y] + "
          "prediction[c])/classes (Weston and Watkins, \"Support vector machines for multi-class pattern recognition\", 1999), as "
          "torch.nn.MultiMarginLoss. Gradient 1/classes for each class that comes too near, "
          "and for the target class minus their sum, divided by the number of rows for the mean. A target outside [0, classes) is no "
          "class, and its score counts as 0.\n\nRows whose target is in `ignore` have loss and gradient 0. `weights` multiply the loss of "
          "each row; the mean then divides by the sum of the weights of the rows that are not ignored, and is 0 where that is not above 0.",
      .operands = {ops::tensor_operand("prediction", "`f32[.., classes]`, scores"),
                   ops::fixed_operand("target", "`i32[..]`, class numbers"), ops::row_weights_operand()},
      .attributes = {ops::reduction_attribute("over the batch (all rows)"),
                     {.name = "margin",
                      .kind = AttributeKind::number,
                      .fallback = 1.0,
                      .doc = "how far the target class is in front of another where that has no loss"},
                     ops::ignore_attribute()},
      .results = {{"loss", "`f32[]`"}},
      .constraints = {"`prediction` is f32 of at least 2 dimensions, the last of them not the batch",
                      "`target` is i32, the shape of `prediction` without its last dimension",
                      "`weights` is f32, the shape of `prediction` without its last dimension", "`margin` is above 0",
                      "`ignore` holds different numbers of i32"},
      .infer = infer_margins,
      .gradient = margins_gradient,
      .evaluate = evaluate_margins,
      .lowering = DecomposeLowering{rewrite_margins},
      .target_type = ops::labels_of_rows,
      .weights_type = ops::weights_of_rows,
      .example = "multi_class_hinge(x, labels)",
      .example_inputs = "x: f32[N, 5], labels: i32[N]",
  };
}

}  // namespace bnc
