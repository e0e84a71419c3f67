// Networks that normalize their input themselves.
#pragma once

#include "frontend/onnx/import/importer.h"

namespace bnc::onnx {

// (x - offset)/scale, or x*factor + addend, in front of everything else becomes `preprocess`, with both as its statistics.
void name_preprocessing(Importer& importer);

}  // namespace bnc::onnx
