// Arithmetic on elements, with broadcasting.
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "frontend/onnx/import/node_import.h"

namespace bnc::onnx {

namespace {

constexpr double largest = std::numeric_limits<float>::max();

template <Value (GraphBuilder::*op)(Value, Value)>
void import_binary(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return (cx.build.*op)(a, b); });
}

// What is added to a layer of that operand alone is the layer's bias.
bool give_as_bias(NodeImport& cx, size_t layer, size_t added) {
  Imported& x = cx.operand(layer);
  const Known* bias = cx.known(added);
  if (!bias || x.known || x.flat || bias->size() < 1 || bias->name.empty()) return false;
  if (cx.rank(added) > x.rank() || (cx.opset < 7 && cx.node.find<int64_t>("axis"))) return false;
  if (cx.readers(layer) != 1 || cx.readers(added) != 1) return false;
  const Value value = x.forms.at(x.order);
  const bool is_layer = value.node->is("dense") || value.node->is("conv2d") || value.node->is("conv1d") ||
                        value.node->is("conv2d_transpose");
  if (!is_layer || value.node->operands[2]) return false;
  const Dim channels = value.type().shape.back();
  const int64_t axis = x.order.back() - x.rank() + static_cast<int64_t>(bias->dims.size());
  if (axis < 0 || channels.batch || bias->size() != channels.factor || bias->dims[static_cast<size_t>(axis)] != channels.factor)
    return false;
  const Value parameter =
      cx.importer.parameter(cx.operand(added), identity_order(cx.rank(added)), {.stem = "bias"}, {channels.factor});
  Node& node = *value.node;
  cx.give(cx.build.value(node.op->name, {node.operands[0], node.operands[1], parameter}, node.attributes), x.order);
  return true;
}

void import_add(NodeImport& cx) {
  if (give_as_bias(cx, 0, 1) || give_as_bias(cx, 1, 0)) return;
  // A negative number is rather subtracted.
  const auto below_zero = [](const Value& value) {
    const double* number = value.node->is("constant") ? value.node->attribute("value").get_if<double>() : nullptr;
    return number && *number < 0 ? *number : 0;
  };
  cx.elementwise([&](Value a, Value b) {
    if (below_zero(b) < 0) return cx.build.sub(a, cx.build.constant(-below_zero(b)));
    if (below_zero(a) < 0) return cx.build.sub(b, cx.build.constant(-below_zero(a)));
    return cx.build.add(a, b);
  });
}

Value minimum(GraphBuilder& build, Value a, Value b) { return build.neg(build.value("maximum", {build.neg(a), build.neg(b)})); }

template <class Function>
ImportedPointer variadic(NodeImport& cx, Function&& function) {
  ImportedPointer all;
  for (size_t k = 0; k < cx.node.inputs.size(); ++k) {
    if (!all) {
      all = cx.shared_operand(k);
    } else {
      all = cx.combined(*all, cx.operand(k), function);
    }
  }
  if (!all) cx.fail("it has no operands");
  return all;
}

void import_sum(NodeImport& cx) {
  cx.give(variadic(cx, [&](Value a, Value b) { return cx.build.add(a, b); }));
}
void import_max(NodeImport& cx) {
  cx.give(variadic(cx, [&](Value a, Value b) { return cx.build.value("maximum", {a, b}); }));
}
void import_min(NodeImport& cx) {
  cx.give(variadic(cx, [&](Value a, Value b) { return minimum(cx.build, a, b); }));
}
void import_mean(NodeImport& cx) {
  const ImportedPointer sum = variadic(cx, [&](Value a, Value b) { return cx.build.add(a, b); });
  if (cx.node.inputs.size() == 1) return cx.give(sum);
  cx.give(cx.build.scale(cx.importer.in_order(*sum, sum->order), 1 / static_cast<double>(cx.node.inputs.size())), sum->order);
}

template <const char* const& op>
void import_unary(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.value(op, {x}); });
}
constexpr const char *abs_op = "abs", *exp_op = "exp", *log_op = "log", *sqrt_op = "sqrt", *neg_op = "neg";

void import_reciprocal(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.div(cx.build.constant(1), x); });
}

// x^exponent for a whole exponent, by squaring.
Value whole_power(GraphBuilder& build, Value x, int64_t exponent) {
  if (exponent < 0) return build.div(build.constant(1), whole_power(build, x, -exponent));
  Value result;
  for (Value square = x; exponent > 0; exponent /= 2) {
    if (exponent % 2) result = result ? build.mul(result, square) : square;
    if (exponent > 1) square = build.mul(square, square);
  }
  return result;
}

void import_pow(NodeImport& cx) {
  const Known* exponent = cx.known(1);
  const auto by_logarithm = [&](Value x, Value power) {
    cx.importer.note("a power is computed as exp(y*log(x)), for which its base must be positive");
    return cx.build.value("exp", {cx.build.mul(power, cx.build.value("log", {x}))});
  };
  const bool is_number = exponent && exponent->size() == 1 && !exponent->mentions_batch() && exponent->dims.size() <= cx.shape(0).size();
  if (!is_number) return cx.elementwise(by_logarithm);
  const double power = tidy(exponent->numbers[0]);
  cx.elementwise([&](Value x) {
    if (power == 0.5) return cx.build.value("sqrt", {x});
    if (power == -0.5) return cx.build.value("rsqrt", {x});
    if (power == std::floor(power) && std::abs(power) <= 64 && power != 0) return whole_power(cx.build, x, static_cast<int64_t>(power));
    if (power == 0) return cx.build.add(cx.build.scale(x, 0), cx.build.constant(1));
    return by_logarithm(x, cx.build.constant(power));
  });
}

// Bounds are attributes, since opset 11 operands.
void import_clip(NodeImport& cx) {
  const auto known_bound = [&](size_t k, const char* attribute, double none) -> std::optional<double> {
    if (!cx.has(k)) return std::clamp(cx.number(attribute, none), -largest, largest);
    const Known* bound = cx.known(k);
    if (!bound || bound->size() != 1 || bound->mentions_batch()) return std::nullopt;
    return std::clamp(tidy(bound->numbers[0]), -largest, largest);
  };
  const auto low = known_bound(1, "min", -largest), high = known_bound(2, "max", largest);
  if (low && high && *low <= *high) {
    if (*low == 0 && *high == largest) return cx.elementwise([&](Value x) { return cx.build.value("relu", {x}); });
    return cx.elementwise([&](Value x) { return cx.build.value("clip", {x}, {{"low", *low}, {"high", *high}}); });
  }
  // The upper bound wins where they cross.
  const auto bound = [&](size_t k, const std::optional<double>& known) {
    return known ? cx.build.constant(*known) : cx.importer.reshape(cx.importer.canonical(cx.operand(k)), {});
  };
  const Value lower = bound(1, low), upper = bound(2, high);
  cx.elementwise([&](Value x) { return minimum(cx.build, cx.build.value("maximum", {x, lower}), upper); });
}

// A matrix without what lies on one side of a diagonal.
void import_trilu(NodeImport& cx) {
  Imported& x = cx.operand(0);
  if (x.rank() < 2) cx.fail(fmt::format("it takes a triangle of {}", show(x.shape)));
  const int64_t rows = cx.fixed(0, x.rank() - 2, "the number of rows"), columns = cx.fixed(0, x.rank() - 1, "the number of columns");
  const int64_t diagonal = cx.has(1) ? integer_of(cx.node, cx.known_number(1, "its diagonal")) : 0;
  const bool upper = cx.integer("upper", 1) != 0;
  check_dims(cx.node, {rows, columns}, int64_t{1} << 24);
  cx.importer.charge(rows * columns);
  Known mask{.type = OnnxType::f32, .dims = {rows, columns}, .numbers = {}, .batch = {}, .name = {}};
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) mask.numbers.push_back(upper ? j - i >= diagonal : j - i <= diagonal);
  const ImportedPointer kept = cx.importer.imported(std::move(mask));
  cx.give(cx.combined(x, *kept, [&](Value a, Value b) { return cx.build.mul(a, b); }));
}

}  // namespace

const std::vector<OpRule>& arithmetic_rules() {
  static const std::vector<OpRule> rules = {{"Abs", import_unary<abs_op>},
                                            {"Add", import_add},
                                            {"Clip", import_clip},
                                            {"Div", import_binary<&GraphBuilder::div>},
                                            {"Exp", import_unary<exp_op>},
                                            {"Log", import_unary<log_op>},
                                            {"Max", import_max},
                                            {"Mean", import_mean},
                                            {"Min", import_min},
                                            {"Mul", import_binary<&GraphBuilder::mul>},
                                            {"Neg", import_unary<neg_op>},
                                            {"Pow", import_pow},
                                            {"Reciprocal", import_reciprocal},
                                            {"Sqrt", import_unary<sqrt_op>},
                                            {"Sub", import_binary<&GraphBuilder::sub>},
                                            {"Sum", import_sum},
                                            {"Trilu", import_trilu}};
  return rules;
}

}  // namespace bnc::onnx
