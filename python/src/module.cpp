// The module `bnc._native`: the C++ API as it is. What users see are the Python files beside it.
#include "python/src/module.h"

#include <stdexcept>

#include <pybind11/stl.h>

#include <bnc/bnc.h>

namespace bnc::python {

namespace py = pybind11;

namespace {

// Raises the exception that the package made for this.
void raise(const char* name, const py::object& argument) {
  const py::object type = py::module_::import("bnc._errors").attr(name);
  PyErr_SetObject(type.ptr(), type(argument).ptr());
}

py::dict facts_of(const Divergence& found) {
  using namespace py::literals;
  return py::dict("step"_a = found.step, "tensor"_a = found.tensor, "place"_a = found.place, "checkpoint_step"_a = found.checkpoint_step,
                  "checkpoint_path"_a = found.checkpoint_path, "best_weights_path"_a = found.best_weights_path,
                  "report_path"_a = found.report_path);
}

}  // namespace

void define_errors(py::module_&) {
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      std::rethrow_exception(pointer);
    } catch (const DivergenceError& error) {
      raise("DivergenceError", py::make_tuple(error.what(), facts_of(error.found())));
    } catch (const Error& error) {
      raise("Error", py::str(error.what()));
    } catch (const std::logic_error& error) {
      raise("InternalError", py::str(error.what()));
    }
  });
}

}  // namespace bnc::python

PYBIND11_MODULE(_native, module) {
  namespace python = bnc::python;
  pybind11::options options;
  options.disable_function_signatures();
  python::define_errors(module);
  python::define_network(module);
  python::define_program(module);
  python::define_trainer(module);
  python::define_training(module);
  python::define_from_onnx(module);
  module.def("version", &bnc::version);
}
