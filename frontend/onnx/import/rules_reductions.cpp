// Several elements that become one, and what is normalized by such.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/onnx/import/node_import.h"

namespace bnc::onnx {

namespace {

using Reduce = Value (*)(GraphBuilder& build, Value x, const AttributeMap& over);

void import_reduce(NodeImport& cx, Reduce reduce, bool mean = false) {
  Imported& x = cx.operand(0);
  const IntList axes = cx.reduced_axes(x.rank());
  const bool keep = cx.integer("keepdims", 1) != 0;
  const Value value = cx.importer.in_order(x, x.order);
  if (axes.empty()) return cx.give(reduce(cx.build, cx.importer.reshape(value, [&] {
    Shape apart = value.type().shape;   // each element by itself
    apart.push_back({});
    return apart;
  }()), {{"axes", IntList{x.rank()}}, {"keep_dims", false}}), x.order);
  IntList places;
  for (const int64_t axis : axes) places.push_back(place_of(axis, x.order));
  std::sort(places.begin(), places.end());
  const IntList order = keep ? x.order : order_without(x.order, axes);
  IntList pixels;
  for (int64_t axis = 1; axis < x.rank() - 1; ++axis) pixels.push_back(axis);
  if (mean && x.rank() > 2 && places == pixels && x.order == channels_last_order(x.rank()))
    return cx.give(cx.importer.reshape(cx.build.value("global_average_pool", {value}), [&] {
      Shape shape = {value.type().shape.front(), value.type().shape.back()};
      if (keep) shape.insert(shape.begin() + 1, pixels.size(), Dim{});
      return shape;
    }()), order);
  AttributeMap over{{"axes", places}};
  if (keep) over["keep_dims"] = true;
  cx.give(reduce(cx.build, value, over), order);
}

Value sum_over(GraphBuilder& build, Value x, const AttributeMap& over) { return build.value("reduce_sum", {x}, over); }
Value mean_over(GraphBuilder& build, Value x, const AttributeMap& over) { return build.value("reduce_mean", {x}, over); }
Value largest_of(GraphBuilder& build, Value x, const AttributeMap& over) { return build.value("reduce_max", {x}, over); }
Value smallest_of(GraphBuilder& build, Value x, const AttributeMap& over) { return build.neg(largest_of(build, build.neg(x), over)); }
Value sum_of_sizes(GraphBuilder& build, Value x, const AttributeMap& over) { return sum_over(build, build.value("abs", {x}), over); }
Value sum_of_squares(GraphBuilder& build, Value x, const AttributeMap& over) { return sum_over(build, build.mul(x, x), over); }
Value norm(GraphBuilder& build, Value x, const AttributeMap& over) { return build.value("sqrt", {sum_of_squares(build, x, over)}); }
Value log_of_sum(GraphBuilder& build, Value x, const AttributeMap& over) { return build.value("log", {sum_over(build, x, over)}); }
// Relative to the largest, so that no exponential overflows.
Value log_of_exponentials(GraphBuilder& build, Value x, const AttributeMap& over) {
  AttributeMap kept = over;
  kept["keep_dims"] = true;
  const Value away = build.sub(x, largest_of(build, x, kept));
  return build.add(largest_of(build, x, over), log_of_sum(build, build.value("exp", {away}), over));
}

// Element by element along each axis: bnc has no reduction by products.
void import_reduce_prod(NodeImport& cx) {
  constexpr int64_t most = 256;
  Imported& x = cx.operand(0);
  const IntList axes = cx.reduced_axes(x.rank());
  Value value = cx.importer.in_order(x, x.order);
  for (const int64_t axis : axes) {
    const int64_t extent = cx.fixed(0, axis, "a dimension that it multiplies along"), place = place_of(axis, x.order);
    if (extent > most) cx.fail(fmt::format("it multiplies {} elements", extent));
    Value product;
    for (int64_t k = 0; k < extent; ++k) {
      const Value one = cx.build.value("slice", {value}, {{"axis", place}, {"begin", k}, {"end", k + 1}});
      product = product ? cx.build.mul(product, one) : one;
    }
    value = product;
  }
  Imported kept = *cx.importer.imported(value, x.order);
  if (cx.integer("keepdims", 1) != 0) return cx.give(value, x.order);
  cx.give_reshaped(kept, squeezed(cx.node, kept.shape, axes));
}

template <Reduce reduce>
void import_reduction(NodeImport& cx) {
  import_reduce(cx, reduce);
}
void import_reduce_mean(NodeImport& cx) { import_reduce(cx, mean_over, true); }

// Before opset 13 all dimensions from `axis` on are one.
void import_along(NodeImport& cx, const char* op) {
  Imported& x = cx.operand(0);
  const int64_t axis = axis_of(cx.node, cx.integer("axis", cx.opset < 13 ? 1 : -1), x.rank());
  const bool alone = std::all_of(x.shape.begin() + axis + 1, x.shape.end(), [](const Dim& dim) { return dim.is_one(); });
  if (cx.opset >= 13 || alone) {
    const int64_t place = place_of(axis, x.order);
    AttributeMap attributes;
    if (place != x.rank() - 1) attributes["axis"] = place;
    return cx.give(cx.build.value(op, {cx.importer.in_order(x, x.order)}, attributes), x.order);
  }
  Shape rows(x.shape.begin(), x.shape.begin() + axis);
  rows.push_back(*element_count(Shape(x.shape.begin() + axis, x.shape.end())));
  const Value row = cx.importer.reshape(cx.importer.canonical(x), rows);
  cx.give(cx.importer.reshape(cx.build.value(op, {row}), x.shape));
}

void import_softmax(NodeImport& cx) { import_along(cx, "softmax"); }
void import_log_softmax(NodeImport& cx) { import_along(cx, "log_softmax"); }

void import_arg(NodeImport& cx, bool largest) {
  Imported& x = cx.operand(0);
  const int64_t axis = axis_of(cx.node, cx.integer("axis", 0), x.rank());
  const bool keep = cx.integer("keepdims", 1) != 0;
  const int64_t place = place_of(axis, x.order);
  Value value = cx.importer.in_order(x, x.order);
  if (!largest) value = cx.build.neg(value);
  AttributeMap attributes{{"axis", place}};
  if (keep) attributes["keep_dims"] = true;
  const IntList order = keep ? x.order : order_without(x.order, {axis});
  if (cx.integer("select_last_index", 0) == 0) return cx.give(cx.build.value("argmax", {value}, attributes), order);
  // The last of equal elements is the first one from the end.
  const double last = static_cast<double>(cx.fixed(0, axis, "the dimension it looks along") - 1);
  const Value from_end = cx.build.value("argmax", {reversed(cx, value, place)}, attributes);
  cx.give(cx.build.sub(cx.build.constant(last, {DType::i32, {}}), from_end), order);
}

void import_arg_max(NodeImport& cx) { import_arg(cx, true); }
void import_arg_min(NodeImport& cx) { import_arg(cx, false); }

}  // namespace

const std::vector<OpRule>& reduction_rules() {
  static const std::vector<OpRule> rules = {{"ArgMax", import_arg_max},
                                            {"ArgMin", import_arg_min},
                                            {"LogSoftmax", import_log_softmax},
                                            {"ReduceL1", import_reduction<sum_of_sizes>},
                                            {"ReduceL2", import_reduction<norm>},
                                            {"ReduceLogSum", import_reduction<log_of_sum>},
                                            {"ReduceLogSumExp", import_reduction<log_of_exponentials>},
                                            {"ReduceMax", import_reduction<largest_of>},
                                            {"ReduceMean", import_reduce_mean},
                                            {"ReduceProd", import_reduce_prod},
                                            {"ReduceMin", import_reduction<smallest_of>},
                                            {"ReduceSum", import_reduction<sum_over>},
                                            {"ReduceSumSquare", import_reduction<sum_of_squares>},
                                            {"Softmax", import_softmax}};
  return rules;
}

}  // namespace bnc::onnx
