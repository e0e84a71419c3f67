// Networks become models of ONNX.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "frontend/onnx/onnx_model.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

// The version of ONNX's ops that models are written for: the first with LayerNormalization.
inline constexpr int64_t exported_opset = 17;
inline constexpr int64_t exported_ir_version = 8;  // of the format, that of the same release

// Where a parameter or state of the network is in the model: how an initializer's elements are made of it.
struct OnnxParameter {
  std::string name;
  std::vector<int64_t> dims;             // in the network
  std::vector<int> order;                // dimension k of the initializer is dimension order[k], before it is reshaped
  int image_axis = -1;                   // before that: this axis, which counts the elements of an image [.., C], counts channels first
  std::vector<int64_t> image = {};
};

struct OnnxExport {
  OnnxModel model;
  std::map<std::string, OnnxParameter> parameters;   // by the initializer's name
  std::vector<std::string> notes;  // what the user should know of it, a sentence each
};

// What the network computes in inference, with these weights. Its inputs and outputs keep their names, types and shapes; the batch size
// is the symbol that the network has for it, and i32 is int32, so that the arrays that bnc takes fit. Between them images are channels
// first, as ONNX's layers take them. CompileError that names every node which cannot be said in ONNX.
OnnxExport export_onnx(const Graph& graph, const Weights& weights, const std::string& version);

// The parameter, of an initializer that is stored so.
Weight restored(const OnnxParameter& parameter, const OnnxTensor& initializer);

}  // namespace bnc
