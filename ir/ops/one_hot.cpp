#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;

OpDefinition one_hot_op() {
  return {
      .name = "one_hot",
      .category = OpCategory::shape,
      .summary = "Class numbers as rows of one 1 and zeros else.",
      .description = "y[.., c] = 1 where labels[..] is c, else 0; a label outside [0, classes) gives zeros.",
      .operands = {ops::fixed_operand("labels", "`i32`, any shape")},
      .attributes = {{.name = "classes", .kind = AttributeKind::integer, .fallback = {}, .doc = "the size of the new last dimension"}},
      .results = {{"y", "f32, the shape of `labels` with `classes` behind"}},
      .constraints = {"`labels` is i32", "`classes` is at least 1"},
      .infer =
          [](const InferContext& cx) {
            TensorType result = cx.type(0);
            if (result.dtype != DType::i32) ops::fail(cx, 1, fmt::format("labels must be i32, got {}", cx.show(result)));
            int64_t classes = cx.attribute("classes").integer();
            if (classes < 1) ops::fail(cx, 2, fmt::format("classes must be at least 1, got {}", classes));
            result.dtype = DType::f32;
            result.shape.push_back(Dim{classes});
            return std::vector{result};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            Tensor y = cx.result();
            int64_t classes = y.dims.back();
            for (int64_t p = 0; p < y.size(); ++p) y.data[p] = cx.operand(0).data[p / classes] == static_cast<double>(p % classes) ? 1 : 0;
            return std::vector{y};
          },
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index& index) {
                                        Expr label = cx.operand(0, Index(index.begin(), index.end() - 1));
                                        Expr hit = label == loops::cast(loops::Scalar::i32, index.back());
                                        return loops::select(hit, loops::real(1), loops::real(0));
                                      },
                                  .cost = 2},
      .example = "one_hot(labels, classes=10)",
      .example_inputs = "labels: i32[N]",
  };
}

}  // namespace bnc
