// Makes one op of what exporters take apart, and leaves out what a layer does by itself.
#pragma once

#include "ir/graph.h"

namespace bnc::onnx {

// Layer norms and GELUs written in parts become ops; parts of a row are taken before it is reshaped; padding that is `same` for all
// convolutions is called so. Values that nothing reads any more are left in the graph.
void simplify(Graph& graph);

}  // namespace bnc::onnx
