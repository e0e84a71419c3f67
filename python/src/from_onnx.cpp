// Models of ONNX files.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include <bnc/import.h>

#include "python/src/arrays.h"
#include "python/src/module.h"

namespace bnc::python {

// (text of the network, weights, notes) of a path, or of the bytes of a file that errors call `name`.
static py::tuple import_model(py::handle given, const std::string& name, std::map<std::string, std::vector<int64_t>> shapes,
                              std::vector<double> mean, std::vector<double> deviation, bool keep_batch) {
  const bool is_path = py::isinstance<py::str>(given);
  const std::string path = is_path ? given.cast<std::string>() : "";
  const std::string_view bytes = is_path ? std::string_view() : std::string_view(py::reinterpret_borrow<py::bytes>(given));
  const ImportOptions options{std::move(shapes), std::move(mean), std::move(deviation), keep_batch};
  std::optional<ImportedNetwork> found;
  {
    py::gil_scoped_release release;   // the caller keeps the bytes
    found.emplace(is_path ? import_onnx(path, options) : import_onnx_bytes(bytes, name, options));
  }
  return py::make_tuple(found->source, to_python(found->weights), found->notes);
}

void define_from_onnx(py::module_& module) { module.def("import_onnx", &import_model); }

}  // namespace bnc::python
