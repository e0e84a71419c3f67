// Shapes: what moves elements and computes none, and images of another size.
#include <algorithm>

#include "frontend/onnx/exporter.h"
#include "ir/ops/common.h"

namespace bnc {

namespace {

// --- reshape ------------------------------------------------------------------------------------------------------

// An image whose pixels and channels become the columns of a matrix, one row an example.
bool merges_image(const Shape& from, const Shape& to) {
  if (from.size() < 3 || to.size() != 2 || from[0] != to[0]) return false;
  return std::none_of(from.begin() + 1, from.end(), [](const Dim& dim) { return dim.batch; });
}

// Only pixels are divided otherwise; examples and channels stay.
bool keeps_channels(const Shape& from, const Shape& to) {
  return from.size() >= 3 && to.size() >= 3 && from.front() == to.front() && from.back() == to.back();
}

void convert_reshape(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const Shape &from = x.type().shape, &to = node.results[0].type.shape;
  const int rank = x.type().rank();
  if (out.is_in_logical_order(x)) return out.set(node.result(), out.reshape(out.in_logical_order(x), to));
  const bool first = out.order_of(x) == channels_first(rank);
  if (first && merges_image(from, to) && out.takes_image_columns(node.result())) {
    const std::string columns = out.emit("Flatten", {out.tensor(x, channels_first(rank))}, {{"axis", int64_t{1}}});
    return out.set(node.result(), columns, {}, concrete(Shape(from.begin() + 1, from.end()), 1));
  }
  if (first && keeps_channels(from, to)) {
    const AxisOrder order = channels_first(static_cast<int>(to.size()));
    Shape stored;
    for (const int axis : order) stored.push_back(to[static_cast<size_t>(axis)]);
    return out.set(node.result(), out.reshape(out.tensor(x, channels_first(rank)), stored), order);
  }
  out.set(node.result(), out.reshape(out.tensor(x), to));
}

void convert_broadcast_to(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const Shape& shape = node.results[0].type.shape;
  const int rank = node.results[0].type.rank();
  const AxisOrder order = x.type().rank() == rank ? out.order_of(x) : logical_order(rank);
  Shape stored;
  for (const int axis : order) stored.push_back(shape[static_cast<size_t>(axis)]);
  const std::string name = x.type().rank() == rank ? out.tensor(x, order) : out.tensor(x);
  out.set(node.result(), out.emit("Expand", {name, out.shape(stored)}), order);
}

// Nothing moves yet: who reads the result asks for the order it needs.
void convert_transpose(OnnxExporter& out, Node& node) {
  const IntList& given = node.attribute("permutation").integers();
  AxisOrder permutation(given.begin(), given.end());
  const int rank = node.results[0].type.rank();
  if (permutation.empty())
    for (int axis = rank; axis-- > 0;) permutation.push_back(axis);
  for (int& axis : permutation)
    if (axis < 0) axis += rank;
  out.alias(node.result(), node.operands[0], permutation);
}

void convert_slice(OnnxExporter& out, Node& node) {
  const AxisOrder order = out.order_of(node.operands[0]);
  const int axis = stored_axis(order, ops::axis_of(node));
  out.set(node.result(),
          out.slice(out.tensor(node.operands[0], order), axis, node.attribute("begin").integer(), node.attribute("end").integer(),
                    node.attribute("step").integer()),
          order);
}

void convert_concat(OnnxExporter& out, Node& node) {
  AxisOrder order = logical_order(node.results[0].type.rank());
  for (const Value& operand : node.operands)
    if (std::is_sorted(order.begin(), order.end())) order = out.order_of(operand);
  std::vector<std::string> names;
  for (const Value& operand : node.operands) names.push_back(out.tensor(operand, order));
  out.set(node.result(), out.emit("Concat", names, {{"axis", int64_t{stored_axis(order, ops::axis_of(node))}}}), order);
}

void convert_pad(OnnxExporter& out, Node& node) {
  const AxisOrder order = out.order_of(node.operands[0]);
  OnnxNumbers low, high;
  for (const int axis : order) {
    low.push_back(node.attribute("low").integers()[static_cast<size_t>(axis)]);
    high.push_back(node.attribute("high").integers()[static_cast<size_t>(axis)]);
  }
  const double value = node.attribute("value").number();
  const std::string x = out.tensor(node.operands[0], order), padded = out.pad(x, low, high, value == 0 ? "" : out.scalar(value));
  out.set(node.result(), padded == x ? out.emit("Identity", {x}) : padded, order);
}

// --- images of another size ---------------------------------------------------------------------------------------

// Along one axis: which element each sample takes, or the weights of its two neighbours.
struct Sampling {
  int64_t in, out;
  bool linear, align_corners;

  OnnxNumbers nearest() const {
    OnnxNumbers elements;
    for (int64_t i = 0; i < out; ++i) elements.push_back((2 * i + 1) * in / (2 * out));
    return elements;
  }
  // A matrix [in, out].
  OnnxConstants weights() const {
    OnnxConstants matrix(static_cast<size_t>(in * out), 0);
    const OnnxNumbers elements = nearest();
    for (int64_t i = 0; i < out; ++i) {
      const auto add = [&](int64_t element, double weight) { matrix[static_cast<size_t>(element * out + i)] += weight; };
      const double last = static_cast<double>(in - 1), step = static_cast<double>(i);
      double place = static_cast<double>(elements[static_cast<size_t>(i)]);
      if (linear && align_corners) place = out > 1 ? step * last / static_cast<double>(out - 1) : 0;
      else if (linear) place = (step + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
      place = std::clamp(place, 0.0, last);
      const int64_t element = static_cast<int64_t>(place);
      const double fraction = place - static_cast<double>(element);
      add(element, 1 - fraction);
      if (fraction > 0) add(element + 1, fraction);
    }
    return matrix;
  }
};

Sampling sampling_of(const Node& node, int64_t in, int64_t out) {
  return {in, out, node.attribute("mode").symbol().name == "bilinear", node.attribute("align_corners").boolean()};
}

// Of an image with channels first, axis by axis: elements by name, or a product with the matrix of their weights.
std::string resized_by_axis(OnnxExporter& out, std::string image, const Node& node) {
  const Shape &from = node.operands[0].type().shape, &to = node.results[0].type.shape;
  const int rank = node.operands[0].type().rank(), last = rank - 1;
  for (int axis = 2; axis < rank; ++axis) {
    const auto k = static_cast<size_t>(axis) - 1;
    if (from[k] == to[k]) continue;
    const Sampling along = sampling_of(node, from[k].factor, to[k].factor);
    if (!along.linear) {
      image = out.emit("Gather", {image, out.numbers(along.nearest())}, {{"axis", int64_t{axis}}});
      continue;
    }
    AxisOrder exchange = logical_order(rank);
    std::swap(exchange[static_cast<size_t>(axis)], exchange[static_cast<size_t>(last)]);
    const std::string line = axis == last ? image : out.transpose(image, exchange);
    image = out.emit("MatMul", {line, out.floats(along.weights(), {along.in, along.out})});
    if (axis != last) image = out.transpose(image, exchange);
  }
  return image;
}

void convert_resize(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const int rank = x.type().rank();
  const AxisOrder order = channels_first(rank);
  const Shape &from = x.type().shape, &to = node.results[0].type.shape;
  const std::string image = out.tensor(x, order);
  if (from == to) return out.set(node.result(), out.emit("Identity", {image}), order);
  const Sampling sampling = sampling_of(node, 1, 1);
  bool whole = true;   // each element becomes as many
  for (size_t k = 1; k + 1 < from.size(); ++k) whole &= to[k].factor % from[k].factor == 0;
  // Runtimes round places differently where a nearest one has to be found, and interpolate in images of one or two axes only.
  const bool is_resize = sampling.linear ? rank == 4 : whole;
  if (!is_resize) return out.set(node.result(), resized_by_axis(out, image, node), order);
  Shape size;
  for (const int axis : order) size.push_back(to[static_cast<size_t>(axis)]);
  const std::string places = !sampling.linear ? "asymmetric" : sampling.align_corners ? "align_corners" : "half_pixel";
  OnnxAttributes attributes = {{"mode", std::string(sampling.linear ? "linear" : "nearest")}, {"coordinate_transformation_mode", places}};
  if (!sampling.linear) attributes["nearest_mode"] = std::string("floor");
  out.set(node.result(), out.emit("Resize", {image, "", "", out.shape(size)}, attributes), order);
}

void convert_interpolate(OnnxExporter& out, Node& node) {
  const Value x = node.operands[0];
  const int axis = ops::axis_of(node);
  const auto extent = [&](const TensorType& type) { return type.shape[static_cast<size_t>(axis)].factor; };
  const Sampling sampling = sampling_of(node, extent(x.type()), extent(node.results[0].type));
  const AxisOrder order = sampling.linear ? axes_last(x.type().rank(), {axis}) : out.order_of(x);
  const std::string line = out.tensor(x, order);
  if (sampling.linear)
    return out.set(node.result(), out.emit("MatMul", {line, out.floats(sampling.weights(), {sampling.in, sampling.out})}), order);
  const std::string elements = out.numbers(sampling.nearest());
  out.set(node.result(), out.emit("Gather", {line, elements}, {{"axis", int64_t{stored_axis(order, axis)}}}), order);
}

void convert_interpolate_gradient(OnnxExporter& out, Node& node) {
  const Value dy = node.operands[0];
  const int axis = ops::axis_of(node);
  const auto extent = [&](const TensorType& type) { return type.shape[static_cast<size_t>(axis)].factor; };
  const Sampling sampling = sampling_of(node, extent(node.results[0].type), extent(dy.type()));
  const AxisOrder order = axes_last(dy.type().rank(), {axis});
  const OnnxConstants weights = sampling.weights();
  OnnxConstants transposed;
  for (int64_t sample = 0; sample < sampling.out; ++sample)
    for (int64_t element = 0; element < sampling.in; ++element)
      transposed.push_back(weights[static_cast<size_t>(element * sampling.out + sample)]);
  out.set(node.result(), out.emit("MatMul", {out.tensor(dy, order), out.floats(transposed, {sampling.out, sampling.in})}), order);
}

// Zeros between the elements: each becomes the first of `step`, of which those behind the last element go.
void convert_slice_gradient(OnnxExporter& out, Node& node) {
  const int rank = node.operands[0].type().rank(), axis = ops::axis_of(node);
  const int64_t step = node.attribute("step").integer(), begin = node.attribute("begin").integer(),
                extent = node.attribute("extent").integer();
  const AxisOrder order = out.order_of(node.operands[0]);
  const int place = stored_axis(order, axis);
  std::string spread = out.tensor(node.operands[0], order);
  Shape shape;
  for (const int stored : order) shape.push_back(node.operands[0].type().shape[static_cast<size_t>(stored)]);
  int64_t count = shape[static_cast<size_t>(place)].factor;
  if (step > 1) {
    Shape split = shape;
    split.insert(split.begin() + place + 1, Dim{1});
    OnnxNumbers none(static_cast<size_t>(rank) + 1, 0), behind = none;
    behind[static_cast<size_t>(place) + 1] = step - 1;
    shape[static_cast<size_t>(place)].factor = count * step;
    spread = out.reshape(out.pad(out.reshape(spread, split), none, behind), shape);
    count = (count - 1) * step + 1;
    spread = out.slice(spread, place, 0, count);
  }
  OnnxNumbers low(static_cast<size_t>(rank), 0), high = low;
  low[static_cast<size_t>(place)] = begin;
  high[static_cast<size_t>(place)] = extent - begin - count;
  const std::string padded = out.pad(spread, low, high);
  out.set(node.result(), padded == spread && step == 1 ? out.emit("Identity", {spread}) : padded, order);
}

// ONNX's OneHot counts negative labels from the end; here they are none.
void convert_one_hot(OnnxExporter& out, Node& node) {
  const Value labels = node.operands[0];
  std::vector<int32_t> classes(static_cast<size_t>(node.attribute("classes").integer()));
  for (size_t k = 0; k < classes.size(); ++k) classes[k] = static_cast<int32_t>(k);
  const std::string rows = out.emit("Unsqueeze", {out.tensor(labels), out.numbers({-1})});
  const std::string equal = out.emit("Equal", {rows, out.integers(classes, {static_cast<int64_t>(classes.size())})});
  out.set(node.result(), out.emit("Cast", {equal}, {{"to", static_cast<int64_t>(OnnxType::f32)}}));
}

}  // namespace

const OnnxConverters& shape_converters() {
  static const OnnxConverters converters = {
      {"reshape", convert_reshape},
      {"flatten", convert_reshape},
      {"broadcast_to", convert_broadcast_to},
      {"transpose", convert_transpose},
      {"slice", convert_slice},
      {"concat", convert_concat},
      {"pad", convert_pad},
      {"resize", convert_resize},
      {"interpolate", convert_interpolate},
      {"interpolate_gradient", convert_interpolate_gradient},
      {"slice_gradient", convert_slice_gradient},
      {"one_hot", convert_one_hot},
  };
  return converters;
}

}  // namespace bnc
