#include "ir/ops/row_loss.h"

#include <limits>
#include <set>

namespace bnc::ops {

// --- shape rules -----------------------------------------------------------------------------------------------

namespace {

TensorType rows_of(DType dtype, const TensorType& prediction) {
  return {dtype, Shape(prediction.shape.begin(), prediction.shape.end() - (prediction.rank() > 0))};
}

}  // namespace

TensorType labels_of_rows(const TensorType& prediction) { return rows_of(DType::i32, prediction); }

TensorType weights_of_rows(const TensorType& prediction) { return rows_of(DType::f32, prediction); }

OperandSpec row_weights_operand() { return weights_operand("`f32[..]`, one number a row; 1 each where left out"); }

void require_rows(const InferContext& cx, const std::string& target_help) {
  const TensorType &prediction = cx.type(0), &target = cx.type(1);
  if (prediction.dtype != DType::f32 || prediction.rank() < 2 || prediction.shape.back().batch)
    fail(cx, 1, fmt::format("the prediction must be f32[.., classes] with at least 2 dimensions, got {}", cx.show(prediction)));
  if (const TensorType wanted = cx.op.target_type(prediction); target != wanted)
    fail(cx, 2,
         fmt::format("the target of a prediction {} must be {}, got {}", cx.show(prediction), cx.show(wanted), cx.show(target)),
         target_help);
  require_weights(cx, 3);
}

OpDefinition loss_of_distributions(OpDefinition op) {
  op.category = OpCategory::loss;
  op.operands = {tensor_operand("prediction", "`f32[.., classes]`, logits"),
                 tensor_operand("target", "the type of `prediction`, the probability of each class"), row_weights_operand()};
  op.attributes = {reduction_attribute("over the batch (all rows), each counted as often as it weighs")};
  op.results = {{"loss", "`f32[]`"}};
  op.constraints = {"`prediction` is f32 of at least 2 dimensions, the last of them not the batch", "`target` has the type of `prediction`",
                    "`weights` is f32, the shape of `prediction` without its last dimension"};
  op.infer = [](const InferContext& cx) {
    require_rows(cx, "the target holds a probability for each class");
    return std::vector{TensorType{}};
  };
  op.target_type = [](const TensorType& prediction) { return prediction; };
  op.weights_type = weights_of_rows;
  op.example = op.name + "(x, softmax(y))";
  op.example_inputs = "x: f32[N, 5], y: f32[N, 5]";
  return op;
}

AttributeSpec ignore_attribute() {
  return {.name = "ignore",
          .kind = AttributeKind::integers,
          .fallback = IntList{},
          .doc = "labels whose rows count for nothing, neither in the loss nor in what the mean divides by; they need not be classes"};
}

void require_ignored(const InferContext& cx, int constraint) {
  std::set<int64_t> seen;
  for (const int64_t label : cx.attribute("ignore").integers()) {
    if (label < std::numeric_limits<int32_t>::min() || label > std::numeric_limits<int32_t>::max())
      fail(cx, constraint, fmt::format("the ignored label {} is no number of i32", label));
    if (!seen.insert(label).second) fail(cx, constraint, fmt::format("the label {} is ignored twice", label));
  }
}

// --- values ----------------------------------------------------------------------------------------------------

int64_t classes_of_rows(const Node& node) { return node.operands[0].type().shape.back().factor; }

Value one_hot_labels(GraphBuilder& b, const Node& node) {
  return b.value("one_hot", {node.operands[1]}, {{"classes", classes_of_rows(node)}});
}

Value kept_rows(GraphBuilder& b, const Node& node) {
  Value kept;
  for (const int64_t label : node.attribute("ignore").integers()) {
    const Value distance = b.sub(node.operands[1], b.constant(static_cast<double>(label), {DType::i32, {}}));
    kept = b.sub(kept ? kept : b.constant(1), b.value("one_hot", {distance}, {{"classes", 1}}));
  }
  return kept;
}

Value weights_along_rows(GraphBuilder& b, const Node& node) {
  const Value weights = node.operands[2];
  if (!weights) return {};
  Shape shape = weights.type().shape;
  shape.push_back(Dim{});
  return b.reshape(weights, shape);
}

Value sum_over_classes(GraphBuilder& b, Value x) { return b.value("reduce_sum", {x}, {{"axes", IntList{-1}}, {"keep_dims", true}}); }

Value product_of_present(GraphBuilder& builder, Value a, Value b) { return a && b ? builder.mul(a, b) : a ? a : b; }

Value averaged_over_rows(GraphBuilder& b, const Node& node, Value sum, Value counts) {
  const Value prediction = node.operands[0];
  const int rank = prediction.type().rank();
  if (!counts) return averaged(b, node, sum, prediction, to_attribute(other_axes(rank, rank - 1)));
  return averages(node) ? averaged_by_weight(b, node, sum, b.value("reduce_sum", {counts})) : sum;
}

std::vector<Value> reduced_rows(GraphBuilder& b, const Node& node, Value rows, Value weights, Value counts) {
  return {averaged_over_rows(b, node, b.value("reduce_sum", {product_of_present(b, rows, weights)}), counts)};
}

Value scale_of_rows(GradientContext& cx) {
  const Value weights = weights_along_rows(cx.builder, cx.node);
  return product_of_present(cx.builder, averaged_over_rows(cx.builder, cx.node, cx.gradient(), weights), weights);
}

// relu_gradient selects: a class of probability 0 has log_softmax -infinity, and must not matter where its target is 0.
Value cross_entropy_rows(GraphBuilder& b, Value logits, Value targets) {
  const Value logarithms = b.value("log_softmax", {logits});
  return b.neg(sum_over_classes(b, b.value("relu_gradient", {b.mul(targets, logarithms), targets})));
}

Value cross_entropy_slope(GraphBuilder& b, Value logits, Value targets) {
  return b.sub(b.mul(b.value("softmax", {logits}), sum_over_classes(b, targets)), targets);
}

// --- float64 evaluation ----------------------------------------------------------------------------------------

std::vector<double> log_softmax_of_row(const double* logits, int64_t classes) {
  double largest = logits[0], sum = 0;
  for (int64_t c = 0; c < classes; ++c) largest = maximum(largest, logits[c]);
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(logits[c] - largest);
  std::vector<double> result;
  for (int64_t c = 0; c < classes; ++c) result.push_back(logits[c] - largest - std::log(sum));
  return result;
}

std::vector<Tensor> evaluate_rows(const EvaluateContext& cx, const std::function<RowLoss(int64_t, const double*)>& of_row) {
  const Tensor& prediction = cx.operand(0);
  const int64_t classes = prediction.dims.back(), rows = prediction.size() / classes;
  double sum = 0, total = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const double weight = cx.has(2) ? cx.operand(2).data[row] : 1;
    const auto [loss, count] = of_row(row, &prediction.data[row * classes]);
    sum += weight * loss;
    total += weight * count;
  }
  return reduced_loss(cx.node, sum, total);
}

}  // namespace bnc::ops
