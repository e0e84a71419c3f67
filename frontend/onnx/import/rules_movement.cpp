// Elements taken, joined, repeated and padded.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "frontend/onnx/import/node_import.h"
#include "frontend/onnx/onnx_check.h"

namespace bnc::onnx {

namespace {

// Beyond these a network would consist of slices.
constexpr size_t most_slices = 256;

Value slice(NodeImport& cx, Value x, int64_t axis, int64_t begin, int64_t count, int64_t step = 1) {
  const Dim& extent = x.type().shape[static_cast<size_t>(axis)];
  if (begin == 0 && step == 1 && extent == Dim{count, false}) return x;
  AttributeMap attributes{{"axis", axis}, {"begin", begin}, {"end", begin + (count - 1) * step + 1}};
  if (step != 1) {
    attributes["step"] = step;
    // Up to the end where no more elements would be taken.
    if ((extent.factor - begin + step - 1) / step == count) attributes["end"] = extent.factor;
  }
  return cx.build.value("slice", {x}, attributes);
}

Value joined(NodeImport& cx, const std::vector<Value>& parts, int64_t axis) {
  if (parts.empty()) cx.fail("its result is empty");
  if (parts.size() == 1) return parts[0];
  const int64_t rank = parts[0].type().rank();
  AttributeMap attributes;
  if (axis != rank - 1) attributes["axis"] = axis;
  return cx.build.value("concat", parts, attributes);
}

// The elements of those indices along an axis, as few slices as possible.
Value taken(NodeImport& cx, Value x, int64_t axis, const std::vector<int64_t>& indices) {
  std::vector<Value> parts;
  for (size_t k = 0; k < indices.size();) {
    size_t end = k + 1;
    const int64_t step = end < indices.size() ? std::max<int64_t>(1, indices[end] - indices[k]) : 1;
    while (end < indices.size() && indices[end] - indices[end - 1] == step) ++end;
    // A step that holds for two elements alone is rather two slices of neighbours.
    if (end - k == 2 && step != 1) end = k + 1;
    const int64_t count = static_cast<int64_t>(end - k);
    parts.push_back(slice(cx, x, axis, indices[k], count, count > 1 ? step : 1));
    if (parts.size() > most_slices) cx.fail("its indices jump too often");
    k = end;
  }
  return joined(cx, parts, axis);
}

}  // namespace

Value reversed(NodeImport& cx, Value x, int64_t axis) {
  std::vector<int64_t> indices;
  for (int64_t k = x.type().shape[static_cast<size_t>(axis)].factor; k-- > 0 && indices.size() <= most_slices;) indices.push_back(k);
  return taken(cx, x, axis, indices);
}

namespace {

void import_slice(NodeImport& cx) {
  Imported& x = cx.operand(0);
  for (size_t k = 1; k < 5; ++k)
    if (cx.has(k)) cx.known(k, "a range of it");
  Value value = cx.importer.in_order(x, x.order);
  for (const SliceRange& range : slice_ranges(cx.node, x.shape, cx.known(1), cx.known(2), cx.known(3), cx.known(4))) {
    const int64_t axis = place_of(range.axis, x.order);
    if (range.count == 0) cx.fail("its result is empty");
    if (range.step > 0) {
      value = slice(cx, value, axis, range.begin, range.count, range.step);
    } else {
      std::vector<int64_t> indices;
      for (int64_t k = 0; k < std::min<int64_t>(range.count, most_slices + 1); ++k) indices.push_back(range.begin + k * range.step);
      value = taken(cx, value, axis, indices);
    }
  }
  cx.give(value, x.order);
}

void import_concat(NodeImport& cx) {
  const size_t count = cx.node.inputs.size();
  if (count == 0) cx.fail("it has no operands");
  const int64_t axis = axis_of(cx.node, cx.integer("axis", 1), cx.rank(0));
  IntList order = cx.operand(0).order;
  for (size_t k = 0; k < count; ++k) {
    if (cx.rank(k) != cx.rank(0)) cx.fail("its operands have different ranks");
    if (!cx.operand(k).known && order == identity_order(cx.rank(0))) order = cx.operand(k).order;
  }
  std::vector<Value> parts;
  for (size_t k = 0; k < count; ++k) parts.push_back(cx.importer.in_order(cx.operand(k), order));
  cx.give(joined(cx, parts, place_of(axis, order)), order);
}

void import_split(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t axis = axis_of(cx.node, cx.integer("axis", 0), x.rank()), extent = cx.fixed(0, axis, "the dimension that it splits");
  const int64_t parts = static_cast<int64_t>(cx.node.outputs.size());
  IntList sizes = cx.integers("split", 1).value_or(IntList{});
  if (sizes.empty()) {   // parts of equal size, the last one smaller where they do not divide it
    if (cx.count("num_outputs", parts) != parts) cx.fail(fmt::format("it has {} results", parts));
    for (int64_t k = 0; k < parts; ++k) sizes.push_back(std::min((extent - 1) / parts + 1, extent - k * ((extent - 1) / parts + 1)));
  }
  if (static_cast<int64_t>(sizes.size()) != parts) cx.fail(fmt::format("it has {} sizes for {} results", sizes.size(), parts));
  const Value value = cx.importer.in_order(x, x.order);
  int64_t begin = 0;
  for (size_t k = 0; k < sizes.size(); begin += sizes[k++]) {
    if (sizes[k] < 1 || sizes[k] > extent - begin) cx.fail(fmt::format("its sizes do not divide {} elements", extent));
    if (cx.wants(k)) cx.give(slice(cx, value, place_of(axis, x.order), begin, sizes[k]), x.order, k);
  }
  if (begin != extent) cx.fail(fmt::format("its sizes add up to {} of {} elements", begin, extent));
}

// --- padding ----------------------------------------------------------------

struct Padding {
  int64_t low = 0, high = 0;
};

// Which element each place of the padded axis shows.
int64_t mirrored(const std::string& mode, int64_t place, int64_t extent) {
  if (mode == "edge") return std::clamp<int64_t>(place, 0, extent - 1);
  if (mode == "wrap") return ((place % extent) + extent) % extent;
  if (extent == 1) return 0;
  const int64_t period = 2 * (extent - 1), at = ((place % period) + period) % period;
  return at < extent ? at : period - at;
}

std::vector<Padding> paddings(const NodeImport& cx) {
  const size_t rank = static_cast<size_t>(cx.rank(0));
  const auto pads = cx.integers(cx.opset == 1 ? "paddings" : "pads", 1);
  if (!pads) cx.fail("it has no pads");
  IntList axes = identity_order(cx.rank(0));
  if (cx.has(3)) {
    axes = integers_of(cx.node, "axes", &cx.known(3, "its axes")).value_or(axes);
    for (int64_t& axis : axes) axis = axis_of(cx.node, axis, cx.rank(0));
  }
  if (pads->size() != 2 * axes.size()) cx.fail(fmt::format("it has {} pads for {} axes", pads->size(), axes.size()));
  for (const int64_t pad : *pads)
    if (std::abs(pad) >= largest_count) cx.fail(fmt::format("it pads by {}", pad));
  std::vector<Padding> result(rank);
  for (size_t k = 0; k < axes.size(); ++k) result[static_cast<size_t>(axes[k])] = {(*pads)[k], (*pads)[axes.size() + k]};
  return result;
}

void import_pad(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const std::string mode = cx.text("mode", "constant");
  constexpr std::string_view known_modes[] = {"constant", "edge", "reflect", "wrap"};
  if (std::ranges::find(known_modes, mode) == std::end(known_modes)) cx.fail(fmt::format("its `mode` is {}", onnx_quoted(mode)));
  const double number = cx.has(2) ? cx.known_number(2, "what it pads with") : cx.number("value", 0);
  Value value = cx.importer.in_order(x, x.order);
  IntList low(x.shape.size(), 0), high(x.shape.size(), 0);
  const std::vector<Padding> all = paddings(cx);
  for (int64_t axis = 0; axis < x.rank(); ++axis) {
    const Padding& padding = all[static_cast<size_t>(axis)];
    if (padding.low == 0 && padding.high == 0) continue;
    const int64_t extent = cx.fixed(0, axis, "the dimension that it pads"), place = place_of(axis, x.order);
    if (mode != "constant") {
      std::vector<int64_t> indices;
      if (extent > largest_count || extent + padding.low + padding.high > static_cast<int64_t>(most_slices) * 64)
        cx.fail("it pads too much");
      for (int64_t k = -padding.low; k < extent + padding.high; ++k) indices.push_back(mirrored(mode, k, extent));
      value = taken(cx, value, place, indices);
      continue;
    }
    low[static_cast<size_t>(place)] = std::max<int64_t>(0, padding.low);
    high[static_cast<size_t>(place)] = std::max<int64_t>(0, padding.high);
    const int64_t begin = std::max<int64_t>(0, -padding.low), end = extent - std::max<int64_t>(0, -padding.high);
    if (begin >= end) cx.fail("it leaves nothing of a dimension");
    value = slice(cx, value, place, begin, end - begin);
  }
  const auto is_zero = [](int64_t each) { return each == 0; };
  const bool padded = !std::all_of(low.begin(), low.end(), is_zero) || !std::all_of(high.begin(), high.end(), is_zero);
  if (padded) value = cx.build.value("pad", {value}, {{"low", low}, {"high", high}, {"value", number}});
  cx.give(value, x.order);
}

// --- repeats ----------------------------------------------------------------

void import_tile(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const IntList repeats = *integers_of(cx.node, "repeats", &cx.known(1, "its repeats"));
  if (static_cast<int64_t>(repeats.size()) != x.rank()) cx.fail("it has other repeats than dimensions");
  Shape apart, repeated, result;   // [1, d] becomes [r, d], then [r*d]
  for (size_t k = 0; k < repeats.size(); ++k) {
    if (repeats[k] < 1) cx.fail(fmt::format("it repeats {} times", repeats[k]));
    if (repeats[k] > 1) apart.push_back({}), repeated.push_back({repeats[k], false});
    apart.push_back(x.shape[k]);
    repeated.push_back(x.shape[k]);
    result.push_back(times(cx.node, x.shape[k], repeats[k]));
  }
  if (repeated == apart) return cx.give(cx.importer.in_order(x, x.order), x.order);
  const Value value = cx.importer.reshape(cx.importer.canonical(x), apart);
  cx.give(cx.importer.reshape(cx.build.value("broadcast_to", {value}, {{"shape", repeated}}), result));
}

// Elements of known places; or rows of a known table, chosen by class numbers that the network is given.
void import_gather(NodeImport& cx) {
  Imported &x = cx.operand(0), &which = cx.operand(1);
  const int64_t axis = axis_of(cx.node, cx.integer("axis", 0), x.rank());
  if (!which.known && x.known && axis == 0 && x.rank() == 2) {
    const Value table = cx.importer.parameter(x, {0, 1}, {.stem = "table", .initializer = "normal"});
    const Value rows = cx.build.value("one_hot", {cx.importer.canonical(which)}, {{"classes", x.shape[0].factor}});
    return cx.give(cx.build.value("dense", {rows, table, {}}, {}));
  }
  const Known& places = cx.known(1, "its indices");
  const int64_t extent = cx.fixed(0, axis, "the dimension that it takes from"), place = place_of(axis, x.order);
  std::vector<int64_t> indices;
  for (const double index : places.numbers) {
    indices.push_back(integer_of(cx.node, index) + (index < 0 ? extent : 0));
    if (indices.back() < 0 || indices.back() >= extent) cx.fail(fmt::format("index {} is outside of {} elements", index, extent));
  }
  if (indices.empty()) cx.fail("it takes no elements");
  Imported among = *cx.importer.imported(taken(cx, cx.importer.in_order(x, x.order), place, indices), x.order);
  Shape shape(x.shape.begin(), x.shape.begin() + axis);
  for (const int64_t dim : places.dims) shape.push_back({dim, false});
  shape.insert(shape.end(), x.shape.begin() + axis + 1, x.shape.end());
  cx.give_reshaped(among, shape);
}

// --- blocks of pixels as channels -------------------------------------------

void import_depth_to_space(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t block = cx.count("blocksize", 0);
  if (x.rank() != 4 || cx.fixed(0, 1, "the number of channels") % (block * block) != 0)
    cx.fail(fmt::format("{} does not go with blocks of {}", show(x.shape), block));
  const Dim b{block, false}, channels{x.shape[1].factor / (block * block), false};
  const bool channels_first = cx.text("mode", "DCR") == "CRD";
  const Shape& shape = x.shape;
  const Shape apart = channels_first ? Shape{shape[0], shape[2], shape[3], channels, b, b}
                                     : Shape{shape[0], shape[2], shape[3], b, b, channels};
  const IntList order = channels_first ? IntList{0, 1, 4, 2, 5, 3} : IntList{0, 1, 3, 2, 4, 5};
  const Value value = cx.importer.transpose(cx.importer.reshape(cx.importer.channels_last(x), apart), order);
  cx.give(cx.importer.reshape(value, {shape[0], times(cx.node, shape[2], block), times(cx.node, shape[3], block), channels}),
          channels_last_order(4));
}

void import_space_to_depth(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t block = cx.count("blocksize", 0);
  if (x.rank() != 4 || cx.fixed(0, 2, "the height") % block != 0 || cx.fixed(0, 3, "the width") % block != 0)
    cx.fail(fmt::format("{} does not go with blocks of {}", show(x.shape), block));
  const Dim b{block, false}, height{x.shape[2].factor / block, false}, width{x.shape[3].factor / block, false};
  const Value apart = cx.importer.reshape(cx.importer.channels_last(x), {x.shape[0], height, b, width, b, x.shape[1]});
  const IntList order = cx.text("mode", "DCR") == "CRD" ? IntList{0, 1, 3, 5, 2, 4} : IntList{0, 1, 3, 2, 4, 5};
  const Value value = cx.importer.transpose(apart, order);
  cx.give(cx.importer.reshape(value, {x.shape[0], height, width, times(cx.node, x.shape[1], block * block)}), channels_last_order(4));
}

}  // namespace

const std::vector<OpRule>& movement_rules() {
  static const std::vector<OpRule> rules = {{"Concat", import_concat},
                                            {"DepthToSpace", import_depth_to_space},
                                            {"Gather", import_gather},
                                            {"Pad", import_pad},
                                            {"Slice", import_slice},
                                            {"SpaceToDepth", import_space_to_depth},
                                            {"Split", import_split},
                                            {"Tile", import_tile}};
  return rules;
}

}  // namespace bnc::onnx
