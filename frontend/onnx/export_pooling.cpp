// Pooling. Windows that reach past the padded end (ceil_mode) are written as more padding there, which all runtimes read alike.
#include <algorithm>

#include "frontend/onnx/exporter.h"
#include "ir/ops/pooling.h"

namespace bnc {

namespace {

using ops::PoolAxis;

struct PoolNode {
  std::vector<PoolAxis> axes;
  OnnxNumbers kernel, strides, low, high;
  bool past_padding = false;   // a window reaches past the padding that counts

  explicit PoolNode(std::vector<PoolAxis> windows) : axes(std::move(windows)) {
    for (const PoolAxis& axis : axes) {
      const int64_t reach = (axis.out - 1) * axis.stride - axis.low + axis.kernel - axis.in;
      past_padding |= reach > axis.high;
      kernel.push_back(axis.kernel);
      strides.push_back(axis.stride);
      low.push_back(axis.low);
      high.push_back(std::max(reach, axis.high));
    }
  }
  int rank() const { return static_cast<int>(axes.size()) + 2; }
  bool is_padded() const {
    const auto positive = [](int64_t count) { return count > 0; };
    return std::any_of(low.begin(), low.end(), positive) || std::any_of(high.begin(), high.end(), positive);
  }
  OnnxAttributes attributes() const {
    OnnxNumbers pads = low;
    pads.insert(pads.end(), high.begin(), high.end());
    return {{"kernel_shape", kernel}, {"strides", strides}, {"pads", pads}};
  }
  // One number a window, which `number` makes of the windows' numbers along the axes: [OH, OW].
  OnnxConstants for_each(const std::function<double(const std::vector<int64_t>&)>& number) const {
    OnnxConstants values;
    const int64_t rows = axes.size() == 1 ? 1 : axes[0].out;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < axes.back().out; ++column)
        values.push_back(number(axes.size() == 1 ? std::vector{column} : std::vector{row, column}));
    return values;
  }
  OnnxNumbers window_dims() const {
    OnnxNumbers dims;
    for (const PoolAxis& axis : axes) dims.push_back(axis.out);
    return dims;
  }
  double count(const std::vector<int64_t>& window, bool include_pad) const {
    double count = 1;
    for (size_t k = 0; k < axes.size(); ++k) count *= static_cast<double>(axes[k].count(window[k], include_pad));
    return count;
  }
};

PoolNode pool_of(const Node& node) { return PoolNode(ops::pool_axes(node, node.operands[0].type().shape)); }

// Of a gradient, whose result has the shape of what was pooled.
PoolNode pool_of_gradient(const Node& node) { return PoolNode(ops::pool_axes(node, node.results[0].type.shape)); }

double taps_of(const PoolNode& pool) {
  double taps = 1;
  for (const int64_t extent : pool.kernel) taps *= static_cast<double>(extent);
  return taps;
}

void convert_max_pool(OnnxExporter& out, Node& node) {
  const PoolNode pool = pool_of(node);
  const AxisOrder order = channels_first(pool.rank());
  out.set(node.result(), out.emit("MaxPool", {out.tensor(node.operands[0], order)}, pool.attributes()), order);
}

void convert_average_pool(OnnxExporter& out, Node& node) {
  const PoolNode pool = pool_of(node);
  const bool include_pad = node.attribute("count_include_pad").boolean();
  const AxisOrder order = channels_first(pool.rank());
  OnnxAttributes attributes = pool.attributes();
  if (include_pad && pool.is_padded()) attributes["count_include_pad"] = int64_t{1};
  std::string result = out.emit("AveragePool", {out.tensor(node.operands[0], order)}, attributes);
  if (include_pad && pool.past_padding) {   // what lies behind the padding does not count
    const OnnxConstants factors = pool.for_each([&](const auto& window) { return taps_of(pool) / pool.count(window, true); });
    result = out.emit("Mul", {result, out.floats(factors, pool.window_dims())});
  }
  out.set(node.result(), result, order);
}

void convert_global_pool(OnnxExporter& out, Node& node, const char* op) {
  const int rank = node.operands[0].type().rank();
  const std::string pooled = out.emit(op, {out.tensor(node.operands[0], channels_first(rank))});
  if (node.attribute("keep_dims").boolean()) return out.set(node.result(), pooled, channels_first(rank));
  out.set(node.result(), out.emit("Flatten", {pooled}, {{"axis", int64_t{1}}}));
}

// ONNX counts the elements of the whole tensor; from that the row and the column, less where the window begins.
void convert_max_pool_index(OnnxExporter& out, Node& node) {
  const PoolNode pool = pool_of(node);
  const AxisOrder order = channels_first(pool.rank());
  const std::string places = out.emit("MaxPool", {out.tensor(node.operands[0], order)}, pool.attributes(), 2).back();
  const auto whole = [&](const std::string& x) { return out.emit("Cast", {x}, {{"to", static_cast<int64_t>(OnnxType::i32)}}); };
  const auto begins = [&](size_t k) {
    std::vector<int32_t> values;
    for (int64_t o = 0; o < pool.axes[k].out; ++o) values.push_back(static_cast<int32_t>(o * pool.axes[k].stride - pool.axes[k].low));
    OnnxNumbers dims(pool.axes.size() - k, 1);
    dims[0] = pool.axes[k].out;
    return out.integers(values, dims);
  };
  const size_t last = pool.axes.size() - 1;
  const std::string width = out.numbers({pool.axes[last].in});
  std::string local = out.emit("Sub", {whole(out.emit("Mod", {places, width})), begins(last)});
  if (last == 1) {
    const std::string row = out.emit("Mod", {out.emit("Div", {places, width}), out.numbers({pool.axes[0].in})});
    const std::string local_row = out.emit("Sub", {whole(row), begins(0)});
    local = out.emit("Add", {out.emit("Mul", {local_row, out.integers({static_cast<int32_t>(pool.kernel[1])}, {})}), local});
  }
  out.set(node.result(), local, order);
}

// Each element of `dy` is added to the element of its window that its index tells.
void convert_max_pool_gradient(OnnxExporter& out, Node& node) {
  const PoolNode pool = pool_of_gradient(node);
  const AxisOrder order = channels_first(pool.rank());
  const std::string dy = out.tensor(node.operands[0], order);
  const std::string index = out.emit("Cast", {out.tensor(node.operands[1], order)}, {{"to", static_cast<int64_t>(OnnxType::i64)}});
  const auto begins = [&](size_t k) {
    OnnxNumbers values;
    for (int64_t o = 0; o < pool.axes[k].out; ++o) values.push_back(o * pool.axes[k].stride - pool.axes[k].low);
    const std::string name = out.numbers(values);
    return k + 1 == pool.axes.size() ? name : out.reshape(name, {Dim{pool.axes[k].out}, Dim{1}});
  };
  const size_t last = pool.axes.size() - 1;
  std::string place = index, pixels_in_window = out.numbers({pool.kernel[last]});
  if (last == 0) {
    place = out.emit("Add", {index, begins(0)});
  } else {
    const std::string row = out.emit("Add", {out.emit("Div", {index, pixels_in_window}), begins(0)});
    const std::string column = out.emit("Add", {out.emit("Mod", {index, pixels_in_window}), begins(1)});
    place = out.emit("Add", {out.emit("Mul", {row, out.numbers({pool.axes[1].in})}), column});
  }
  const Shape& dx = node.results[0].type.shape;
  const Dim batch = dx.front(), channels = dx.back();
  int64_t pixels = 1, windows = 1;
  for (const PoolAxis& axis : pool.axes) pixels *= axis.in, windows *= axis.out;
  const Shape lines = {batch, channels, Dim{windows}};
  const std::string zeros = out.emit("Expand", {out.scalar(0), out.shape({batch, channels, Dim{pixels}})});
  const std::string sums = out.emit("ScatterElements", {zeros, out.reshape(place, lines), out.reshape(dy, lines)},
                                    {{"axis", int64_t{2}}, {"reduction", std::string("add")}});
  Shape image = {batch, channels};
  image.insert(image.end(), dx.begin() + 1, dx.end() - 1);
  out.set(node.result(), out.reshape(sums, image), order);
}

// Each window's share is spread over its elements: a transposed convolution of each channel with ones.
void convert_average_pool_gradient(OnnxExporter& out, Node& node) {
  const PoolNode pool = pool_of_gradient(node);
  const AxisOrder order = channels_first(pool.rank());
  const int64_t channels = node.results[0].type.shape.back().factor;
  const bool include_pad = node.attribute("count_include_pad").boolean();
  const OnnxConstants shares = pool.for_each([&](const auto& window) { return 1 / pool.count(window, include_pad); });
  const std::string share = out.emit("Mul", {out.tensor(node.operands[0], order), out.floats(shares, pool.window_dims())});
  OnnxNumbers dims = {channels, 1};
  dims.insert(dims.end(), pool.kernel.begin(), pool.kernel.end());
  const OnnxConstants ones(static_cast<size_t>(channels) * static_cast<size_t>(taps_of(pool)), 1);
  std::string spread = out.emit("ConvTranspose", {share, out.floats(ones, dims)},
                                {{"kernel_shape", pool.kernel}, {"strides", pool.strides}, {"group", channels}});
  OnnxNumbers none(static_cast<size_t>(pool.rank()), 0), behind = none;
  for (size_t k = 0; k < pool.axes.size(); ++k) {
    const PoolAxis& axis = pool.axes[k];
    const int64_t all = (axis.out - 1) * axis.stride + axis.kernel, end = axis.low + axis.in;
    spread = out.slice(spread, static_cast<int>(k) + 2, axis.low, std::min(all, end));
    behind[k + 2] = std::max<int64_t>(end - all, 0);
  }
  out.set(node.result(), out.pad(spread, none, behind), order);
}

}  // namespace

const OnnxConverters& pooling_converters() {
  static const OnnxConverters converters = {
      {"max_pool", convert_max_pool},
      {"average_pool", convert_average_pool},
      {"global_average_pool", [](OnnxExporter& out, Node& node) { convert_global_pool(out, node, "GlobalAveragePool"); }},
      {"global_max_pool", [](OnnxExporter& out, Node& node) { convert_global_pool(out, node, "GlobalMaxPool"); }},
      {"max_pool_index", convert_max_pool_index},
      {"max_pool_gradient", convert_max_pool_gradient},
      {"average_pool_gradient", convert_average_pool_gradient},
  };
  return converters;
}

}  // namespace bnc
