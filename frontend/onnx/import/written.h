// The end of an import: what became superfluous is left out, and the network is written as source.
#pragma once

#include "frontend/onnx/import.h"
#include "frontend/onnx/import/importer.h"

namespace bnc::onnx {

OnnxImport written(const OnnxModel& model, Importer& importer);
// A network that is whole already.
OnnxImport written(const OnnxModel& model, const Graph& graph, const Weights& weights);

}  // namespace bnc::onnx
