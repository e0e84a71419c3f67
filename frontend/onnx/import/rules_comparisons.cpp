// Comparisons, and choices by them. Truth values are 1 and 0 in f32.
#include <algorithm>
#include <cmath>
#include <limits>

#include "frontend/onnx/import/node_import.h"

namespace bnc::onnx {

namespace {

Value ones_like(NodeImport& cx, Value x) {
  return cx.build.value("broadcast_to", {cx.build.constant(1)}, {{"shape", x.type().shape}});
}
// relu_gradient(1, x) is 1 where x > 0, else 0.
Value is_positive(NodeImport& cx, Value x) {
  return cx.build.value("relu_gradient", {ones_like(cx, x), x});
}
bool is_finite(const Known* known) {
  return !known || std::all_of(known->numbers.begin(), known->numbers.end(), [](double x) { return std::isfinite(x); });
}

// Of numbers to be compared; infinities are cut off to the largest number, since their difference is not a number.
Value difference(NodeImport& cx, Value a, Value b) {
  constexpr double largest = std::numeric_limits<float>::max();
  if (is_finite(cx.known(0)) && is_finite(cx.known(1))) return cx.build.sub(a, b);
  const auto cut = [&](Value x) { return cx.build.value("clip", {x}, {{"low", -largest}, {"high", largest}}); };
  return cx.build.sub(cut(a), cut(b));
}

Value contrary(NodeImport& cx, Value truth) { return cx.build.sub(cx.build.constant(1), truth); }

void import_sign(NodeImport& cx) {
  cx.elementwise([&](Value x) { return cx.build.value("abs_gradient", {ones_like(cx, x), x}); });
}

void import_greater(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return is_positive(cx, difference(cx, a, b)); });
}
void import_less(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return is_positive(cx, difference(cx, b, a)); });
}
void import_greater_or_equal(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return contrary(cx, is_positive(cx, difference(cx, b, a))); });
}
void import_less_or_equal(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return contrary(cx, is_positive(cx, difference(cx, a, b))); });
}
void import_equal(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return contrary(cx, is_positive(cx, cx.build.value("abs", {difference(cx, a, b)}))); });
}
void import_not(NodeImport& cx) {
  cx.elementwise([&](Value x) { return contrary(cx, x); });
}
void import_and(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return cx.build.mul(a, b); });
}
void import_or(NodeImport& cx) {
  cx.elementwise([&](Value a, Value b) { return cx.build.value("maximum", {a, b}); });
}

// What is chosen plus what is not, each times whether it is. Where that would make not a number of infinities, by relu_gradient, which
// takes nothing of what is not chosen, but has no gradient itself.
void import_where(NodeImport& cx) {
  ImportedPointer when, otherwise;
  if (const Known* condition = cx.known(0)) {
    Known yes = *condition, no = *condition;
    yes.type = no.type = OnnxType::f32;
    yes.name = no.name = "";
    for (double& number : no.numbers) number = 1 - number;
    when = cx.importer.imported(std::move(yes));
    otherwise = cx.importer.imported(std::move(no));
  } else {
    when = cx.shared_operand(0);
    otherwise = cx.importer.imported(contrary(cx, cx.importer.in_order(*when, when->order)), when->order);
  }
  const bool by_product = cx.known(0) && is_finite(cx.known(1)) && is_finite(cx.known(2)) && !cx.importer.computes_not_finite;
  const auto chosen = [&](Value value, Value truth) {
    if (by_product) return cx.build.mul(value, truth);
    const auto both = broadcast(value.type().shape, truth.type().shape);
    for (Value* each : {&value, &truth})
      if (each->type().shape != *both) *each = cx.build.value("broadcast_to", {*each}, {{"shape", *both}});
    return cx.build.value("relu_gradient", {value, truth});
  };
  const ImportedPointer first = cx.combined(cx.operand(1), *when, chosen), second = cx.combined(cx.operand(2), *otherwise, chosen);
  cx.give(cx.combined(*first, *second, [&](Value a, Value b) { return cx.build.add(a, b); }));
}

}  // namespace

const std::vector<OpRule>& comparison_rules() {
  static const std::vector<OpRule> rules = {{"And", import_and},
                                            {"Equal", import_equal},
                                            {"Greater", import_greater},
                                            {"GreaterOrEqual", import_greater_or_equal},
                                            {"Less", import_less},
                                            {"LessOrEqual", import_less_or_equal},
                                            {"Not", import_not},
                                            {"Or", import_or},
                                            {"Sign", import_sign},
                                            {"Where", import_where}};
  return rules;
}

}  // namespace bnc::onnx
