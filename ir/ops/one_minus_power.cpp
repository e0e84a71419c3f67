#include "ir/ops/common.h"
#include "ir/ops/numbers.h"

namespace bnc {

using loops::Expr;
using loops::real;

namespace {

double decay_of(const Node& node) { return node.attribute("decay").number(); }

std::vector<TensorType> infer_one_minus_power(const InferContext& cx) {
  if (!cx.type(0).shape.empty()) ops::fail(cx, 1, fmt::format("`t` must be one number, got {}", cx.show(cx.type(0))));
  ops::require_number(cx, 2, "decay", {.low = 0, .high = 1, .is_decay = true});
  return {TensorType{}};
}

int64_t offset_of(const Node& node) { return node.attribute("offset").integer(); }

// 2h/(1+h) with h = tanh(-t*log(decay)/2).
Expr one_minus_power_element(ElementContext& cx, const Index&) {
  const Expr t = loops::cast(loops::Scalar::f32, cx.operand(0, {}) + Expr(offset_of(cx.node)));
  const Expr h = loops::unary(loops::UnaryOp::tanh, t * real(-std::log(decay_of(cx.node)) / 2));
  return real(2) * h / (real(1) + h);
}

}  // namespace

OpDefinition one_minus_power_op() {
  return {
      .name = "one_minus_power",
      .category = OpCategory::arithmetic,
      .summary = "One minus a power of a number below one.",
      .description =
          "1 - decay^(t + offset): the weight that so many samples have in a moving average which began at 0, and by which it is divided "
          "to correct for that beginning. Computed as 2h/(1 + h) with h = tanh(-(t + offset)*log(decay)/2), which loses no digits where "
          "decay^t is near 1, and sums up no rounding errors over the steps.",
      .operands = {ops::fixed_operand("t", "one number, f32 or i32: how many samples")},
      .attributes =
          {{.name = "decay", .kind = AttributeKind::number, .fallback = {}, .doc = "the part of the average that each step keeps"},
           {.name = "offset", .kind = AttributeKind::integer, .fallback = 0, .doc = "how many more samples there are than `t`"}},
      .results = {{"weight", "`f32[]`"}},
      .constraints = {"`t` is one number", "0 < `decay` < 1"},
      .infer = infer_one_minus_power,
      .evaluate =
          [](const EvaluateContext& cx) {
            const double t = cx.operand(0).data[0] + static_cast<double>(offset_of(cx.node));
            return std::vector{Tensor::filled(DType::f32, {}, -std::expm1(t * std::log(decay_of(cx.node))))};
          },
      .lowering = ElementLowering{.element = one_minus_power_element, .cost = 25},
      .example = "one_minus_power(t, decay=0.9)",
      .example_inputs = "t: f32[]",
  };
}

}  // namespace bnc
