#include "ir/number_range.h"
#include "ir/ops/numbers.h"
#include "ir/ops/row_loss.h"

namespace bnc {

namespace {

NumberList class_weights_of(const Node& node) { return node.attribute("class_weights").numbers(); }

double smoothing_of(const Node& node) { return node.attribute("smoothing").number(); }

std::vector<TensorType> infer_class_entropy(const InferContext& cx) {
  ops::require_rows(cx, "the target holds class numbers, one for each row of the prediction");
  ops::require_number(cx, 4, "smoothing", share_of_one);
  ops::require_ignored(cx, 5);
  const NumberList weights = cx.attribute("class_weights").numbers();
  const Dim classes = cx.type(0).shape.back();
  if (!weights.empty() && classes != Dim{static_cast<int64_t>(weights.size())})
    ops::fail(cx, 6, fmt::format("{} class weights do not fit the {} classes of {}", weights.size(), classes.factor, cx.show(cx.type(0))));
  for (const double weight : weights)
    if (!not_negative.holds(weight))
      ops::fail(cx, 7, fmt::format("a class weight must be {}, got {}", not_negative.text(), as_computed_with(weight)));
  return {TensorType{}};
}

bool counts_all_alike(const Node& node) {
  return !node.operands[2] && node.attribute("ignore").integers().empty() && class_weights_of(node).empty();
}

Value smoothed(GraphBuilder& b, const Node& node, Value one_hot) {
  const double smoothing = smoothing_of(node);
  if (smoothing == 0) return one_hot;
  return b.add(b.scale(one_hot, 1 - smoothing), b.constant(smoothing / static_cast<double>(ops::classes_of_rows(node))));
}

// What the rows are held against where they do not all count alike: targets [.., classes], times the weight of each class and 0 in rows
// that are ignored; how much each row counts in the mean, beside its own weight; and that weight.
struct WeightedTargets {
  Value targets, counts, weights;
};

WeightedTargets weighted_targets(GraphBuilder& b, const Node& node) {
  const Value one_hot = ops::one_hot_labels(b, node), kept = ops::kept_rows(b, node), weights = ops::weights_along_rows(b, node);
  const NumberList numbers = class_weights_of(node);
  Value class_weights, count;
  if (!numbers.empty()) {
    class_weights = b.constant(Tensor{DType::f32, {static_cast<int64_t>(numbers.size())}, numbers});
    count = ops::sum_over_classes(b, b.mul(one_hot, class_weights));
  }
  const Value scale = ops::product_of_present(b, class_weights, kept);
  return {ops::product_of_present(b, smoothed(b, node, one_hot), scale),
          ops::product_of_present(b, ops::product_of_present(b, count, kept), weights), weights};
}

std::vector<Value> class_entropy_gradient(GradientContext& cx) {
  GraphBuilder& b = cx.builder;
  if (counts_all_alike(cx.node)) {
    Value target = smoothed(b, cx.node, ops::one_hot_labels(b, cx.node));
    Value difference = b.sub(b.value("softmax", {cx.operand(0)}), target);
    return {b.mul(difference, ops::averaged_over_rows(b, cx.node, cx.gradient(), {})), Value{}, Value{}};
  }
  const auto [targets, counts, weights] = weighted_targets(b, cx.node);
  const Value scale = ops::product_of_present(b, ops::averaged_over_rows(b, cx.node, cx.gradient(), counts), weights);
  return {b.mul(ops::cross_entropy_slope(b, cx.operand(0), targets), scale), Value{}, Value{}};
}

std::vector<Value> rewrite_class_entropy(GraphBuilder& b, Node& node) {
  if (!counts_all_alike(node)) {
    const auto [targets, counts, weights] = weighted_targets(b, node);
    return ops::reduced_rows(b, node, ops::cross_entropy_rows(b, node.operands[0], targets), weights, counts);
  }
  // Not a product: a class of probability 0 has log_softmax -infinity, and must not matter where it is not the target.
  const Value logarithms = b.value("log_softmax", {node.operands[0]});
  Value chosen = b.value("relu_gradient", {logarithms, ops::one_hot_labels(b, node)});
  const double smoothing = smoothing_of(node);
  if (smoothing > 0)
    chosen = b.add(b.scale(chosen, 1 - smoothing), b.scale(logarithms, smoothing / static_cast<double>(ops::classes_of_rows(node))));
  return {ops::averaged_over_rows(b, node, b.neg(b.value("reduce_sum", {chosen})), {})};
}

std::vector<Tensor> evaluate_class_entropy(const EvaluateContext& cx) {
  const Tensor& labels = cx.operand(1);
  const IntList& ignored = cx.node.attribute("ignore").integers();
  const NumberList class_weights = class_weights_of(cx.node);
  const double smoothing = smoothing_of(cx.node);
  const int64_t classes = cx.operand(0).dims.back();
  return ops::evaluate_rows(cx, [&](int64_t row, const double* logits) {
    const double label = labels.data[row];
    for (const int64_t each : ignored)
      if (label == static_cast<double>(each)) return ops::RowLoss{0, 0};
    const std::vector<double> logarithms = ops::log_softmax_of_row(logits, classes);
    ops::RowLoss result{0, class_weights.empty() ? 1.0 : 0.0};
    for (int64_t c = 0; c < classes; ++c) {
      const double weight = class_weights.empty() ? 1 : class_weights[c], hit = label == static_cast<double>(c) ? 1 : 0;
      const double target = weight * ((1 - smoothing) * hit + smoothing / static_cast<double>(classes));
      if (target > 0) result.loss -= target * logarithms[c];
      if (!class_weights.empty()) result.count += hit * weight;
    }
    return result;
  });
}

constexpr const char* class_entropy_description =
    "loss = mean (or sum) over all rows of -sum of t*log_softmax(prediction), where t is 1 for the target class and 0 for the "
    "others, or with `smoothing` s 1 - s + s/classes and s/classes (Szegedy et al., \"Rethinking the Inception architecture\", "
    "2016). Gradient softmax(prediction) - t, divided by the number of rows for the mean. Without smoothing, a logit of minus "
    "infinity outside of the target class counts for nothing. A target outside [0, classes) is 1 for no class.\n\n"
    "Rows whose target is in `ignore` have loss and gradient 0. `class_weights` multiply the t of each class, and `weights` the loss of "
    "each row; the mean then divides by the sum, over the rows that are not ignored, of the row's weight times that of its target class, "
    "as torch.nn.CrossEntropyLoss. Where that sum is not above 0, as when all rows are ignored, the mean is 0.";

}  // namespace

OpDefinition softmax_cross_entropy_op() {
  return {
      .name = "softmax_cross_entropy",
      .category = OpCategory::loss,
      .summary = "Cross-entropy of class numbers, from logits.",
      .description = class_entropy_description,
      .operands = {ops::tensor_operand("prediction", "`f32[.., classes]`, logits"),
                   ops::fixed_operand("target", "`i32[..]`, class numbers"), ops::row_weights_operand()},
      .attributes = {ops::reduction_attribute("over the batch (all rows)"),
                     {.name = "smoothing",
                      .kind = AttributeKind::number,
                      .fallback = 0.0,
                      .doc = "the share of the target's weight that all classes divide evenly"},
                     ops::ignore_attribute(),
                     {.name = "class_weights",
                      .kind = AttributeKind::numbers,
                      .fallback = NumberList{},
                      .doc = "how much each class counts, one number a class; none given count 1"}},
      .results = {{"loss", "`f32[]`"}},
      .constraints = {"`prediction` is f32 of at least 2 dimensions, the last of them not the batch",
                      "`target` is i32, the shape of `prediction` without its last dimension",
                      "`weights` is f32, the shape of `prediction` without its last dimension", "0 <= `smoothing` <= 1",
                      "`ignore` holds different numbers of i32", "`class_weights` is empty, or one number for each class",
                      "each class weight is at least 0"},
      .infer = infer_class_entropy,
      .gradient = class_entropy_gradient,
      .evaluate = evaluate_class_entropy,
      .lowering = DecomposeLowering{rewrite_class_entropy},
      .target_type = ops::labels_of_rows,
      .weights_type = ops::weights_of_rows,
      .example = "softmax_cross_entropy(x, labels)",
      .example_inputs = "x: f32[N, 5], labels: i32[N]",
  };
}

}  // namespace bnc
