// Linear layers: products of matrices, convolutions of every kind, biases.
#include <algorithm>

#include "frontend/onnx/exporter.h"
#include "ir/ops/convolution_form.h"

namespace bnc {

namespace {

// The numbers of a convolution as ONNX has them, for images with one or two axes of pixels.
struct ConvolutionNode {
  OnnxNumbers kernel, strides, dilations, low, high;
  int64_t groups = 1;

  int axes() const { return static_cast<int>(kernel.size()); }
  OnnxAttributes attributes() const {
    OnnxNumbers pads = low;
    pads.insert(pads.end(), high.begin(), high.end());
    return {{"kernel_shape", kernel}, {"strides", strides}, {"dilations", dilations}, {"pads", pads}, {"group", groups}};
  }
};

// Of explicit attributes; a line is an image of height 1.
ConvolutionNode convolution_node(const AttributeMap& window, int64_t groups, const Shape& weight) {
  const int axes = static_cast<int>(weight.size()) - 2;
  ConvolutionNode node{.groups = groups};
  const IntList &stride = window.at("stride").integers(), &dilation = window.at("dilation").integers(),
                &padding = window.at("padding").integers();
  for (int axis = 0; axis < axes; ++axis) {
    const size_t k = static_cast<size_t>(2 - axes + axis);
    node.kernel.push_back(weight[static_cast<size_t>(axis)].factor);
    node.strides.push_back(stride[k]);
    node.dilations.push_back(dilation[k]);
    node.low.push_back(padding[2 * k]);
    node.high.push_back(padding[2 * k + 1]);
  }
  return node;
}

AttributeMap explicit_attributes(const Node& node, const Shape& image, const Shape& weight) {
  const int axes = static_cast<int>(weight.size()) - 2;
  const int64_t height = axes == 1 ? 1 : image[1].factor, kernel_height = axes == 1 ? 1 : weight[0].factor;
  const size_t last = static_cast<size_t>(axes) - 1;
  return ops::explicit_window(node.attributes, axes, height, image[last + 1].factor, kernel_height, weight[last].factor);
}

// Weights are [.., in, out] there and [out, in, ..] here.
AxisOrder weight_order(int axes) {
  AxisOrder order = {axes + 1, axes};
  for (int axis = 0; axis < axes; ++axis) order.push_back(axis);
  return order;
}

// The bias behind the node becomes part of it.
void set_with_bias(OnnxExporter& out, Node& node, const std::string& op, std::vector<std::string> inputs, OnnxAttributes attributes,
                   AxisOrder order) {
  Node* bias = inputs.size() == 2 ? out.bias_behind(node) : nullptr;   // it has none of its own
  if (bias) {
    inputs.push_back(out.leaf(bias->operands[1]));
    out.skip(bias);
  }
  out.set(bias ? bias->result() : node.result(), out.emit(op, inputs, std::move(attributes)), std::move(order));
}

void convert_convolution(OnnxExporter& out, Node& node, const ConvolutionNode& window, Value bias) {
  const AxisOrder order = channels_first(window.axes() + 2);
  std::vector<std::string> inputs = {out.tensor(node.operands[0], order), out.tensor(node.operands[1], weight_order(window.axes()))};
  if (bias) inputs.push_back(out.tensor(bias));
  set_with_bias(out, node, "Conv", std::move(inputs), window.attributes(), order);
}

void convert_convolution_layer(OnnxExporter& out, Node& node) {
  const Shape &image = node.operands[0].type().shape, &weight = node.operands[1].type().shape;
  const auto window = convolution_node(explicit_attributes(node, image, weight), node.attribute("groups").integer(), weight);
  convert_convolution(out, node, window, optional_operand(node, 2));
}

// A transposed convolution to an image of `size`. ONNX pads its result at the end by less than a stride; where an image is larger, zeros
// (or the bias, which then is added behind) follow.
void convert_transposed(OnnxExporter& out, Node& node, ConvolutionNode window, Value bias) {
  const AxisOrder order = channels_first(window.axes() + 2);
  const Shape &dy = node.operands[0].type().shape, &dx = node.results[0].type.shape;
  OnnxNumbers more, none(static_cast<size_t>(window.axes()) + 2, 0), behind = none;
  for (size_t k = 0; k < window.kernel.size(); ++k) {
    const int64_t all = (dy[k + 1].factor - 1) * window.strides[k] + (window.kernel[k] - 1) * window.dilations[k] + 1;
    const int64_t rest = all - window.low[k] - dx[k + 1].factor;   // to cut off at the end
    window.high[k] = std::max<int64_t>(rest, 0);
    const int64_t missing = std::max<int64_t>(-rest, 0);
    const bool pads = missing < std::max(window.strides[k], window.dilations[k]);
    more.push_back(pads ? missing : 0);
    behind[k + 2] = pads ? 0 : missing;
  }
  OnnxAttributes attributes = window.attributes();
  if (more != OnnxNumbers(more.size(), 0)) attributes["output_padding"] = more;
  std::vector<std::string> inputs = {out.tensor(node.operands[0], order), out.tensor(node.operands[1], weight_order(window.axes()))};
  if (behind == none) {
    if (bias) inputs.push_back(out.tensor(bias));
    return set_with_bias(out, node, "ConvTranspose", std::move(inputs), std::move(attributes), order);
  }
  std::string result = out.pad(out.emit("ConvTranspose", inputs, attributes), none, behind);
  if (bias) result = out.emit("Add", {result, out.channels(bias, window.axes() + 1, order)});
  out.set(node.result(), result, order);
}

// The gradient of a weight is a convolution too: channels of `x` are its examples, examples its channels, and stride and dilation change
// places. Each group by itself.
void convert_weight_gradient(OnnxExporter& out, Node& node) {
  const Shape &x = node.operands[0].type().shape, &dy = node.operands[1].type().shape, &weight = node.results[0].type.shape;
  const int64_t groups = node.attribute("groups").integer(), in = x[3].factor / groups, of_group = dy[3].factor / groups;
  ConvolutionNode window = convolution_node(node.attributes, 1, weight);
  window.kernel = {dy[1].factor, dy[2].factor};
  std::swap(window.strides, window.dilations);
  const AxisOrder order = {3, 0, 1, 2};
  const std::string image = out.tensor(node.operands[0], order), gradient = out.tensor(node.operands[1], order);
  std::vector<std::string> parts;   // [in, out of group, kh, kw]
  for (int64_t group = 0; group < groups; ++group) {
    const bool whole = groups == 1;
    const std::string left = whole ? image : out.slice(image, 0, group * in, (group + 1) * in);
    const std::string right = whole ? gradient : out.slice(gradient, 0, group * of_group, (group + 1) * of_group);
    parts.push_back(out.emit("Conv", {left, right}, window.attributes()));
  }
  std::string all = parts.size() == 1 ? parts.front() : out.emit("Concat", parts, {{"axis", int64_t{1}}});
  for (int axis = 0; axis < 2; ++axis) all = out.slice(all, axis + 2, 0, weight[static_cast<size_t>(axis)].factor);
  out.set(node.result(), all, {2, 3, 0, 1});
}

// --- products of matrices -----------------------------------------------------------------------------------------

struct Product {
  Value x, weight, bias;
  bool transpose_left = false, transpose_right = false;
};

// Of images whose channels are first it is a convolution that sees one pixel.
bool is_pointwise_convolution(const OnnxExporter& out, const Product& product) {
  const int rank = product.x.type().rank();
  if (rank < 3 || rank > 5 || !out.is_leaf(product.weight)) return false;
  return out.order_of(product.x) == channels_first(rank) && !out.is_in_logical_order(product.x);
}

void convert_pointwise(OnnxExporter& out, Node& node, const Product& product) {
  const int axes = product.x.type().rank() - 2;
  const Shape& shape = product.weight.type().shape;
  const int64_t in = shape[product.transpose_right ? 1 : 0].factor, filters = shape[product.transpose_right ? 0 : 1].factor;
  OnnxNumbers dims = {filters, in}, ones(static_cast<size_t>(axes), 1), none(static_cast<size_t>(axes), 0);
  dims.insert(dims.end(), ones.begin(), ones.end());
  const AxisOrder order = product.transpose_right ? AxisOrder{0, 1} : AxisOrder{1, 0};
  const std::string weight = out.leaf(product.weight, {.order = order, .dims = dims});
  std::vector<std::string> inputs = {out.tensor(product.x, channels_first(axes + 2)), weight};
  if (product.bias) inputs.push_back(out.tensor(product.bias));
  const ConvolutionNode window{.kernel = ones, .strides = ones, .dilations = ones, .low = none, .high = none};
  set_with_bias(out, node, "Conv", std::move(inputs), window.attributes(), channels_first(axes + 2));
}

// With a weight of [out, in], as PyTorch has it.
void convert_gemm(OnnxExporter& out, Node& node, const Product& product) {
  OnnxAttributes attributes;
  if (product.transpose_left) attributes["transA"] = int64_t{1};
  std::string weight;
  if (out.is_leaf(product.weight)) {
    LeafForm form{.order = product.transpose_right ? AxisOrder{0, 1} : AxisOrder{1, 0}};
    form.image = out.image_of(product.x);
    form.image_axis = product.transpose_right ? 1 : 0;
    weight = out.leaf(product.weight, form);
    attributes["transB"] = int64_t{1};
  } else {
    weight = out.tensor(product.weight);
    if (product.transpose_right) attributes["transB"] = int64_t{1};
  }
  std::vector<std::string> inputs = {out.image_of(product.x).empty() ? out.tensor(product.x) : out.columns(product.x), weight};
  if (product.bias) inputs.push_back(out.tensor(product.bias));
  set_with_bias(out, node, "Gemm", std::move(inputs), std::move(attributes), {});
}

void convert_product(OnnxExporter& out, Node& node, const Product& product) {
  if (product.x.type().rank() == 2) return convert_gemm(out, node, product);
  if (is_pointwise_convolution(out, product)) return convert_pointwise(out, node, product);
  const std::string weight = out.tensor(product.weight, product.transpose_right ? AxisOrder{1, 0} : AxisOrder{0, 1});
  std::string result = out.emit("MatMul", {out.tensor(product.x), weight});
  if (product.bias) result = out.emit("Add", {result, out.tensor(product.bias)});
  out.set(node.result(), result);
}

void convert_bias(OnnxExporter& out, Node& node) {
  const Aligned x = out.align(node, {node.operands[0]});
  const std::string bias = out.channels(node.operands[1], ops::axis_of(node), x.order, x.image);
  out.set(node.result(), out.emit("Add", {x.names[0], bias}), x.order, x.image);
}

// Which row of the table each pixel along an axis takes.
OnnxNumbers rows_of_table(int64_t pixels, int64_t rows, int64_t interior) {
  OnnxNumbers places;
  for (int64_t pixel = 0; pixel < pixels; ++pixel)
    places.push_back(pixel < interior ? pixel : std::max(interior, rows - (pixels - pixel)));
  return places;
}

void convert_border_bias(OnnxExporter& out, Node& node) {
  const Aligned x = out.align(node, {node.operands[0]});
  const Shape &image = node.operands[0].type().shape, &table = node.operands[1].type().shape;
  const IntList& interior = node.attribute("interior").integers();
  std::string shifts = out.tensor(node.operands[1], x.order);
  for (int axis = 1; axis <= 2; ++axis) {
    const size_t k = static_cast<size_t>(axis);
    const OnnxNumbers rows = rows_of_table(image[k].factor, table[k].factor, interior[k - 1]);
    shifts = out.emit("Gather", {shifts, out.numbers(rows)}, {{"axis", int64_t{stored_axis(x.order, axis)}}});
  }
  out.set(node.result(), out.emit("Add", {x.names[0], shifts}), x.order);
}

}  // namespace

const OnnxConverters& layer_converters() {
  static const OnnxConverters converters = {
      {"dense", [](OnnxExporter& out, Node& n) { convert_product(out, n, {n.operands[0], n.operands[1], optional_operand(n, 2)}); }},
      {"matmul",
       [](OnnxExporter& out, Node& n) {
         const bool left = n.attribute("transpose_left").boolean(), right = n.attribute("transpose_right").boolean();
         convert_product(out, n, {n.operands[0], n.operands[1], {}, left, right});
       }},
      {"conv2d", convert_convolution_layer},
      {"conv1d", convert_convolution_layer},
      {"convolution",
       [](OnnxExporter& out, Node& n) {
         convert_convolution(out, n, convolution_node(n.attributes, n.attribute("groups").integer(), n.operands[1].type().shape), {});
       }},
      {"conv2d_transpose",
       [](OnnxExporter& out, Node& n) {
         const Shape& weight = n.operands[1].type().shape;
         const AttributeMap window = explicit_attributes(n, n.results[0].type.shape, weight);
         convert_transposed(out, n, convolution_node(window, n.attribute("groups").integer(), weight), optional_operand(n, 2));
       }},
      {"convolution_input_gradient",
       [](OnnxExporter& out, Node& n) {
         const Shape& weight = n.operands[1].type().shape;
         convert_transposed(out, n, convolution_node(n.attributes, n.attribute("groups").integer(), weight), {});
       }},
      {"convolution_weight_gradient", convert_weight_gradient},
      {"bias", convert_bias},
      {"border_bias", convert_border_bias},
  };
  return converters;
}

}  // namespace bnc
