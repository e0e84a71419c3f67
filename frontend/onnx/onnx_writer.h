// ONNX files are written: the structures of onnx_model.h become bytes.
#pragma once

#include <string>

#include "frontend/onnx/onnx_model.h"

namespace bnc {

// No file of ONNX may be larger, protobuf counting its bytes in an int.
inline constexpr size_t largest_onnx_file = (size_t{1} << 31) - 1;

// The bytes of a file, the same for the same model. CompileError where it would be larger than a file of ONNX may be.
std::string write_onnx(const OnnxModel& model);

}  // namespace bnc
