// Where values come from: inputs, parameters, states and constants.
#include <fmt/format.h>

#include "ir/op.h"

namespace bnc {

static OpDefinition source(const std::string& name, const std::string& summary, const std::string& description) {
  OpDefinition op;
  op.name = name;
  op.category = OpCategory::source;
  op.summary = summary;
  op.description = description;
  op.results = {{"value", "the tensor"}};
  op.lowering = SourceLowering{};
  return op;
}

static AttributeSpec initializer_attribute() {
  return {"initializer",
          AttributeKind::symbol,
          Attribute("zeros"),
          "how the first value is drawn; `trainable=false` in it keeps a parameter as it is",
          {"zeros", "ones", "constant", "normal", "uniform", "xavier", "he"}};
}

OpDefinition input_op() {
  OpDefinition op = source("input", "A tensor the caller gives at each run.",
                           "Written in the network's head: `network f(x: f32[N, 784])`.");
  op.example = "x: f32[N, 5]";
  return op;
}

OpDefinition parameter_op() {
  OpDefinition op = source("parameter", "A tensor that training changes.",
                           "Written `parameter NAME: TYPE = INITIALIZER` in the flat form.");
  op.attributes = {initializer_attribute()};
  op.example = "parameter w: f32[5] = ones";
  return op;
}

OpDefinition state_op() {
  OpDefinition op = source("state", "A tensor carried from step to step: running statistics, momenta, counters.",
                           "Written `state NAME: TYPE = INITIALIZER` in the flat form; an `update` gives its next value.");
  op.attributes = {initializer_attribute()};
  op.example = "state s: f32[5] = zeros";
  return op;
}

static std::vector<TensorType> infer_constant(const InferContext& cx) {
  const Shape shape = cx.attribute("shape").shape();
  const size_t given = cx.attribute("value").numbers().size();
  const std::optional<Dim> count = element_count(shape);
  if (!count) cx.fail(fmt::format("a constant of shape {} is too large", to_string(shape, cx.batch_symbol)));
  if (given != 1 && (count->batch || count->factor != static_cast<int64_t>(given)))
    cx.fail(fmt::format("{} numbers do not fill the shape {} (C1)", given, to_string(shape, cx.batch_symbol)),
            "give one number, or one for each element");
  return {TensorType{cx.attribute("dtype").symbol().name == "i32" ? DType::i32 : DType::f32, shape}};
}

static std::vector<Tensor> evaluate_constant(const EvaluateContext& cx) {
  Tensor result = cx.result();
  const NumberList numbers = cx.node.attribute("value").numbers();
  for (size_t i = 0; i < result.data.size(); ++i) result.data[i] = numbers.size() == 1 ? numbers[0] : numbers[i];
  return {std::move(result)};
}

OpDefinition constant_op() {
  OpDefinition op = source("constant", "A tensor known when compiling.",
                           "One number is repeated over the shape; a list gives every element in row-major order.");
  op.attributes = {{"value", AttributeKind::numbers, {}, "a number, or one for each element"},
                   {"shape", AttributeKind::shape, Attribute(Shape{}), "the result's dimensions"},
                   {"dtype", AttributeKind::symbol, Attribute("f32"), "the element type", {"f32", "i32"}}};
  op.constraints = {"one number, or as many as `shape` has elements"};
  op.infer = infer_constant;
  op.evaluate = evaluate_constant;
  op.example = "constant([1, 2, 3], shape=[3])";
  return op;
}

}  // namespace bnc
