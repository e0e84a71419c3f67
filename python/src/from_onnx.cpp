// Models of ONNX files.
#include <optional>
#include <string>
#include <string_view>

#include <pybind11/stl.h>

#include <bnc/import.h>

#include "python/src/arrays.h"
#include "python/src/module.h"

namespace bnc::python {

// (text of the network, weights, report) of a path, or of the bytes of a file that errors call `name`.
static py::tuple import_model(py::handle given, const std::string& name) {
  const bool is_path = py::isinstance<py::str>(given);
  const std::string path = is_path ? given.cast<std::string>() : "";
  const std::string_view bytes = is_path ? std::string_view() : std::string_view(py::reinterpret_borrow<py::bytes>(given));
  std::optional<ImportedNetwork> found;
  {
    py::gil_scoped_release release;   // the caller keeps the bytes
    found.emplace(is_path ? import_onnx(path) : import_onnx_bytes(bytes, name));
  }
  return py::make_tuple(found->source, to_python(found->weights), found->report);
}

void define_from_onnx(py::module_& module) { module.def("import_onnx", &import_model); }

}  // namespace bnc::python
