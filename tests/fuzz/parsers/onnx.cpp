// Models of ONNX: whatever is read is consistent, and becomes a network or an error. Beside the model lies a file `data` for its external
// data.
#include <set>
#include <string>
#include <string_view>

#include "frontend/onnx/import.h"
#include "frontend/onnx/onnx_model.h"
#include "ir/diagnostic.h"
#include "tests/fuzz/parsers/target.h"

namespace {

using namespace bnc;

void check_onnx_elements(const OnnxTensor& tensor) {
  if (!tensor.readable()) return;
  const size_t count = static_cast<size_t>(tensor.element_count());
  fuzz::expect(tensor.floats().size() == count, "a tensor has the elements that its shape says");
  try {
    if (tensor.is_integer()) fuzz::expect(tensor.integers().size() == count, "and as integers too");
  } catch (const CompileError&) {  // one exceeds an int64
  }
}

void check_onnx_order(const OnnxGraph& graph) {
  std::set<std::string_view> known;
  for (const OnnxValue& input : graph.inputs) fuzz::expect(known.insert(input.name).second, "an input has a name of its own");
  for (const OnnxTensor& tensor : graph.initializers) {
    fuzz::expect(known.insert(tensor.name).second, "an initializer has a name of its own");
    check_onnx_elements(tensor);
  }
  for (const OnnxNode& node : graph.nodes) {
    for (const std::string& input : node.inputs)
      fuzz::expect(input.empty() || known.contains(input), "what a node reads stands before it");
    for (const std::string& output : node.outputs)
      fuzz::expect(output.empty() || known.insert(output).second, "a result has a name of its own");
    for (const auto& [name, attribute] : node.attributes)
      if (const OnnxTensor* tensor = std::get_if<OnnxTensor>(&attribute)) check_onnx_elements(*tensor);
  }
  for (const OnnxValue& output : graph.outputs) fuzz::expect(known.contains(output.name), "an output exists");
}

}  // namespace

BNC_FUZZ_TARGET(onnx)(const uint8_t* data, size_t size) {
  static const fuzz::Folder folder;
  static const std::string external = folder.write("data", std::vector<uint8_t>(64, 1));
  const std::string path = folder.write("m.onnx", {data, size});
  try {
    const OnnxModel model = read_onnx(path);
    check_onnx_order(model.graph);
    const OnnxImport imported = import_onnx(model);
    fuzz::expect(!imported.source.empty(), "a network has a text");
  } catch (const CompileError& error) {
    fuzz::expect_error(error.what(), path);
  }
  return 0;
}
