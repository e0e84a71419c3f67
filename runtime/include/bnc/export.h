// Networks for other programs: as a model of ONNX, or as weights for PyTorch. Part of bnc/bnc.h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bnc/network.h"

namespace bnc {

struct ExportedModel {
  std::string bytes;                // of the file
  std::vector<std::string> notes;   // what a user should know of it, a sentence each
};

struct OnnxExportOptions {
  // Fold batch norms and constant expressions as frozen inference does. Else layers and batch norms stay what they are, with their
  // parameters, so that the model can be trained further.
  bool frozen = false;
  std::function<void(const std::string& warning)> on_warning = {};  // what is wrong with the weights, but not fatal
};

// The network as a model of ONNX (opset 17) that computes what inference with these weights computes. Inputs and outputs keep their names,
// types and shapes; the batch size is a symbol, i32 is int32. Images in between are channels first, convolution weights
// [out, in, kh, kw], those of dense layers [out, in]. Throws Error where the weights do not fit, where nodes of the network cannot be said
// in ONNX (it lists all of them with their places), and where the file would be larger than 2 GiB.
ExportedModel export_onnx(const Network& network, const WeightStore& weights, const OnnxExportOptions& options = {});

// The weights as a safetensors file that PyTorch loads into a module with the same layers (`load_state_dict`): convolution weights
// [out, in, kh, kw], dense ones [out, in], behind a flattened image in the order channels, height, width; batch norms have weight, bias,
// running_mean, running_var and num_batches_tracked. Names are those of bnc with PyTorch's last word: `stage1.batch_norm_1.running_mean`.
// Throws Error where the weights do not fit.
ExportedModel export_state_dict(const Network& network, const WeightStore& weights);

}  // namespace bnc
