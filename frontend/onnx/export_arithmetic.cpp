// Arithmetic, reductions, and numbers that depend on the step.
#include <algorithm>
#include <cmath>

#include "frontend/onnx/exporter.h"
#include "ir/ops/common.h"
#include "ir/ops/learning_rate.h"

namespace bnc {

namespace {

template <const char* op>
void convert_binary(OnnxExporter& out, Node& node) {
  const Aligned operands = out.align(node, node.operands);
  out.set(node.result(), out.emit(op, operands.names), operands.order);
}

constexpr char onnx_add[] = "Add", onnx_sub[] = "Sub", onnx_mul[] = "Mul", onnx_div[] = "Div", onnx_max[] = "Max";

std::string to_onnx_type(OnnxExporter& out, const std::string& x, OnnxType type) {
  return out.emit("Cast", {x}, {{"to", static_cast<int64_t>(type)}});
}

void convert_trust_ratio(OnnxExporter& out, Node& node) {
  const Aligned norms = out.align(node, node.operands);
  const std::string zero = out.scalar(0);
  const auto vanishes = [&](size_t k) { return out.emit("LessOrEqual", {norms.names[k], zero}); };
  const std::string either = out.emit("Or", {vanishes(0), vanishes(1)});
  out.set(node.result(), out.emit("Where", {either, out.scalar(1), out.emit("Div", norms.names)}), norms.order);
}

// 2h/(1 + h) with h = tanh(-(t + offset)*log(decay)/2)
void convert_one_minus_power(OnnxExporter& out, Node& node) {
  const Value t = node.operands[0];
  std::string steps = out.tensor(t);
  if (t.type().dtype == DType::i32) steps = to_onnx_type(out, steps, OnnxType::f32);
  if (t.type().rank() > 0) steps = out.emit("Squeeze", {steps});
  if (const int64_t offset = node.attribute("offset").integer()) steps = out.emit("Add", {steps, out.scalar(static_cast<double>(offset))});
  const double factor = -std::log(node.attribute("decay").number()) / 2;
  const std::string h = out.emit("Tanh", {out.emit("Mul", {steps, out.scalar(factor)})});
  out.set(node.result(), out.emit("Div", {out.emit("Mul", {h, out.scalar(2)}), out.emit("Add", {h, out.scalar(1)})}));
}

// From how many steps on the rate stays as it is; nothing where it never does.
std::optional<int64_t> steps_of_schedule(const Symbol& schedule) {
  const auto integer = [&](const char* name) {
    const Attribute* value = schedule.find(name);
    return value ? value->integer() : 0;
  };
  const int64_t warmup = integer("warmup");
  if (schedule.name == "constant") return warmup;
  if (schedule.name != "step") return integer("steps") + 1;
  if (const Attribute* at = schedule.find("at")) return warmup + at->integers().back();
  return std::nullopt;
}

// A table of the rates of all steps.
void convert_learning_rate(OnnxExporter& out, Node& node) {
  constexpr int64_t largest_table = 100'000;
  const Symbol& schedule = node.attribute("schedule").symbol();
  int64_t last = steps_of_schedule(schedule).value_or(largest_table);
  if (!steps_of_schedule(schedule))   // until the rate is below all that f32 has
    for (last = 0; last <= largest_table && static_cast<float>(ops::scheduled_rate(schedule, last)) > 0;) ++last;
  if (last > largest_table) return out.refuse(node, "it is there for training only, and its schedule is too long for a table");
  OnnxConstants rates;
  for (int64_t step = 0; step <= last; ++step) rates.push_back(ops::scheduled_rate(schedule, step));
  const std::string step = out.emit("Min", {out.tensor(node.operands[0]), out.integers({static_cast<int32_t>(last)}, {})});
  out.set(node.result(), out.emit("Gather", {out.floats(rates, {last + 1}), step}));
}

// --- reductions ---------------------------------------------------------------------------------------------------

// The order of what is left of a tensor when these axes are gone.
AxisOrder order_without(const AxisOrder& order, const std::vector<int>& axes) {
  AxisOrder rest;
  for (const int axis : order) {
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
    rest.push_back(axis - static_cast<int>(std::count_if(axes.begin(), axes.end(), [&](int gone) { return gone < axis; })));
  }
  return rest;
}

// Mean and maximum over all pixels of an image whose channels are first.
bool is_global_pool(const OnnxExporter& out, const Node& node, const std::vector<int>& axes) {
  const Value x = node.operands[0];
  const int rank = x.type().rank();
  if (node.is("reduce_sum") || rank < 3 || out.order_of(x) != channels_first(rank)) return false;
  return static_cast<int>(axes.size()) == rank - 2 && axes.front() == 1 && axes.back() == rank - 2;
}

void convert_reduction(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const std::vector<int> axes = ops::axes_of(node);
  const bool keep_dims = node.attribute("keep_dims").boolean();
  const AxisOrder order = out.order_of(x);
  const std::string name = out.tensor(x, order);
  if (axes.empty()) return out.set(node.result(), out.emit("Identity", {name}), order);
  if (is_global_pool(out, node, axes)) {
    const std::string pooled = out.emit(node.is("reduce_mean") ? "GlobalAveragePool" : "GlobalMaxPool", {name});
    if (keep_dims) return out.set(node.result(), pooled, order);
    return out.set(node.result(), out.emit("Flatten", {pooled}, {{"axis", int64_t{1}}}));
  }
  OnnxNumbers stored;
  for (const int axis : axes) stored.push_back(stored_axis(order, axis));
  std::sort(stored.begin(), stored.end());
  OnnxAttributes attributes = {{"keepdims", int64_t{keep_dims}}};
  std::vector<std::string> inputs = {name};
  if (node.is("reduce_sum")) inputs.push_back(out.numbers(stored));   // an operand there, an attribute of the others
  else attributes["axes"] = stored;
  const char* op = node.is("reduce_sum") ? "ReduceSum" : node.is("reduce_mean") ? "ReduceMean" : "ReduceMax";
  out.set(node.result(), out.emit(op, inputs, attributes), keep_dims ? order : order_without(order, axes));
}

void convert_element_count(OnnxExporter& out, Node& node) {
  out.set(node.result(), out.emit("Identity", {out.count(node.operands[0].type().shape, ops::axes_of(node))}));
}

}  // namespace

const OnnxConverters& arithmetic_converters() {
  static const OnnxConverters converters = {
      {"add", convert_binary<onnx_add>},
      {"sub", convert_binary<onnx_sub>},
      {"mul", convert_binary<onnx_mul>},
      {"div", convert_binary<onnx_div>},
      {"maximum", convert_binary<onnx_max>},
      {"trust_ratio", convert_trust_ratio},
      {"one_minus_power", convert_one_minus_power},
      {"learning_rate", convert_learning_rate},
      {"reduce_sum", convert_reduction},
      {"reduce_mean", convert_reduction},
      {"reduce_max", convert_reduction},
      {"element_count", convert_element_count},
  };
  return converters;
}

}  // namespace bnc
