#include "python/src/arrays.h"

#include <algorithm>
#include <map>
#include <utility>

#include <pybind11/stl.h>

namespace bnc::python {

namespace {

using FloatArray = py::array_t<float, py::array::c_style>;
using IntegerArray = py::array_t<int32_t, py::array::c_style>;

constexpr const char* pixels_advice = "bytes are pixels, which networks take in [0, 1]: give x.astype(numpy.float32) / 255";

[[noreturn]] void refuse(const std::string& text, const std::string& help = "") {
  throw Error("error: " + text + (help.empty() ? "" : "\nhelp: " + help));
}

// "float64[3, 784]"
std::string show_array(const py::array& array) {
  std::string text = py::str(array.dtype()).cast<std::string>() + "[";
  for (py::ssize_t k = 0; k < array.ndim(); ++k) text += (k > 0 ? ", " : "") + std::to_string(array.shape(k));
  return text + "]";
}

bool is_aligned(const py::array& array) { return array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_; }

template <class Typed>
bool lies_as_wanted(py::handle given) {
  return Typed::check_(given) && is_aligned(py::reinterpret_borrow<py::array>(given));
}

py::array any_array(py::handle given) {
  if (py::isinstance<py::array>(given)) return py::reinterpret_borrow<py::array>(given);
  const py::module_ numpy = py::module_::import("numpy");
  return numpy.attr(py::hasattr(given, "__dlpack__") ? "from_dlpack" : "asarray")(given);
}

[[noreturn]] void refuse_type(const TensorInfo& info, const py::array& array, const std::string& help = "") {
  refuse("`" + info.name + "` is " + info.type + ", but the array given is " + show_array(array), help);
}

// C-contiguous and aligned; a copy where it is not.
py::array required(const py::array& array, const char* type) {
  return py::module_::import("numpy").attr("require")(array, type, "CA");
}

py::array as_floats(const TensorInfo& info, const py::array& array) {
  const char kind = array.dtype().kind();
  if (kind == 'u' && array.itemsize() == 1) refuse_type(info, array, pixels_advice);
  if (kind != 'f' && kind != 'i' && kind != 'u' && kind != 'b') refuse_type(info, array);
  return required(array, "float32");
}

py::array as_integers(const TensorInfo& info, const py::array& array) {
  const char kind = array.dtype().kind();
  if (kind != 'i' && kind != 'u' && kind != 'b') refuse_type(info, array);
  const py::array narrow = required(array, "int32");
  if (!py::module_::import("numpy").attr("array_equal")(narrow, array).cast<bool>())
    refuse("`" + info.name + "` holds a number that exceeds int32");
  return narrow;
}

// The batch size with which the shape fits; -1 where the type has none. Error where it does not fit.
int64_t batch_of(const TensorInfo& info, const py::array& array) {
  const auto misfit = [&] {
    const bool one_example = array.ndim() + 1 == static_cast<py::ssize_t>(info.dims.size()) && !info.dims.empty() && info.dims[0] < 0;
    refuse_type(info, array, one_example ? "an example alone is a batch of one: x[None]" : "");
  };
  if (array.ndim() != static_cast<py::ssize_t>(info.dims.size())) misfit();
  int64_t batch = -1;
  for (size_t k = 0; k < info.dims.size(); ++k) {
    const int64_t dim = info.dims[k], extent = array.shape(static_cast<py::ssize_t>(k));
    if (dim >= 0 && extent != dim) misfit();
    if (dim >= 0) continue;
    if (extent % -dim != 0 || (batch >= 0 && extent / -dim != batch)) misfit();
    batch = extent / -dim;
  }
  if (batch == 0) refuse("the array given for `" + info.name + "` holds no example");
  return batch;
}

}  // namespace

bool holds_floats(const TensorInfo& info) { return info.type.starts_with("f32"); }

std::vector<py::ssize_t> shape_at(const TensorInfo& info, int64_t batch) {
  std::vector<py::ssize_t> shape(info.dims.begin(), info.dims.end());
  for (py::ssize_t& extent : shape)
    if (extent < 0) extent *= -batch;
  return shape;
}

Operand operand_of(const TensorInfo& info, py::handle given) {
  const bool floats = holds_floats(info);
  Operand operand;
  if (floats ? lies_as_wanted<FloatArray>(given) : lies_as_wanted<IntegerArray>(given)) {
    operand.array = py::reinterpret_borrow<py::array>(given);
  } else {
    const py::array any = any_array(given);
    operand.array = floats ? as_floats(info, any) : as_integers(info, any);
  }
  operand.batch = batch_of(info, operand.array);
  return operand;
}

void* memory_for(const TensorInfo& info, int64_t batch, py::handle given) {
  const bool fits_type = holds_floats(info) ? lies_as_wanted<FloatArray>(given) : lies_as_wanted<IntegerArray>(given);
  const std::string type = holds_floats(info) ? "float32" : "int32";
  if (!fits_type) refuse("`out` for `" + info.name + "` must be a C-contiguous numpy array of " + type);
  py::array array = py::reinterpret_borrow<py::array>(given);
  const std::vector<py::ssize_t> shape = shape_at(info, batch);
  if (!std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim()))
    refuse("`" + info.name + "` is " + info.type + ", but `out` for " + std::to_string(batch) + " examples is " + show_array(array));
  if (!array.writeable()) refuse("`out` for `" + info.name + "` cannot be written to");
  return array.mutable_data();
}

py::array to_numpy(const Array& array) {
  const std::vector<py::ssize_t> shape(array.dims().begin(), array.dims().end());
  if (array.is_float()) return py::array_t<float>(shape, array.floats().data());
  return py::array_t<int32_t>(shape, array.integers().data());
}

Array to_array(const TensorInfo& info, const py::array& array) {
  const std::vector<int64_t> dims(array.shape(), array.shape() + array.ndim());
  if (holds_floats(info)) {
    const float* values = static_cast<const float*>(array.data());
    return Array(dims, std::vector<float>(values, values + array.size()));
  }
  const int32_t* values = static_cast<const int32_t*>(array.data());
  return Array(dims, std::vector<int32_t>(values, values + array.size()));
}

py::tuple to_python(const WeightStore& weights) {
  py::list entries;
  for (const std::string& name : weights.names()) {
    const std::vector<int64_t> dims = weights.dims(name);
    const std::vector<py::ssize_t> shape(dims.begin(), dims.end());
    entries.append(py::make_tuple(name, py::array_t<float>(shape, weights.values(name).data())));
  }
  return py::make_tuple(entries, weights.metadata());
}

WeightStore to_weights(py::handle given) {
  if (py::isinstance<py::str>(given)) return WeightStore::load(given.cast<std::string>());
  WeightStore weights;
  if (!py::hasattr(given, "items")) refuse("weights are a mapping of names to arrays, or the path of a file");
  for (py::handle item : given.attr("items")()) {
    const auto [name, value] = item.cast<std::pair<std::string, py::object>>();
    const py::array array = any_array(value);
    const TensorInfo info{name, "f32", {}, false};
    const py::array floats = as_floats(info, array);
    const float* values = static_cast<const float*>(floats.data());
    weights.set(name, {floats.shape(), floats.shape() + floats.ndim()}, std::vector<float>(values, values + floats.size()));
  }
  if (py::hasattr(given, "metadata")) {
    const auto entries = given.attr("metadata").cast<std::map<std::string, std::string>>();
    weights.set_metadata({entries.begin(), entries.end()});
  }
  return weights;
}

}  // namespace bnc::python
