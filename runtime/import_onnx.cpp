#include <algorithm>

#include <fmt/format.h>

#include "bnc/import.h"
#include "frontend/onnx/import.h"
#include "runtime/error.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

std::string origin_of(const OnnxModel& model) {
  std::string text = fmt::format("opset {}", model.opset());
  if (!model.producer.empty()) text += ", written by " + model.producer;
  if (!model.producer.empty() && !model.producer_version.empty()) text += " " + model.producer_version;
  return text;
}

// What a model that bnc wrote says of its data: classes, columns, the scale of inputs. The network is called anew.
ModelMetadata metadata_of(const OnnxModel& model) {
  const ModelMetadata told = ModelMetadata::parse(model.metadata, *model.file);
  ModelMetadata metadata;
  metadata.input_scale = told.input_scale;
  metadata.targets = told.targets;
  metadata.classes = told.classes;
  metadata.table = told.table;
  metadata.images = told.images;
  return metadata;
}

ImportedNetwork imported(const OnnxModel& model, const ImportOptions& options) {
  OnnxImport result = import_onnx(model, {options.shapes, options.mean, options.deviation, options.keep_batch});
  std::vector<std::pair<std::string, int>> ops(result.ops.begin(), result.ops.end());
  std::stable_sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return {std::move(result.source),  make_store(std::move(result.weights), metadata_of(model)), origin_of(model), std::move(result.inputs),
          std::move(result.outputs), std::move(ops), std::move(result.notes)};
}

}  // namespace

ImportedNetwork import_onnx(const std::string& path, const ImportOptions& options) {
  return at_boundary([&] { return imported(read_onnx(path), options); });
}

ImportedNetwork import_onnx_bytes(std::string_view bytes, const std::string& name, const ImportOptions& options) {
  return at_boundary([&] { return imported(parse_onnx(bytes, name), options); });
}

}  // namespace bnc
