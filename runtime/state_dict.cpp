// Reading state dicts, and converting their tensors.
#include "runtime/state_dict.h"

#include <algorithm>

#include "runtime/error.h"
#include "runtime/layer_names.h"
#include "runtime/safetensors.h"
#include "runtime/torch_file.h"

namespace bnc {

StateDict::StateDict(std::unique_ptr<Data> data) : data_(std::move(data)) {}
StateDict::StateDict(StateDict&&) noexcept = default;
StateDict& StateDict::operator=(StateDict&&) noexcept = default;
StateDict::~StateDict() = default;

const std::string& StateDict::part() const { return data_->part; }

std::vector<std::string> StateDict::names() const {
  std::vector<std::string> names;
  for (const StoredTensor& tensor : data_->tensors) names.push_back(tensor.name);
  return names;
}

namespace {

bool begins_as_hdf5(Bytes bytes) {
  constexpr uint8_t magic[] = {0x89, 'H', 'D', 'F'};
  return bytes.size() >= 4 && std::equal(std::begin(magic), std::end(magic), bytes.begin());
}

void read_safetensors(const std::shared_ptr<const FileBytes>& file, StateDict::Data& data) {
  WeightStore::Data read = parse_safetensors(file, data.path);
  data.is_of_bnc = !read.metadata.network.empty();
  for (const auto& [name, weight] : read.weights.entries()) {
    const Bytes bytes(reinterpret_cast<const uint8_t*>(weight.data.data()), weight.data.size_bytes());
    data.tensors.push_back({name, "F32", weight.dims, {}, bytes, weight.owner});
  }
  data.in_order = !std::is_sorted(data.tensors.begin(), data.tensors.end(),
                                  [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
  for (StoredTensor& other : read.others) data.tensors.push_back(std::move(other));
}

Dialect dialect_of(const std::vector<StoredTensor>& tensors) {
  const auto is_of_keras = [](const StoredTensor& tensor) {
    const std::string_view name = last_part(tensor.name);
    return name.find("kernel") != std::string_view::npos || name.starts_with("moving_");
  };
  return std::any_of(tensors.begin(), tensors.end(), is_of_keras) ? Dialect::keras : Dialect::pytorch;
}

// The elements with their axes in another order.
std::vector<float> with_axes(std::span<const float> values, const Dims& dims, const std::vector<size_t>& axes) {
  Dims steps(dims.size(), 1), index(dims.size(), 0);
  for (size_t k = dims.size(); k-- > 1;) steps[k - 1] = steps[k] * dims[k];
  std::vector<float> result;
  result.reserve(values.size());
  for (int64_t from = 0; result.size() < values.size();) {
    result.push_back(values[static_cast<size_t>(from)]);
    for (size_t k = axes.size(); k-- > 0;) {
      from += steps[axes[k]];
      if (++index[k] < dims[axes[k]]) break;
      from -= steps[axes[k]] * dims[axes[k]];
      index[k] = 0;
    }
  }
  return result;
}

// The elements of a matrix with rows and columns in another order; `order` tells where each is from.
std::vector<float> with_order(std::span<const float> values, size_t columns, const TensorConversion& how) {
  std::vector<float> result(values.size());
  const auto place = [](const std::shared_ptr<const FeatureOrder>& order, size_t k) {
    return order ? static_cast<size_t>(order->places[k]) : k;
  };
  for (size_t row = 0; row < values.size() / columns; ++row)
    for (size_t column = 0; column < columns; ++column)
      result[row * columns + column] = values[place(how.rows, row) * columns + place(how.columns, column)];
  return result;
}

}  // namespace

StateDict StateDict::load(const std::string& path) {
  return at_boundary([&] {
    const std::shared_ptr<const FileBytes> file = open_file(path);
    auto data = std::make_unique<Data>();
    data->path = path;
    if (begins_as_hdf5(file->bytes()))
      fail("{}: it is an HDF5 file, which bnc does not read\nhelp: save the weights as safetensors: "
           "`safetensors.numpy.save_file({{v.path: v.numpy() for v in model.variables}}, \"W.safetensors\")`", path);
    if (is_torch_file(file->bytes())) {
      TorchFile read = parse_torch_file(file, path);
      data->tensors = std::move(read.tensors);
      data->part = read.part;
      data->from_torch = true;
    } else {
      read_safetensors(file, *data);
    }
    data->dialect = dialect_of(data->tensors);
    return StateDict(std::move(data));
  });
}

std::optional<TensorConversion> conversion(const NetworkTensor& to, const StoredTensor& from, Dialect dialect, bool by_map) {
  TensorConversion how;
  how.axes = layout_axes(to.role, from.dims.size(), dialect);
  const Dims dims = permuted(from.dims, how.axes);
  const bool depthwise = dialect == Dialect::keras && dims.size() == 4 && as_depthwise(dims) == to.dims;
  if (dims != to.dims && !depthwise) {
    if (!by_map || from.dims != to.dims) return std::nullopt;
    how.axes = {};
  }
  if (dialect == Dialect::pytorch) {
    how.rows = to.rows;
    how.columns = to.columns;
  }
  return how;
}

Weight convert(const NetworkTensor& to, const StoredTensor& from, const TensorConversion& how, const std::string& path) {
  SharedNumbers numbers = from.numbers(path);
  if (!how.axes.empty()) numbers = with_axes(numbers.view(), from.dims, how.axes);
  if (how.rows || how.columns) numbers = with_order(numbers.view(), static_cast<size_t>(to.dims.back()), how);
  return {to.dims, numbers.view(), numbers.owner()};
}

}  // namespace bnc
