// Networks that normalize their input themselves.
#pragma once

#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc::onnx {

// (x - offset)/scale in front of everything else becomes `preprocess`, with both as its statistics.
void name_preprocessing(Graph& graph, Weights& weights);

}  // namespace bnc::onnx
