// Windows and whole images that become one element.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/onnx/import/window.h"

namespace bnc::onnx {

namespace {

AttributeMap pool_attributes(const NodeImport& cx) {
  const int64_t spatial = cx.rank(0) - 2;
  if (spatial < 1 || spatial > 2)
    cx.fail(fmt::format("it pools {}", show(cx.shape(0))), "bnc pools images of one or two spatial dimensions");
  if (!cx.node.find<std::vector<int64_t>>("kernel_shape")) cx.fail("it has no `kernel_shape`");
  Window window = window_of(cx, cx.windows("kernel_shape", spatial, 1));
  if (shortest(window.dilation) != IntList{1}) cx.fail("its windows have gaps");
  pad_automatically(cx, window);
  AttributeMap attributes{{"kernel", shortest(window.kernel)}, {"ceil_mode", cx.integer("ceil_mode", 0) != 0}};
  attributes["stride"] = window.stride == window.kernel ? IntList{} : shortest(window.stride);
  const Attribute padding = padding_attribute(window);
  if (padding != Attribute(0)) attributes["padding"] = padding;
  return attributes;
}

void import_max_pool(NodeImport& cx) {
  if (cx.wants(1)) cx.fail("its result `Indices` is read", "bnc has no op that takes the places of maxima");
  const Value x = cx.importer.channels_last(cx.operand(0));
  cx.give(cx.build.value("max_pool", {x}, pool_attributes(cx)), channels_last_order(cx.rank(0)));
}

void import_average_pool(NodeImport& cx) {
  AttributeMap attributes = pool_attributes(cx);
  if (attributes.contains("padding")) attributes["count_include_pad"] = cx.integer("count_include_pad", 0) != 0;
  const Value x = cx.importer.channels_last(cx.operand(0));
  cx.give(cx.build.value("average_pool", {x}, attributes), channels_last_order(cx.rank(0)));
}

void import_global_pool(NodeImport& cx, const char* op) {
  Imported& x = cx.operand(0);
  if (x.rank() < 3) cx.fail(fmt::format("it pools {}", show(x.shape)));
  const Value pooled = cx.build.value(op, {cx.importer.channels_last(x)}, {});
  Shape shape(x.shape.size(), Dim{});
  shape.front() = x.shape[0];
  shape.back() = x.shape[1];
  cx.give(cx.importer.reshape(pooled, shape), channels_last_order(x.rank()));
}

void import_global_average_pool(NodeImport& cx) { import_global_pool(cx, "global_average_pool"); }
void import_global_max_pool(NodeImport& cx) { import_global_pool(cx, "global_max_pool"); }

// Local response normalization: x / (bias + alpha/size * sum of squares over neighbouring channels)^beta.
void import_lrn(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t size = cx.count("size", 0);
  if (x.rank() < 2) cx.fail(fmt::format("it normalizes the channels of {}", show(x.shape)));
  const IntList order = channels_last_order(x.rank());
  const Value image = cx.importer.in_order(x, order);
  Shape pixels = {{1, false}, x.shape[1], {}};
  for (const Dim& dim : x.shape) {
    if (&dim == &x.shape[1]) continue;
    pixels[0] = {pixels[0].factor * dim.factor, pixels[0].batch || dim.batch};
  }
  const Value squares = cx.importer.reshape(cx.build.mul(image, image), pixels);
  const Attribute padding = size % 2 ? Attribute((size - 1) / 2) : Attribute(IntList{(size - 1) / 2, size / 2});
  const Value mean = cx.build.value("average_pool", {squares}, {{"kernel", IntList{size}}, {"stride", IntList{1}}, {"padding", padding}});
  const Value base = cx.build.add(cx.build.scale(cx.importer.reshape(mean, image.type().shape), cx.number("alpha", 1e-4)),
                                  cx.build.constant(cx.number("bias", 1)));
  const Value factor = cx.build.value("exp", {cx.build.scale(cx.build.value("log", {base}), -cx.number("beta", 0.75))});
  cx.give(cx.build.mul(image, factor), order);
}

}  // namespace

const std::vector<OpRule>& pooling_rules() {
  static const std::vector<OpRule> rules = {{"AveragePool", import_average_pool},
                                            {"GlobalAveragePool", import_global_average_pool},
                                            {"GlobalMaxPool", import_global_max_pool},
                                            {"LRN", import_lrn},
                                            {"MaxPool", import_max_pool}};
  return rules;
}

}  // namespace bnc::onnx
