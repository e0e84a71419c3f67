// Arrays of Python as networks take them: without a copy where they lie as wanted, else converted, or refused with advice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <bnc/bnc.h>

namespace bnc::python {

namespace py = pybind11;

// What a network takes as an operand. `batch` is -1 where the type has none.
struct Operand {
  py::array array;
  int64_t batch = -1;
};

bool holds_floats(const TensorInfo& info);
std::vector<py::ssize_t> shape_at(const TensorInfo& info, int64_t batch);

// C-contiguous elements of the type that `info` says, in the machine's byte order. Error where `given` is none.
Operand operand_of(const TensorInfo& info, py::handle given);
// The memory of `given`, which must be an array that can be written to as it lies. Error where it is none.
void* memory_for(const TensorInfo& info, int64_t batch, py::handle given);

py::array to_numpy(const Array& array);
Array to_array(const TensorInfo& info, const py::array& array);

// Weights as Python has them: a list of names and arrays, and what is said of the model.
py::tuple to_python(const WeightStore& weights);
// From a path, or a mapping of names to arrays that may have `metadata`.
WeightStore to_weights(py::handle given);

}  // namespace bnc::python
