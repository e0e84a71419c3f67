// The same elements in another shape, and what is known of shapes.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/onnx/import/node_import.h"

namespace bnc::onnx {

namespace {

void import_reshape(NodeImport& cx) {
  Imported& x = cx.operand(0);
  Known target;
  if (cx.has(1)) {
    const Known* given = cx.known(1);
    if (!given || !given->is_integer()) cx.known(1, "its shape"), cx.fail("its shape is computed when the network runs");
    target = *given;
  } else {
    target = known_of(constant_shape(cx.node.get<std::vector<int64_t>>("shape", {})));
  }
  cx.give_reshaped(x, reshape_target(cx.node, x.shape, target, cx.importer.frozen_batch));
}

void import_flatten(NodeImport& cx) {
  Imported& x = cx.operand(0);
  int64_t axis = std::min(x.rank(), flatten_axis(cx.node, x.rank()));
  if (axis == 0 && cx.importer.frozen_batch == 1 && x.rank() > 1 && x.shape[0].batch) axis = 1;   // a batch of one, which is to be any
  const auto rows = element_count(Shape(x.shape.begin(), x.shape.begin() + axis));
  const auto columns = element_count(Shape(x.shape.begin() + axis, x.shape.end()));
  if (!rows || !columns) cx.fail("it has too many elements");
  cx.give_reshaped(x, {*rows, *columns});
}

void import_squeeze(NodeImport& cx) {
  Imported& x = cx.operand(0);
  cx.give_reshaped(x, squeezed(cx.node, x.shape, cx.integers("axes", 1)));
}

void import_unsqueeze(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const auto axes = cx.integers("axes", 1);
  if (!axes) cx.fail("it has no axes");
  cx.give_reshaped(x, unsqueezed(cx.node, x.shape, *axes));
}

// No node is made: the value stays as it lies, and its dimensions are counted in another order.
void import_transpose(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const IntList permutation = permutation_of(cx.node, x.rank());
  const Value value = cx.importer.in_order(x, x.order);
  IntList order;
  for (const int64_t axis : x.order) order.push_back(place_of(axis, permutation));
  cx.give(value, order);
}

void import_shape(NodeImport& cx) {
  const Shape& shape = cx.shape(0);
  const int64_t rank = static_cast<int64_t>(shape.size());
  const auto place = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t begin = place(cx.integer("start", 0)), end = place(cx.integer("end", rank));
  cx.give(known_of(Shape(shape.begin() + std::min(begin, end), shape.begin() + end)));
}

void import_size(NodeImport& cx) {
  const auto count = element_count(cx.shape(0));
  if (!count) cx.fail("it has too many elements");
  Known size = known_of(Shape{*count});
  size.dims = {};
  cx.give(std::move(size));
}

void import_identity(NodeImport& cx) {
  cx.give(cx.shared_operand(0));
}

// Nothing in a frozen network; training drops out as the model says.
void import_dropout(NodeImport& cx) {
  if (cx.wants(1)) cx.fail("its mask is read");
  double rate = cx.number("ratio", 0.5);
  if (cx.has(1)) rate = cx.known_number(1, "its ratio");
  if (cx.has(2) && !cx.known(2, "its mode").is_all(0))
    cx.importer.note("the model was exported in training mode; its dropout does nothing when frozen, and drops out in `bnc train`");
  if (rate == 0) return import_identity(cx);
  cx.elementwise([&](Value x) { return cx.build.value("dropout", {x, {}}, {{"rate", rate}}); });
}

void cast(NodeImport& cx, OnnxType to) {
  Imported& x = cx.operand(0);
  const bool real = to == OnnxType::f32 || to == OnnxType::f64 || to == OnnxType::f16 || to == OnnxType::bf16;
  const DType from = x.known ? DType::f32 : cx.importer.in_order(x, x.order).type().dtype;
  if ((from == DType::f32) != real) cx.fail(fmt::format("it casts to {} when the network runs", to_string(to)), "bnc computes with f32");
  if (to != OnnxType::f32 && real) cx.importer.note(fmt::format("a cast to {} is left out: bnc computes with f32", to_string(to)));
  import_identity(cx);
}

void import_cast(NodeImport& cx) { cast(cx, static_cast<OnnxType>(cx.integer("to", 1))); }

// To the type of another value; those computed when the network runs are f32, or class numbers.
void import_cast_like(NodeImport& cx) {
  if (const Known* like = cx.known(1)) return cast(cx, like->type);
  Imported& like = cx.operand(1);
  cast(cx, cx.importer.in_order(like, like.order).type().dtype == DType::f32 ? OnnxType::f32 : OnnxType::i32);
}

void import_constant(NodeImport& cx) {
  const OnnxNode& node = cx.node;
  if (const OnnxTensor* tensor = node.find<OnnxTensor>("value")) {
    Known known = known_of(*tensor);
    known.name.clear();
    return cx.give(std::move(known));
  }
  Known known;
  if (const float* number = node.find<float>("value_float")) {
    known.numbers = {*number};
  } else if (const auto* numbers = node.find<std::vector<float>>("value_floats")) {
    known.numbers.assign(numbers->begin(), numbers->end());
    known.dims = {known.size()};
  } else if (const int64_t* integer = node.find<int64_t>("value_int")) {
    known.type = OnnxType::i64;
    known.numbers = {static_cast<double>(*integer)};
  } else if (const auto* integers = node.find<std::vector<int64_t>>("value_ints")) {
    known.type = OnnxType::i64;
    known.numbers.assign(integers->begin(), integers->end());
    known.dims = {known.size()};
  } else {
    cx.fail("it has no value of numbers");
  }
  cx.give(std::move(known));
}

// The dimensions that an operand lists, the batch size perhaps among them.
Shape listed_shape(const NodeImport& cx, size_t operand) {
  const Known* target = cx.known(operand);
  if (!target) cx.known(operand, "its shape");
  check_rank(cx.node, target->numbers.size());
  Shape shape;
  for (size_t k = 0; k < target->numbers.size(); ++k) {
    if (!(target->numbers[k] >= 1)) cx.fail(fmt::format("{} is no dimension", target->numbers[k]));
    shape.push_back({integer_of(cx.node, target->numbers[k]), target->is_batch(k)});
  }
  return shape;
}

void import_expand(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const Shape shape = listed_shape(cx, 1);
  const auto both = broadcast(x.shape, shape);
  if (!both) cx.fail(fmt::format("{} does not broadcast to {}", show(x.shape), show(shape)));
  const Value value = cx.importer.canonical(x);
  cx.give(*both == x.shape ? value : cx.build.value("broadcast_to", {value}, {{"shape", *both}}));
}

// Of a shape with the batch size in it.
void import_constant_of_shape(NodeImport& cx) {
  const Shape shape = listed_shape(cx, 0);
  const OnnxTensor* value = cx.node.find<OnnxTensor>("value");
  const double number = value ? cx.number_of(*value) : 0;
  cx.give(cx.build.value("broadcast_to", {cx.build.constant(number)}, {{"shape", shape}}));
}

}  // namespace

const std::vector<OpRule>& shape_rules() {
  static const std::vector<OpRule> rules = {{"Cast", import_cast},
                                            {"CastLike", import_cast_like},
                                            {"Constant", import_constant},
                                            {"ConstantOfShape", import_constant_of_shape},
                                            {"Dropout", import_dropout},
                                            {"Expand", import_expand},
                                            {"Flatten", import_flatten},
                                            {"Identity", import_identity},
                                            {"Reshape", import_reshape},
                                            {"Shape", import_shape},
                                            {"Size", import_size},
                                            {"Squeeze", import_squeeze},
                                            {"Transpose", import_transpose},
                                            {"Unsqueeze", import_unsqueeze}};
  return rules;
}

}  // namespace bnc::onnx
