#include <algorithm>

#include "ir/ops/common.h"

namespace bnc {

namespace {

// Result dimension k is operand dimension permutation[k].
std::vector<int> permutation_of(const AttributeMap& attributes, int rank) {
  const IntList& given = attributes.at("permutation").integers();
  std::vector<int> permutation(given.begin(), given.end());
  if (given.empty())
    for (int k = rank; k-- > 0;) permutation.push_back(k);
  return permutation;
}

std::vector<int> permutation_of(const Node& node) { return permutation_of(node.attributes, node.operands[0].type().rank()); }

std::vector<TensorType> infer_transpose(const InferContext& cx) {
  const TensorType& x = cx.type(0);
  std::vector<int> permutation = permutation_of(cx.attributes, x.rank()), sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != ops::all_axes({}, x.rank()))
    ops::fail(cx, 1, fmt::format("the permutation [{}] does not hold each of the {} axes of {} once", fmt::join(permutation, ", "),
                                 x.rank(), cx.show(x)));
  TensorType result = x;
  for (int k = 0; k < x.rank(); ++k) result.shape[k] = x.shape[permutation[k]];
  return {result};
}

// The operand's index for an index of the result.
template <class T>
std::vector<T> source_index(const Node& node, const std::vector<T>& index) {
  std::vector<int> permutation = permutation_of(node);
  std::vector<T> result(index.size());
  for (size_t k = 0; k < index.size(); ++k) result[permutation[k]] = index[k];
  return result;
}

}  // namespace

OpDefinition transpose_op() {
  return {
      .name = "transpose",
      .category = OpCategory::shape,
      .summary = "Reorders dimensions.",
      .description = "Dimension k of the result is dimension permutation[k] of `x`.",
      .operands = {ops::tensor_operand("x", "any type and shape")},
      .attributes = {{.name = "permutation", .kind = AttributeKind::integers, .fallback = IntList{}, .doc = "the order; empty reverses"}},
      .results = {{"y", "the dimensions of `x` in the new order"}},
      .constraints = {"`permutation` holds each axis of `x` once"},
      .infer = infer_transpose,
      .gradient =
          [](GradientContext& cx) {
            std::vector<int> permutation = permutation_of(cx.node);
            IntList inverse(permutation.size());
            for (size_t k = 0; k < permutation.size(); ++k) inverse[permutation[k]] = static_cast<int64_t>(k);
            return std::vector{cx.builder.value("transpose", {cx.gradient()}, {{"permutation", inverse}})};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            const Tensor& x = cx.operand(0);
            return ops::evaluate_elements(
                cx, [&](const std::vector<int64_t>& index) { return x.data[ops::position_of(source_index(cx.node, index), x.dims)]; });
          },
      .lowering =
          ElementLowering{.element = [](ElementContext& cx, const Index& index) { return cx.operand(0, source_index(cx.node, index)); },
                          .cost = 0},
      .example = "transpose(x, permutation=[0, 2, 1])",
      .example_inputs = "x: f32[N, 4, 2]",
  };
}

}  // namespace bnc
