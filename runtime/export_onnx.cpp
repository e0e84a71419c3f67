// A network as a model of ONNX: what the passes leave of it goes to the writer in the frontend.
#include "bnc/export.h"

#include "frontend/onnx/export.h"
#include "frontend/onnx/onnx_writer.h"
#include "passes/graph/check_variances.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// As in the pipeline of inference, up to where ops are taken apart for code.
const std::vector<std::string> folding_for_onnx = {"canonicalize", "freeze", "fold-batch-norm", "canonicalize", "constant-fold",
                                                   "common-subexpressions", "dead-code"};

// Stored variances, which in inference all batch norms read, whatever they do in training.
std::vector<Diagnostic> check_stored_variances(const Graph& graph, Weights& weights) {
  Graph inference = graph.clone();
  for (Node* node : inference.nodes_of("batch_norm")) node->attributes["mode"] = "infer";
  return check_running_variances(inference, weights);
}

}  // namespace

ExportedModel export_onnx(const Network& network, const WeightStore& weights, const OnnxExportOptions& options) {
  return at_boundary([&] {
    network.check_weights(weights);
    Compilation compilation(network.data(), {.on_warning = options.on_warning}, &weights.data().weights);
    if (options.frozen) compilation.run_passes(folding_for_onnx);
    for (const Diagnostic& warning : check_stored_variances(compilation.graph, compilation.weights))
      if (options.on_warning) options.on_warning(render(warning));
    OnnxExport exported = export_onnx(compilation.graph, compilation.weights, BNC_VERSION);
    const auto& told = weights.data().metadata.entries();   // classes, columns, the scale of inputs
    exported.model.metadata.insert(told.begin(), told.end());
    return ExportedModel{write_onnx(exported.model), exported.notes};
  });
}

}  // namespace bnc
