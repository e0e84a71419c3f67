// Where values of the network are in the model, and how they get into another order.
#include <algorithm>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "frontend/onnx/exporter.h"
#include "ir/ops/common.h"

namespace bnc {

namespace {

// Elements of four bytes in another order of dimensions.
std::string reordered(std::string_view bytes, const OnnxNumbers& dims, const AxisOrder& order) {
  constexpr size_t width = 4;
  const size_t rank = dims.size();
  std::vector<size_t> strides(rank, width), steps(rank);
  for (size_t k = rank; k-- > 1;) strides[k - 1] = strides[k] * static_cast<size_t>(dims[k]);
  for (size_t k = 0; k < rank; ++k) steps[k] = strides[static_cast<size_t>(order[k])];
  std::string result(bytes.size(), '\0');
  std::vector<int64_t> index(rank, 0);
  size_t from = 0;
  for (size_t to = 0; to < bytes.size(); to += width) {
    std::memcpy(result.data() + to, bytes.data() + from, width);
    for (size_t k = rank; k-- > 0;) {
      from += steps[k];
      if (++index[k] < dims[static_cast<size_t>(order[k])]) break;
      from -= steps[k] * static_cast<size_t>(index[k]);
      index[k] = 0;
    }
  }
  return result;
}

// Along `axis` the elements of an image [.., C], channels first from now on.
std::string with_channels_first(std::string_view bytes, const OnnxNumbers& dims, int axis, const OnnxNumbers& image) {
  OnnxNumbers split(dims.begin(), dims.begin() + axis);
  const int64_t channels = image.back(), pixels = dims[static_cast<size_t>(axis)] / channels;
  split.insert(split.end(), {pixels, channels});
  split.insert(split.end(), dims.begin() + axis + 1, dims.end());
  AxisOrder order = logical_order(static_cast<int>(split.size()));
  std::swap(order[static_cast<size_t>(axis)], order[static_cast<size_t>(axis) + 1]);
  return reordered(bytes, split, order);
}

// The other way around.
std::string with_channels_last(std::string_view bytes, const OnnxNumbers& dims, int axis, const OnnxNumbers& image) {
  const int64_t channels = image.back(), pixels = dims[static_cast<size_t>(axis)] / channels;
  return with_channels_first(bytes, dims, axis, {channels, pixels});
}

// The permutation that takes a tensor from one order to another.
AxisOrder permutation_between(const AxisOrder& from, const AxisOrder& to) {
  AxisOrder permutation;
  for (const int axis : to) permutation.push_back(stored_axis(from, axis));
  return permutation;
}

// Whether two orders differ only in where dimensions of one element stand.
bool equal_but_for_ones(const AxisOrder& a, const AxisOrder& b, const Shape& shape) {
  const auto without_ones = [&](AxisOrder order) {
    std::erase_if(order, [&](int axis) { return shape[static_cast<size_t>(axis)].is_one(); });
    return order;
  };
  return without_ones(a) == without_ones(b);
}

Shape in_order(const Shape& shape, const AxisOrder& order) {
  Shape result;
  for (const int axis : order) result.push_back(shape[static_cast<size_t>(axis)]);
  return result;
}

bool is_logical(const AxisOrder& order) { return std::is_sorted(order.begin(), order.end()); }

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string numbers_of(const Node& constant, int64_t count) {
  const NumberList given = constant.attribute("value").numbers();
  const auto at = [&](int64_t i) { return given[given.size() == 1 ? 0 : static_cast<size_t>(i)]; };
  if (constant.results[0].type.dtype == DType::i32) {
    std::vector<int32_t> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<int32_t>(at(i)));
    return bytes_of(values);
  }
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(at(i)));
  return bytes_of(values);
}

bool is_uniform_constant(const Node& node) { return node.is("constant") && node.attribute("value").numbers().size() == 1; }

}  // namespace

AxisOrder logical_order(int rank) {
  AxisOrder order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

AxisOrder channels_first(int rank) { return axis_second(rank, rank - 1); }

AxisOrder axis_second(int rank, int axis) {
  AxisOrder order = ops::other_axes(rank, axis);
  order.insert(order.begin() + 1, axis);
  return order;
}

AxisOrder axes_last(int rank, const std::vector<int>& axes) {
  AxisOrder order;
  for (int axis = 0; axis < rank; ++axis)
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) order.push_back(axis);
  order.insert(order.end(), axes.begin(), axes.end());
  return order;
}

int stored_axis(const AxisOrder& order, int axis) {
  return static_cast<int>(std::find(order.begin(), order.end(), axis) - order.begin());
}

bool OnnxExporter::is_leaf(Value value) const {
  if (!value || !(value.node->is("parameter") || value.node->is("state") || value.node->is("constant"))) return false;
  const Shape& shape = value.type().shape;
  return std::none_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.batch; });
}

std::string OnnxExporter::leaf(Value value, LeafForm form) {
  const OnnxNumbers dims = concrete(value.type().shape, 1);
  if (form.order.empty()) form.order = logical_order(value.type().rank());
  const std::string reshaped = form.dims ? fmt::format("{}", fmt::join(*form.dims, ",")) : "-";
  const std::string key = fmt::format("{} {} {} {} {}", value.name(), fmt::join(form.order, ","), reshaped, form.image_axis,
                                      fmt::join(form.image, ","));
  if (const auto found = leaves_.find(key); found != leaves_.end()) return found->second;

  OnnxTensor tensor{.type = value.type().dtype == DType::f32 ? OnnxType::f32 : OnnxType::i32, .dims = dims, .file = result_.model.file};
  const auto own = [&](std::string bytes) {
    const auto owner = std::make_shared<const std::string>(std::move(bytes));
    tensor.bytes = *owner;
    tensor.owner = owner;
  };
  if (value.node->is("constant")) {
    own(numbers_of(*value.node, tensor.element_count()));
  } else {
    const Weight* weight = weights_.find(value.name());
    BNC_CHECK(weight && weight->dims == dims, "no weight " + value.name());
    tensor.bytes = {reinterpret_cast<const char*>(weight->data.data()), weight->data.size_bytes()};
    tensor.owner = weight->owner;
  }
  if (!form.image.empty()) own(with_channels_first(tensor.bytes, tensor.dims, form.image_axis, form.image));
  if (!is_logical(form.order)) {
    own(reordered(tensor.bytes, tensor.dims, form.order));
    OnnxNumbers moved;
    for (const int axis : form.order) moved.push_back(dims[static_cast<size_t>(axis)]);
    tensor.dims = moved;
  }
  if (form.dims) tensor.dims = *form.dims;
  const std::string name = keep(std::move(tensor), value.name());
  if (!value.node->is("constant")) result_.parameters[name] = {value.name(), dims, form.order, form.image_axis, form.image};
  return leaves_[key] = name;
}

Weight restored(const OnnxParameter& parameter, const OnnxTensor& initializer) {
  std::string bytes(initializer.bytes);
  if (!is_logical(parameter.order)) {
    OnnxNumbers moved;
    AxisOrder back(parameter.order.size());
    for (size_t k = 0; k < back.size(); ++k) {
      moved.push_back(parameter.dims[static_cast<size_t>(parameter.order[k])]);
      back[static_cast<size_t>(parameter.order[k])] = static_cast<int>(k);
    }
    bytes = reordered(bytes, moved, back);
  }
  if (!parameter.image.empty()) bytes = with_channels_last(bytes, parameter.dims, parameter.image_axis, parameter.image);
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(float));
  return Weight::owned(parameter.dims, std::move(numbers));
}

const OnnxExporter::Stored& OnnxExporter::stored(Value value) const {
  const auto found = values_.find({value.node, value.index});
  BNC_CHECK(found != values_.end(), "nothing holds " + value.name());
  return found->second;
}

AxisOrder OnnxExporter::order_of(Value value) const {
  return is_leaf(value) ? logical_order(value.type().rank()) : stored(value).order;
}

const OnnxNumbers& OnnxExporter::image_of(Value value) const {
  static const OnnxNumbers none;
  return is_leaf(value) ? none : stored(value).image;
}

std::string OnnxExporter::columns(Value value) { return is_leaf(value) ? leaf(value) : stored(value).name; }

std::string OnnxExporter::tensor(Value value, const AxisOrder& order) {
  if (is_leaf(value)) return leaf(value, {.order = order});
  const Stored from = stored(value);
  BNC_CHECK(from.image.empty(), "the columns of " + value.name() + " are in another order");
  if (from.order == order) return from.name;
  const std::pair key(from.name, permutation_between(from.order, order));
  if (const auto found = transposed_.find(key); found != transposed_.end()) return found->second;
  const Shape& shape = value.type().shape;
  const bool same_elements = equal_but_for_ones(from.order, order, shape);
  return transposed_[key] = same_elements ? reshape(from.name, in_order(shape, order)) : transpose(from.name, key.second);
}

bool OnnxExporter::is_in_logical_order(Value value) const {
  const AxisOrder order = order_of(value);
  return equal_but_for_ones(order, logical_order(value.type().rank()), value.type().shape);
}

std::string OnnxExporter::in_logical_order(Value value) {
  return !is_leaf(value) && is_in_logical_order(value) ? stored(value).name : tensor(value);
}

// Of a tensor that one of the nodes from the first one on makes.
void OnnxExporter::rename(const std::string& from, const std::string& to, size_t first_node) {
  std::vector<OnnxNode>& nodes = result_.model.graph.nodes;
  for (size_t k = first_node; k < nodes.size(); ++k) {
    std::replace(nodes[k].inputs.begin(), nodes[k].inputs.end(), from, to);
    std::replace(nodes[k].outputs.begin(), nodes[k].outputs.end(), from, to);
  }
  for (auto& [key, name] : transposed_)
    if (name == from) name = to;
  for (auto& [factor, name] : batch_multiples_)
    if (name == from) name = to;
}

void OnnxExporter::set(Value result, const std::string& name, AxisOrder order, OnnxNumbers image) {
  if (order.empty()) order = logical_order(result.type().rank());
  std::string final_name = name;
  std::vector<OnnxNode>& nodes = result_.model.graph.nodes;
  for (size_t k = first_node_; k < nodes.size(); ++k) {
    if (std::find(nodes[k].outputs.begin(), nodes[k].outputs.end(), name) == nodes[k].outputs.end()) continue;
    final_name = fresh(result.name());
    if (result.index == 0) nodes[k].name = base_;
    rename(name, final_name, k);
    break;
  }
  values_[{result.node, result.index}] = {final_name, std::move(order), std::move(image)};
}

void OnnxExporter::alias(Value result, Value operand, const AxisOrder& permutation) {
  Stored held = is_leaf(operand) ? Stored{leaf(operand), logical_order(operand.type().rank()), {}} : stored(operand);
  if (!permutation.empty())
    for (int& axis : held.order) axis = stored_axis(permutation, axis);
  values_[{result.node, result.index}] = std::move(held);
}

// A value of lower rank, to be broadcast to a tensor of that order.
std::string OnnxExporter::at_rank(Value value, const AxisOrder& order) {
  const int rank = static_cast<int>(order.size()), missing = rank - value.type().rank();
  if (missing == 0) return tensor(value, order);
  if (is_logical(order) || value.type().rank() == 0) return tensor(value);
  AxisOrder own;
  Shape padded;
  for (const int axis : order) {
    if (axis >= missing) own.push_back(axis - missing);
    padded.push_back(axis >= missing ? value.type().shape[static_cast<size_t>(axis - missing)] : Dim{1});
  }
  while (padded.front().is_one() && padded.size() > 1) padded.erase(padded.begin());
  if (is_leaf(value)) return leaf(value, {.order = own, .dims = concrete(padded, 1)});
  const std::string name = tensor(value, own);
  return static_cast<int>(padded.size()) == value.type().rank() ? name : reshape(name, padded);
}

Aligned OnnxExporter::align(const Node& node, const std::vector<Value>& operands) {
  const TensorType& result = node.results[0].type;
  Aligned aligned{.names = {}, .order = logical_order(result.rank())};
  for (const Value& operand : operands) {
    if (is_leaf(operand) || operand.type().rank() != result.rank()) continue;
    if (const AxisOrder order = order_of(operand); is_logical(aligned.order) && !is_logical(order)) aligned.order = order;
    if (!image_of(operand).empty()) aligned.image = image_of(operand);
  }
  for (size_t k = 0; k < operands.size(); ++k) {
    const Value operand = operands[k];
    if (!aligned.image.empty()) {
      aligned.names.push_back(columns(operand));
      continue;
    }
    // A number that fills a tensor is one number where others have the shape of the result.
    if (is_uniform_constant(*operand.node) && operand.type().rank() > 0) {
      std::optional<Shape> others = Shape{};
      for (size_t other = 0; other < operands.size(); ++other)
        if (other != k && others) others = broadcast(*others, operands[other].type().shape);
      const double value = operand.node->attribute("value").numbers()[0];
      if (others == result.shape) {
        aligned.names.push_back(operand.type().dtype == DType::f32 ? scalar(value) : integers({static_cast<int32_t>(value)}, {}));
        continue;
      }
    }
    aligned.names.push_back(at_rank(operand, aligned.order));
  }
  return aligned;
}

std::string OnnxExporter::channels(Value value, int axis, const AxisOrder& order, const OnnxNumbers& image) {
  const int behind = static_cast<int>(order.size()) - 1 - stored_axis(order, axis);
  const int64_t count = value.type().shape[0].factor;
  if (!is_leaf(value)) {
    const std::string name = tensor(value);
    Shape shape(static_cast<size_t>(behind) + 1, Dim{1});
    shape[0] = value.type().shape[0];
    return behind == 0 ? name : reshape(name, shape);
  }
  LeafForm form;
  if (!image.empty()) form.image_axis = 0, form.image = image;
  if (behind > 0) {
    form.dims = OnnxNumbers(static_cast<size_t>(behind) + 1, 1);
    form.dims->front() = count;
  }
  return leaf(value, form);
}

bool OnnxExporter::takes_image_columns(Value value) const {
  if (uses_.is_output(value) || uses_.of(value).empty()) return false;
  const auto takes = [&](Node* node) {
    if (is_unary_map(*node)) return takes_image_columns(node->result());
    for (size_t k = 1; k < node->operands.size(); ++k)
      if (node->operands[k] && !is_leaf(node->operands[k])) return false;
    if (node->is("dense")) return true;
    if (node->is("matmul")) return !node->attribute("transpose_left").boolean() && node->operands[1].type().rank() == 2;
    const bool by_channel = node->is("batch_norm") || node->is("bias") || node->is("scale_shift");
    return by_channel && ops::axis_of(*node) == 1 && takes_image_columns(node->result());
  };
  const std::vector<Node*>& users = uses_.of(value);
  return std::all_of(users.begin(), users.end(), takes);
}

Node* OnnxExporter::bias_behind(const Node& node) const {
  const Value result{const_cast<Node*>(&node), 0};
  const std::vector<Node*>& users = uses_.of(result);
  if (users.size() != 1 || uses_.is_output(result) || !users[0]->is("bias")) return nullptr;
  const bool last = ops::axis_of(*users[0]) == result.type().rank() - 1;
  return last && users[0]->operands[0] == result && is_leaf(users[0]->operands[1]) ? users[0] : nullptr;
}

}  // namespace bnc
