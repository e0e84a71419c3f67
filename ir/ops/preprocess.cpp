#include "ir/ops/common.h"

namespace bnc {

namespace {

// The dimensions of one example: one number for all of them, for each channel or for each element, as `per` says.
TensorType statistics_of(const InferContext& cx) {
  const Shape& shape = cx.type(0).shape;
  const std::string& per = cx.attribute("per").symbol().name;
  if (per == "all") return {};
  if (shape.size() < 2 || shape.back().batch)
    ops::fail(cx, 2, fmt::format("per={} needs a dimension beside the batch, but `x` is {}", per, cx.show(cx.type(0))));
  return {DType::f32, Shape(per == "channel" ? shape.end() - 1 : shape.begin() + 1, shape.end())};
}

OperandSpec statistic(const char* name, const char* doc, const char* initializer) {
  return {.name = name,
          .doc = doc,
          .differentiable = false,
          .parameter = ParameterRule{.kind = ParameterRule::Kind::state, .type = statistics_of, .initializer = {initializer, {}}}};
}

std::vector<TensorType> infer_preprocess(const InferContext& cx) {
  const TensorType &x = cx.type(0), &offset = cx.type(1);
  ops::require_f32(cx, 1);
  const bool fits = offset.rank() < std::max(x.rank(), 1) && std::equal(offset.shape.rbegin(), offset.shape.rend(), x.shape.rbegin()) &&
                    std::none_of(offset.shape.begin(), offset.shape.end(), [](const Dim& dim) { return dim.batch; });
  if (!fits || cx.type(2) != offset)
    ops::fail(cx, 2,
              fmt::format("`offset` {} and `scale` {} must be alike, and have the last dimensions of `x` {} without the batch",
                          cx.show(offset), cx.show(cx.type(2)), cx.show(x)));
  return {x};
}

Value reciprocal_scale(GraphBuilder& b, const Node& node) { return b.div(b.constant(1), node.operands[2]); }

}  // namespace

std::vector<Value> ops::frozen_preprocess(GraphBuilder& b, const Node& node) {
  const Shape& shape = node.operands[0].type().shape;
  if (node.operands[1].type().rank() > 1 || shape.size() < 2 || shape.back().batch) return {};
  const Value scale = reciprocal_scale(b, node), shift = b.neg(b.mul(node.operands[1], scale));
  auto by_channel = [&](Value value) {
    return value.type().rank() == 1 ? value : b.value("broadcast_to", {value}, {{"shape", Shape{shape.back()}}});
  };
  return {b.value("scale_shift", {node.operands[0], by_channel(scale), by_channel(shift)})};
}

OpDefinition preprocess_op() {
  return {
      .name = "preprocess",
      .category = OpCategory::normalization,
      .summary = "Treats raw data as the training set was treated.",
      .description =
          "y = (x - offset)/scale. `bnc train` measures both on the training set, once, before the first step: with `standardize` its mean "
          "and its deviation, with `min_max` its minimum and the way to its maximum, which maps it to [0, 1]; where all data are equal, "
          "the scale is 1. They are stored with the weights and embedded with them; freezing folds them into the layer behind where there "
          "is one number for all elements or for each channel.",
      .operands = {ops::tensor_operand("x", "computed from the network's input alone"),
                   statistic("offset", "`f32[]`, or the last dimensions of `x`; stored", "zeros"), statistic("scale", "likewise", "ones")},
      .attributes = {{.name = "method",
                      .kind = AttributeKind::symbol,
                      .fallback = "standardize",
                      .doc = "what training measures; `given` keeps what the file has",
                      .choices = {"standardize", "min_max", "given"}},
                     {.name = "per",
                      .kind = AttributeKind::symbol,
                      .fallback = "all",
                      .doc = "what has statistics of its own: nothing, each channel (the last axis), each element of an example",
                      .choices = {"all", "channel", "element"},
                      .layer_only = true}},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"all operands are f32", "`offset` and `scale` are alike, and have the last dimensions of `x`, without the batch"},
      .infer = infer_preprocess,
      .gradient =
          [](GradientContext& cx) {
            return std::vector{cx.builder.mul(cx.gradient(), reciprocal_scale(cx.builder, cx.node)), Value{}, Value{}};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            return ops::evaluate_pointwise(cx, [](const std::vector<double>& x) { return (x[0] - x[1]) / x[2]; });
          },
      .lowering = DecomposeLowering{[](GraphBuilder& b, Node& node) {
        return std::vector{b.mul(b.sub(node.operands[0], node.operands[1]), reciprocal_scale(b, node))};
      }},
      .example = "preprocess(x, min_max)",
      .example_inputs = "x: f32[N, 5]",
  };
}

}  // namespace bnc
