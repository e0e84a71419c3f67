#include "ir/ops/common.h"
#include "ir/ops/numbers.h"

namespace bnc {

using loops::BinaryOp;
using loops::Expr;

namespace {

// A bijective mixing of 32 bits in which each input bit flips each output bit with probability near 1/2: multiply and
// xor-shift, the form and constants of Wellons' `lowbias32` ("Prospecting for hash functions", 2018).
constexpr uint32_t mix_multiplier_1 = 0x7feb352d, mix_multiplier_2 = 0x846ca68b;
constexpr uint32_t golden = 0x9e3779b9;  // 2^32 divided by the golden ratio: sets streams and elements apart

uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * mix_multiplier_1;
  x = (x ^ (x >> 15)) * mix_multiplier_2;
  return x ^ (x >> 16);
}

Expr i32(uint32_t value) { return loops::integer(static_cast<int32_t>(value), {loops::Scalar::i32, 1}); }

Expr mix(Expr x) {
  auto xor_shift = [](Expr v, uint32_t bits) {
    return loops::binary(BinaryOp::bit_xor, v, loops::binary(BinaryOp::shift_right_logical, v, i32(bits)));
  };
  x = xor_shift(x, 16) * i32(mix_multiplier_1);
  x = xor_shift(x, 15) * i32(mix_multiplier_2);
  return xor_shift(x, 16);
}

double rate_of(const Node& node) { return node.attribute("rate").number(); }

// The key of the stream and the seed, before the step is added.
uint32_t stream_key(const Node& node) {
  const auto seed = static_cast<uint64_t>(node.attribute("seed").integer());
  const uint32_t of_seed = mix(mix(static_cast<uint32_t>(seed >> 32)) + static_cast<uint32_t>(seed));
  return mix(static_cast<uint32_t>(node.attribute("stream").integer()) * golden + 1) ^ of_seed;
}

// An element is kept where 24 bits of its hash are at least this.
uint32_t threshold_of(const Node& node) { return static_cast<uint32_t>(std::lround(rate_of(node) * 0x1p24)); }

bool active(const Node& node) { return node.operands.size() > 1 && node.operands[1] && rate_of(node) > 0; }

std::vector<TensorType> infer_dropout(const InferContext& cx) {
  const TensorType& x = cx.type(0);
  if (x.dtype != DType::f32) ops::fail(cx, 1, fmt::format("`x` must be f32, got {}", cx.show(x)));
  if (cx.has(1) && cx.type(1) != TensorType{DType::i32, {}})
    ops::fail(cx, 2, fmt::format("`step` must be i32[], got {}", cx.show(cx.type(1))));
  ops::require_number(cx, 3, "rate", below_one);
  return {x};
}

std::vector<Tensor> evaluate_dropout(const EvaluateContext& cx) {
  Tensor y = cx.operand(0);
  if (!active(cx.node)) return {y};
  uint32_t key = mix(stream_key(cx.node) + static_cast<uint32_t>(static_cast<int64_t>(cx.operand(1).data[0])));
  double scale = 1 / (1 - rate_of(cx.node));
  for (size_t p = 0; p < y.data.size(); ++p) {
    bool kept = mix(static_cast<uint32_t>(p) * golden + key) >> 8 >= threshold_of(cx.node);
    y.data[p] *= kept ? scale : 0;
  }
  return {y};
}

Expr dropout_element(ElementContext& cx, const Index& index) {
  Expr x = cx.operand(0, index);
  if (!active(cx.node)) return x;
  Expr key = mix(i32(stream_key(cx.node)) + cx.operand(1, {}));
  Expr element = loops::cast(loops::Scalar::i32, ops::linear_index(cx, index, cx.node.results[0].type.shape));
  Expr bits = loops::binary(BinaryOp::shift_right_logical, mix(element * i32(golden) + key), i32(8));
  Expr kept = bits >= i32(threshold_of(cx.node));
  return x * loops::select(kept, loops::real(1 / (1 - rate_of(cx.node))), loops::real(0));
}

}  // namespace

OpDefinition dropout_op() {
  return {
      .name = "dropout",
      .category = OpCategory::random,
      .summary = "Sets a random share of the elements to 0 in training.",
      .description =
          "Without `step` the identity. With it y = x*mask/(1 - rate), where mask is 0 with probability `rate` and a pure function of "
          "`seed`, `stream`, `step` and the element's row-major position: the same on any number of threads, and again in the gradient. "
          "NaN stays NaN. After Srivastava et al., \"Dropout\", 2014, in the form that scales in training.",
      .operands = {ops::tensor_operand("x", "any shape"),
                   {.name = "step", .doc = "`i32[]`, the training step; absent in inference", .optional = true, .differentiable = false}},
      .attributes = {{.name = "rate", .kind = AttributeKind::number, .fallback = 0.5, .doc = "the probability of 0"},
                     {.name = "stream", .kind = AttributeKind::integer, .fallback = 0, .doc = "sets apart the masks of several dropouts"},
                     {.name = "seed", .kind = AttributeKind::integer, .fallback = 0, .doc = "sets apart the masks of several runs"}},
      .results = {{"y", "the type of `x`"}},
      .constraints = {"`x` is f32", "`step` is i32[]", "0 <= `rate` < 1"},
      .infer = infer_dropout,
      .gradient =
          [](GradientContext& cx) {
            return std::vector{cx.builder.value("dropout", {cx.gradient(), cx.operand(1)}, cx.node.attributes), Value{}};
          },
      .evaluate = evaluate_dropout,
      .lowering = ElementLowering{.element = dropout_element, .pointwise = true, .cost = 12},
      .example = "dropout(x, rate=0.25)",
      .example_inputs = "x: f32[N, 5]",
  };
}

}  // namespace bnc
