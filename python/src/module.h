// The parts of the module `bnc._native`, which the Python files of the package wrap.
#pragma once

#include <pybind11/pybind11.h>

namespace bnc::python {

void define_errors(pybind11::module_& module);
void define_network(pybind11::module_& module);
void define_program(pybind11::module_& module);
void define_trainer(pybind11::module_& module);
void define_training(pybind11::module_& module);
void define_from_onnx(pybind11::module_& module);

}  // namespace bnc::python
