// Convolutions and matrix products.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/onnx/import/window.h"

namespace bnc::onnx {

namespace {

const char* const three_dimensional = "bnc computes with images of one or two spatial dimensions";

// The window of a convolution with that weight.
Window convolution_window(const NodeImport& cx, const Shape& weight) {
  IntList kernel;
  for (int64_t k = 2; k < static_cast<int64_t>(weight.size()); ++k) kernel.push_back(cx.fixed(1, k, "the size of its window"));
  if (const auto* given = cx.node.find<std::vector<int64_t>>("kernel_shape"); given && !given->empty() && *given != kernel)
    cx.fail("its `kernel_shape` is not that of its weight");
  return window_of(cx, kernel);
}

AttributeMap attributes_of(const NodeImport& cx, const Window& window) {
  return {{"stride", shortest(window.stride)},
          {"padding", padding_attribute(window)},
          {"dilation", shortest(window.dilation)},
          {"groups", cx.count("group", 1)}};
}

Value bias_of(const NodeImport& cx, size_t operand, int64_t channels) {
  if (!cx.has(operand)) return {};
  Imported& bias = cx.operand(operand);
  if (bias.shape != Shape{{channels, false}}) cx.fail(fmt::format("its bias is {} where it has {} filters", show(bias.shape), channels));
  return cx.importer.parameter(bias, {0}, {.stem = "bias"});
}

void check_image(const NodeImport& cx) {
  const int64_t rank = cx.rank(0);
  if (rank < 3 || cx.rank(1) != rank) cx.fail(fmt::format("its operands are {} and {}", show(cx.shape(0)), show(cx.shape(1))));
  if (rank > 4) cx.fail(fmt::format("it has {} spatial dimensions", rank - 2), three_dimensional);
}

// Zeros that a node before puts around an image belong to the window.
Value without_zeros_around(Value image, Window& window) {
  if (!image.node->is("pad") || image.node->attribute("value") != Attribute(0.0)) return image;
  const IntList &low = image.node->attribute("low").integers(), &high = image.node->attribute("high").integers();
  if (low.front() || high.front() || low.back() || high.back()) return image;
  const size_t spatial = window.kernel.size();
  for (size_t k = 0; k < spatial; ++k) {
    window.padding[k] += low[k + 1];
    window.padding[k + spatial] += high[k + 1];
  }
  return image.node->operands[0];
}

void import_conv(NodeImport& cx) {
  check_image(cx);
  Imported &x = cx.operand(0), &weight = cx.operand(1);
  Window window = convolution_window(cx, weight.shape);
  pad_automatically(cx, window);
  const IntList order = x.rank() == 3 ? IntList{2, 1, 0} : IntList{2, 3, 1, 0};   // [M, C, k..] becomes [k.., C, M]
  const Value image = without_zeros_around(cx.importer.channels_last(x), window);
  const Value taps = cx.importer.parameter(weight, order, {.stem = "weight", .initializer = "he"});
  const Value bias = bias_of(cx, 2, weight.shape[0].factor);
  const char* op = x.rank() == 3 ? "conv1d" : "conv2d";
  cx.give(cx.build.value(op, {image, taps, bias}, attributes_of(cx, window)), channels_last_order(x.rank()));
}

// The padding that leads to `output_shape`, or to `stride` results for each element with `auto_pad`.
void pad_transposed(const NodeImport& cx, Window& window, IntList& output_padding) {
  const auto sizes = integers_of(cx.node, "output_shape", nullptr);
  if (!sizes && !cx.text("auto_pad", "NOTSET").starts_with("SAME")) return pad_automatically(cx, window);
  const size_t spatial = window.kernel.size();
  if (sizes && sizes->size() < spatial) cx.fail("its `output_shape` has too few numbers");
  for (size_t k = 0; k < spatial; ++k) {
    const int64_t in = cx.fixed(0, static_cast<int64_t>(k) + 2, "a spatial dimension");
    const int64_t out = sizes ? (*sizes)[sizes->size() - spatial + k] : times(cx.node, {in, false}, window.stride[k]).factor;
    if (in >= largest_count || out < 1 || out >= largest_count) cx.fail(fmt::format("{} elements along an axis become {}", in, out));
    const int64_t full = window.stride[k] * (in - 1) + (window.kernel[k] - 1) * window.dilation[k] + 1;
    const int64_t total = std::max<int64_t>(0, full + output_padding[k] - out);
    output_padding[k] = std::max(output_padding[k], out - full);
    pad_axis(cx, window, k, total);
  }
}

void import_conv_transpose(NodeImport& cx) {
  check_image(cx);
  Imported &x = cx.operand(0), &weight = cx.operand(1);
  Window window = convolution_window(cx, weight.shape);
  const int64_t channels = times(cx.node, weight.shape[1], cx.count("group", 1)).factor;
  IntList output_padding = cx.windows("output_padding", x.rank() - 2, 0);
  pad_transposed(cx, window, output_padding);
  Value image = cx.importer.channels_last(x);
  const ParameterKind kind{.stem = "weight", .initializer = "he"};
  const bool line = x.rank() == 3;   // an image of one row
  IntList order = line ? IntList{2, 1, 0} : IntList{2, 3, 1, 0}, dims;
  if (line) {
    for (IntList* each : {&window.kernel, &window.stride, &window.dilation}) each->insert(each->begin(), 1);
    output_padding.insert(output_padding.begin(), 0);
    window.padding = {0, window.padding[0], 0, window.padding[1]};
    dims = {1, window.kernel[1], weight.shape[1].factor, weight.shape[0].factor};
    image = cx.importer.reshape(image, {image.type().shape[0], {}, image.type().shape[1], image.type().shape[2]});
  }
  AttributeMap attributes = attributes_of(cx, window);
  attributes["output_padding"] = shortest(output_padding);
  const Value taps = cx.importer.parameter(weight, order, kind, dims);
  const Value y = cx.build.value("conv2d_transpose", {image, taps, bias_of(cx, 2, channels)}, attributes);
  const Shape& shape = y.type().shape;
  cx.give(line ? cx.importer.reshape(y, {shape[0], shape[2], shape[3]}) : y, channels_last_order(x.rank()));
}

// --- products ---------------------------------------------------------------

// A known matrix [in, units], its rows brought to the order of a flattened image.
Imported weight_of(const NodeImport& cx, const KnownPointer& given, bool transposed, double scale, const Imported& x) {
  Known known = transposed ? permuted(*given, {1, 0}) : *given;
  known.name = fmt::format("{}\n{} {}", cx.importer.identity(given), transposed, scale);
  for (double& number : known.numbers) number *= scale;
  if (x.flat && x.forms.empty()) {
    const std::vector<int64_t> dims = known.dims;
    if (Dim{dims[0], false} != x.shape[1]) cx.fail(fmt::format("its operands are {} and {}", show(x.shape), show(constant_shape(dims))));
    std::vector<int64_t> apart = concrete(x.image, 1);
    apart.push_back(dims[1]);
    const int64_t rank = static_cast<int64_t>(apart.size());
    IntList order = identity_order(rank);
    std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
    const std::string name = fmt::format("{}\nby pixels of {}", known.name, show(x.image));
    known = reshaped(permuted(reshaped(std::move(known), apart), order), dims);
    known.name = name;
  }
  Imported weight;
  weight.shape = constant_shape(known.dims);
  weight.order = {0, 1};
  weight.known = std::make_shared<const Known>(std::move(known));
  return weight;
}

Value product_operand(const NodeImport& cx, Imported& x) {
  return x.flat && x.forms.empty() ? x.flat : cx.importer.canonical(x);
}

// y = x*weight + bias over the last dimension, for a weight that the file has.
Value dense(const NodeImport& cx, Imported& x, const KnownPointer& given, bool transposed, double scale, Value bias) {
  Imported weight = weight_of(cx, given, transposed, scale, x);
  const Value matrix = cx.importer.parameter(weight, {0, 1}, {.stem = "weight", .initializer = "he", .trainable = !given->name.empty()});
  return cx.build.value("dense", {product_operand(cx, x), matrix, bias}, {});
}

// An operand of Gemm times its factor.
Value scaled(const NodeImport& cx, Value value, double factor) { return factor == 1 ? value : cx.build.scale(value, factor); }

void import_gemm(NodeImport& cx) {
  Imported &a = cx.operand(0), &b = cx.operand(1);
  const bool left = cx.integer("transA", 0) != 0, right = cx.integer("transB", 0) != 0;
  const double alpha = cx.number("alpha", 1), beta = cx.number("beta", 1);
  if (a.rank() != 2 || b.rank() != 2) cx.fail(fmt::format("its operands are {} and {}", show(a.shape), show(b.shape)));
  const Dim units = b.shape[right ? 0 : 1];
  // A bias of one number a unit belongs to the layer.
  const bool has_bias = cx.has(2) && beta != 0, layer = b.known && !left;
  const Shape bias_shape = has_bias ? cx.shape(2) : Shape{};
  const bool row = layer && has_bias && beta == 1 && cx.known(2) && (bias_shape == Shape{units} || bias_shape == Shape{{}, units});
  Value y;
  if (layer) {
    const Value bias = row ? cx.importer.parameter(cx.operand(2), identity_order(cx.rank(2)), {.stem = "bias"}, {units.factor}) : Value{};
    y = dense(cx, a, b.known, right, alpha, bias);
  } else {
    y = cx.build.value("matmul", {cx.importer.canonical(a), cx.importer.canonical(b)},
                       {{"transpose_left", left}, {"transpose_right", right}});
    y = scaled(cx, y, alpha);
  }
  if (has_bias && !row) y = cx.build.add(y, scaled(cx, cx.importer.aligned(cx.operand(2), {0, 1}), beta));
  cx.give(y);
}

// Operands of one dimension are a row or a column for the product.
void import_matmul(NodeImport& cx) {
  Imported &a = cx.operand(0), &b = cx.operand(1);
  if (a.rank() == 0 || b.rank() == 0) cx.fail("a number is no matrix");
  if (b.known && b.rank() == 2 && a.rank() >= 2) return cx.give(dense(cx, a, b.known, false, 1, {}));
  Value left = cx.importer.canonical(a), right = cx.importer.canonical(b);
  Shape result = broadcast(Shape(a.shape.begin(), a.shape.end() - std::min<int64_t>(2, a.rank())),
                           Shape(b.shape.begin(), b.shape.end() - std::min<int64_t>(2, b.rank())))
                     .value_or(Shape{});
  if (a.rank() > 1) result.push_back(a.shape[a.shape.size() - 2]);
  if (b.rank() > 1) result.push_back(b.shape.back());
  if (a.rank() == 1) left = cx.importer.reshape(left, {{}, a.shape[0]});
  if (b.rank() == 1) right = cx.importer.reshape(right, {b.shape[0], {}});
  cx.give(cx.importer.reshape(cx.build.value("matmul", {left, right}, {}), result));
}

}  // namespace

const std::vector<OpRule>& layer_rules() {
  static const std::vector<OpRule> rules = {
      {"Conv", import_conv}, {"ConvTranspose", import_conv_transpose}, {"Gemm", import_gemm}, {"MatMul", import_matmul}};
  return rules;
}

}  // namespace bnc::onnx
