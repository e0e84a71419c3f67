// Resize and Upsample: sampling at places that ONNX defines by the way coordinates are transformed.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "frontend/onnx/import/node_import.h"
#include "frontend/onnx/onnx_check.h"

namespace bnc::onnx {

namespace {

// One axis: `out` samples of `in` elements.
struct Sampling {
  int64_t in = 1, out = 1;
  double scale = 1;
  // Before opset 11 the nearest element was the one before, or the one behind where there are fewer samples than elements: `simple`.
  std::string transformation = "half_pixel", nearest = "round_prefer_floor";
  double cubic = -0.75;
  bool exclude_outside = false;

  double place(int64_t sample) const {
    // With a scale the size is a fraction, which is rounded down for the number of samples alone.
    const double x = static_cast<double>(sample), size = scale * static_cast<double>(in);
    if (transformation == "asymmetric") return x / scale;
    if (transformation == "align_corners") return size > 1 ? x * static_cast<double>(in - 1) / (size - 1) : 0;
    if (transformation == "pytorch_half_pixel") return out > 1 ? (x + 0.5) / scale - 0.5 : 0;
    if (transformation == "half_pixel_symmetric") {
      const double middle = static_cast<double>(in) / 2;
      return middle * (1 - static_cast<double>(out) / size) + (x + 0.5) / scale - 0.5;
    }
    if (transformation == "tf_half_pixel_for_nn") return (x + 0.5) / scale;
    return (x + 0.5) / scale - 0.5;   // half_pixel
  }

  int64_t nearest_to(int64_t sample) const {
    const double x = place(sample);
    double at = std::floor(x);
    if (nearest == "ceil" || (nearest == "simple" && scale < 1)) at = std::ceil(x);
    if (nearest == "round_prefer_floor") at = std::ceil(x - 0.5);
    if (nearest == "round_prefer_ceil") at = std::floor(x + 0.5);
    return std::clamp<int64_t>(static_cast<int64_t>(at), 0, in - 1);
  }

  // What each element weighs in a sample.
  std::vector<double> weights(int64_t sample, bool by_cubes) const {
    std::vector<double> result(static_cast<size_t>(in), 0);
    const double x = by_cubes ? place(sample) : std::clamp(place(sample), 0.0, static_cast<double>(in - 1));
    const int64_t first = static_cast<int64_t>(std::floor(x)) - (by_cubes ? 1 : 0);
    double total = 0;
    for (int64_t k = first; k < first + (by_cubes ? 4 : 2); ++k) {
      const double weight = by_cubes ? cube(std::abs(x - static_cast<double>(k))) : std::max(0.0, 1 - std::abs(x - static_cast<double>(k)));
      if (exclude_outside && by_cubes && (k < 0 || k >= in)) continue;
      total += weight;
      result[static_cast<size_t>(std::clamp<int64_t>(k, 0, in - 1))] += weight;
    }
    if (exclude_outside && by_cubes)
      for (double& weight : result) weight /= total;
    return result;
  }

  // Keys, "Cubic convolution interpolation for digital image processing", 1981.
  double cube(double distance) const {
    const double a = cubic, d = distance;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
  }
};

constexpr double largest_axis = 0x1p20;   // elements along an axis, and samples of it

// Sizes and scales of every axis.
struct Extents {
  std::vector<int64_t> out;
  std::vector<double> scales;
};

IntList resized_axes(const NodeImport& cx) {
  const auto* axes = cx.node.find<std::vector<int64_t>>("axes");
  if (!axes) return identity_order(cx.rank(0));
  axes_of(cx.node, *axes, cx.rank(0));   // each is named once
  IntList result = *axes;
  for (int64_t& axis : result) axis = axis_of(cx.node, axis, cx.rank(0));
  return result;
}

// A size for all axes, keeping the proportions of the image.
void keep_proportions(const NodeImport& cx, const IntList& axes, Extents& extents) {
  const std::string policy = cx.text("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") return;
  if (policy != "not_larger" && policy != "not_smaller") cx.fail(fmt::format("its proportions are kept by `{}`", policy));
  double scale = extents.scales[static_cast<size_t>(axes.front())];
  for (const int64_t axis : axes)
    scale = policy == "not_larger" ? std::min(scale, extents.scales[static_cast<size_t>(axis)])
                                   : std::max(scale, extents.scales[static_cast<size_t>(axis)]);
  for (const int64_t axis : axes) {
    extents.scales[static_cast<size_t>(axis)] = scale;
    extents.out[static_cast<size_t>(axis)] =
        static_cast<int64_t>(std::floor(scale * static_cast<double>(cx.shape(0)[static_cast<size_t>(axis)].factor) + 0.5));
  }
}

Extents extents_of(const NodeImport& cx, const Known* scales, const Known* sizes, const IntList& axes) {
  const Shape& shape = cx.shape(0);
  Extents extents{concrete(shape, 1), std::vector<double>(shape.size(), 1)};
  const Known* given = sizes ? sizes : scales;
  if (!given || given->numbers.size() != axes.size()) cx.fail("it has neither a scale nor a size for each axis");
  for (size_t k = 0; k < axes.size(); ++k) {
    const size_t axis = static_cast<size_t>(axes[k]);
    const double number = given->numbers[k], in = static_cast<double>(shape[axis].factor);
    const bool kept = sizes ? given->is_batch(k) == shape[axis].batch && number == in : number == 1;
    if (shape[axis].batch && !kept && !(sizes && cx.importer.frozen_batch)) cx.fail("it resizes the batch");
    if (shape[axis].batch || kept) continue;
    if (!(number > 0) || in > largest_axis || number > largest_axis || (!sizes && number * in > largest_axis))
      cx.fail(fmt::format("it resizes {} elements along an axis by {}", in, number));
    extents.out[axis] = static_cast<int64_t>(sizes ? number : std::floor(number * in));
    extents.scales[axis] = sizes ? number / in : number;
  }
  if (sizes) keep_proportions(cx, axes, extents);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (extents.out[axis] < 1) cx.fail("nothing is left of an axis");
    if (shape[axis].batch && extents.scales[axis] != 1) cx.fail("it resizes the batch");
  }
  return extents;
}

// Samples that bnc's own `interpolate` takes at the same places.
std::optional<AttributeMap> as_interpolate(const Sampling& sampling, const std::string& mode) {
  const AttributeMap size{{"size", sampling.out}};
  const double in = static_cast<double>(sampling.in), out = static_cast<double>(sampling.out);
  if (mode == "nearest") {
    for (int64_t k = 0; k < sampling.out; ++k)
      if (sampling.nearest_to(k) != (2 * k + 1) * sampling.in / (2 * sampling.out)) return std::nullopt;
    return size;
  }
  if (mode != "linear") return std::nullopt;
  AttributeMap linear = size;
  linear["mode"] = "bilinear";
  if (sampling.transformation == "align_corners" && sampling.out > 1 && sampling.scale * in == out) {
    linear["align_corners"] = true;
    return linear;
  }
  const bool pixels = sampling.transformation == "half_pixel" || (sampling.transformation == "pytorch_half_pixel" && sampling.out > 1);
  return pixels && sampling.scale == out / in ? std::optional(linear) : std::nullopt;
}

// Samples as a product with a known matrix [in, out].
Value by_matrix(NodeImport& cx, Value x, int64_t axis, const Sampling& sampling, const std::string& mode) {
  const int64_t rank = x.type().rank();
  if (sampling.in * sampling.out > (int64_t{1} << 24)) cx.fail("it samples too large an axis at places that bnc has no op for");
  cx.importer.charge(sampling.in * sampling.out);
  std::vector<float> matrix(static_cast<size_t>(sampling.in * sampling.out), 0);
  for (int64_t k = 0; k < sampling.out; ++k) {
    std::vector<double> weights(static_cast<size_t>(sampling.in), 0);
    if (mode == "nearest") weights[static_cast<size_t>(sampling.nearest_to(k))] = 1;
    else weights = sampling.weights(k, mode == "cubic");
    for (int64_t i = 0; i < sampling.in; ++i)
      matrix[static_cast<size_t>(i * sampling.out + k)] = static_cast<float>(weights[static_cast<size_t>(i)]);
  }
  const Value samples = cx.importer.parameter({sampling.in, sampling.out}, std::move(matrix), {.stem = "samples", .trainable = false});
  IntList order = identity_order(rank);
  std::rotate(order.begin() + axis, order.begin() + axis + 1, order.end());
  const Value y = cx.build.value("dense", {cx.importer.transpose(x, order), samples, {}}, {});
  return cx.importer.reorder(y, order, identity_order(rank));
}

void give_resized(NodeImport& cx, const Extents& extents, Sampling sampling, const std::string& mode) {
  Imported& x = cx.operand(0);
  Value value = cx.importer.in_order(x, x.order);
  // Where both axes of an image are sampled alike, it is one layer.
  std::vector<std::pair<int64_t, AttributeMap>> steps;
  std::vector<Sampling> samplings;
  bool simple = true;
  for (int64_t axis = 0; axis < x.rank(); ++axis) {
    const Dim& dim = x.shape[static_cast<size_t>(axis)];
    sampling.in = dim.factor;
    sampling.out = extents.out[static_cast<size_t>(axis)];
    sampling.scale = extents.scales[static_cast<size_t>(axis)];
    if (dim.batch || (sampling.in == sampling.out && sampling.scale == 1)) continue;
    const double cut_off = sampling.scale * static_cast<double>(sampling.in) - static_cast<double>(sampling.out);
    if (sampling.transformation == "align_corners" && std::abs(cut_off) > 1e-6)
      cx.importer.note("a resize with aligned corners makes a fraction of an element; its places follow ONNX's specification, while"
                       " onnxruntime rounds the size first");
    const auto attributes = as_interpolate(sampling, mode);
    simple &= attributes.has_value() && axis >= 2;
    steps.emplace_back(place_of(axis, x.order), attributes.value_or(AttributeMap{}));
    samplings.push_back(sampling);
  }
  if (simple && !steps.empty() && x.rank() > 2 && static_cast<int64_t>(steps.size()) == x.rank() - 2) {
    AttributeMap attributes = steps[0].second;
    attributes["size"] = IntList(extents.out.begin() + 2, extents.out.end());
    return cx.give(cx.build.value("resize", {cx.importer.channels_last(x)}, attributes), channels_last_order(x.rank()));
  }
  for (size_t k = 0; k < steps.size(); ++k) {
    AttributeMap& attributes = steps[k].second;
    if (attributes.empty()) {
      value = by_matrix(cx, value, steps[k].first, samplings[k], mode);
    } else {
      attributes["axis"] = steps[k].first;
      value = cx.build.value("interpolate", {value}, attributes);
    }
  }
  cx.give(value, x.order);
}

void check_one_of(const NodeImport& cx, const char* attribute, const std::string& given, std::initializer_list<std::string_view> known) {
  if (std::ranges::find(known, given) == known.end()) cx.fail(fmt::format("attribute `{}` is {}", attribute, onnx_quoted(given)));
}

std::string mode_of(const NodeImport& cx) {
  const std::string mode = cx.text("mode", "nearest");
  check_one_of(cx, "mode", mode, {"nearest", "linear", "cubic", "bilinear"});
  return mode == "bilinear" ? "linear" : mode;   // its name in Upsample before opset 9
}

void import_resize(NodeImport& cx) {
  const std::string mode = mode_of(cx);
  Sampling sampling;
  if (cx.opset < 11) {   // scales are the second operand, coordinates are those of Upsample
    sampling.transformation = "asymmetric";
    sampling.nearest = "simple";
    return give_resized(cx, extents_of(cx, &cx.known(1, "its scales"), nullptr, identity_order(cx.rank(0))), sampling, mode);
  }
  sampling.transformation = cx.text("coordinate_transformation_mode", "half_pixel");
  sampling.nearest = cx.text("nearest_mode", "round_prefer_floor");
  sampling.cubic = cx.number("cubic_coeff_a", -0.75);
  sampling.exclude_outside = cx.integer("exclude_outside", 0) != 0;
  check_one_of(cx, "coordinate_transformation_mode", sampling.transformation,
               {"asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel_for_nn", "half_pixel"});
  check_one_of(cx, "nearest_mode", sampling.nearest, {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"});
  const Known *scales = cx.known(2), *sizes = cx.known(3);
  if (cx.has(3) && !sizes) cx.known(3, "its sizes");
  if (cx.has(2) && !scales && !sizes) cx.known(2, "its scales");
  if (sizes && sizes->numbers.empty()) sizes = nullptr;
  const Extents extents = extents_of(cx, scales, sizes, resized_axes(cx));
  const bool smaller = std::any_of(extents.scales.begin(), extents.scales.end(), [](double scale) { return scale < 1; });
  if (cx.integer("antialias", 0) != 0 && smaller) cx.fail("it filters what it makes smaller (`antialias`)");
  give_resized(cx, extents, sampling, mode);
}

void import_upsample(NodeImport& cx) {
  Known attribute;
  const Known* scales = cx.known(1);
  if (const auto* given = cx.node.find<std::vector<float>>("scales")) {
    attribute.numbers.assign(given->begin(), given->end());
    scales = &attribute;
  }
  if (!scales) cx.fail("its scales are not known when compiling");
  Sampling sampling;
  sampling.transformation = "asymmetric";
  sampling.nearest = "simple";
  give_resized(cx, extents_of(cx, scales, nullptr, identity_order(cx.rank(0))), sampling, mode_of(cx));
}

}  // namespace

const std::vector<OpRule>& resize_rules() {
  static const std::vector<OpRule> rules = {{"Resize", import_resize}, {"Upsample", import_upsample}};
  return rules;
}

}  // namespace bnc::onnx
