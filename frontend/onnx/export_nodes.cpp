// Nodes and constants of the model that grows.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/onnx/exporter.h"

namespace bnc {

namespace {

template <class T>
std::string raw_bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace

std::vector<std::string> OnnxExporter::emit(const std::string& op, std::vector<std::string> inputs, OnnxAttributes attributes,
                                            size_t outputs) {
  OnnxNode node{.op_type = op, .name = fresh_node(base_ + "/" + op), .inputs = std::move(inputs), .attributes = std::move(attributes)};
  for (size_t k = 0; k < outputs; ++k) node.outputs.push_back(fresh(node.name));
  result_.model.graph.nodes.push_back(node);
  return node.outputs;
}

std::string OnnxExporter::emit(const std::string& op, std::vector<std::string> inputs, OnnxAttributes attributes) {
  return emit(op, std::move(inputs), std::move(attributes), 1).front();
}

std::string OnnxExporter::keep(OnnxTensor tensor, const std::string& stem) {
  tensor.name = fresh(stem);
  result_.model.graph.initializers.push_back(tensor);
  return tensor.name;
}

// Equal constants are kept once.
std::string OnnxExporter::constant(OnnxType type, const OnnxNumbers& dims, std::string bytes, const char* stem) {
  const std::string key = fmt::format("{} {} ", static_cast<int>(type), fmt::join(dims, ",")) + bytes;
  if (const auto found = constants_.find(key); found != constants_.end()) return found->second;
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  OnnxTensor tensor{.type = type, .dims = dims, .bytes = *owner, .owner = owner, .file = result_.model.file};
  return constants_[key] = keep(std::move(tensor), base_ + "/" + stem);
}

std::string OnnxExporter::numbers(const OnnxNumbers& values) {
  return constant(OnnxType::i64, {static_cast<int64_t>(values.size())}, raw_bytes(values), "numbers");
}

std::string OnnxExporter::integers(const std::vector<int32_t>& values, const OnnxNumbers& dims) {
  return constant(OnnxType::i32, dims, raw_bytes(values), "integers");
}

std::string OnnxExporter::floats(const OnnxConstants& values, const OnnxNumbers& dims) {
  std::vector<float> rounded;
  for (const double value : values) rounded.push_back(static_cast<float>(value));
  return constant(OnnxType::f32, dims, raw_bytes(rounded), "constant");
}

std::string OnnxExporter::zero_of(DType type) { return type == DType::f32 ? scalar(0) : integers({0}, {}); }

std::string OnnxExporter::batch_multiple(int64_t factor) {
  if (const auto found = batch_multiples_.find(factor); found != batch_multiples_.end()) return found->second;
  BNC_CHECK(!batch_input_.empty(), "the batch size is of no input");
  std::string& name = batch_multiples_[factor];
  if (factor == batch_factor_)
    return name = emit("Shape", {batch_input_}, {{"start", int64_t{batch_axis_}}, {"end", int64_t{batch_axis_ + 1}}});
  std::string size = batch_multiple(batch_factor_);
  if (batch_factor_ != 1) size = emit("Div", {size, numbers({batch_factor_})});
  return name = factor == 1 ? size : emit("Mul", {size, numbers({factor})});
}

std::string OnnxExporter::shape(const Shape& shape) {
  if (std::none_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.batch; })) return numbers(concrete(shape, 1));
  std::vector<std::string> parts;
  OnnxNumbers fixed;
  const auto end_fixed = [&] {
    if (!fixed.empty()) parts.push_back(numbers(fixed));
    fixed.clear();
  };
  for (const Dim& dim : shape) {
    if (!dim.batch) {
      fixed.push_back(dim.factor);
      continue;
    }
    end_fixed();
    parts.push_back(batch_multiple(dim.factor));
  }
  end_fixed();
  return parts.size() == 1 ? parts.front() : emit("Concat", parts, {{"axis", int64_t{0}}});
}

std::string OnnxExporter::count(const Shape& shape, const std::vector<int>& axes) {
  int64_t factor = 1;
  bool batch = false;
  for (const int axis : axes) {
    factor *= shape[static_cast<size_t>(axis)].factor;
    batch |= shape[static_cast<size_t>(axis)].batch;
  }
  if (!batch) return scalar(static_cast<double>(factor));
  return emit("Squeeze", {emit("Cast", {batch_multiple(factor)}, {{"to", static_cast<int64_t>(OnnxType::f32)}})});
}

std::string OnnxExporter::reshape(const std::string& name, const Shape& shape) {
  OnnxNumbers dims;
  for (const Dim& dim : shape) dims.push_back(dim.batch ? -1 : dim.factor);
  return emit("Reshape", {name, numbers(dims)});
}

std::string OnnxExporter::transpose(const std::string& name, const AxisOrder& permutation) {
  return emit("Transpose", {name}, {{"perm", OnnxNumbers(permutation.begin(), permutation.end())}});
}

std::string OnnxExporter::slice(const std::string& name, int axis, int64_t begin, int64_t end, int64_t step) {
  return emit("Slice", {name, numbers({begin}), numbers({end}), numbers({axis}), numbers({step})});
}

std::string OnnxExporter::pad(const std::string& name, const OnnxNumbers& low, const OnnxNumbers& high, const std::string& value) {
  OnnxNumbers pads = low;
  pads.insert(pads.end(), high.begin(), high.end());
  if (std::all_of(pads.begin(), pads.end(), [](int64_t count) { return count == 0; })) return name;
  std::vector<std::string> inputs = {name, numbers(pads)};
  if (!value.empty()) inputs.push_back(value);
  return emit("Pad", inputs);
}

// One number, in a shape that the batch size is part of.
std::string OnnxExporter::batch_shaped_constant(const Node& node) {
  const double value = node.attribute("value").numbers()[0];
  const TensorType& type = node.results[0].type;
  const std::string number = type.dtype == DType::f32 ? scalar(value) : integers({static_cast<int32_t>(value)}, {});
  return emit("Expand", {number, shape(type.shape)});
}

}  // namespace bnc
