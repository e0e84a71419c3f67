// Windows that slide over an image: those of convolutions and of pools.
#pragma once

#include "frontend/onnx/import/node_import.h"

namespace bnc::onnx {

// One number for each spatial axis; padding [begin.., end..] as ONNX has it.
struct Window {
  IntList kernel, stride, dilation, padding;
};

// What the attributes say of a window of that size, without `auto_pad`. CompileError where a number is out of range.
Window window_of(const NodeImport& cx, IntList kernel);

// Follows `auto_pad` of a window over operand 0: none, or so much that there is one result for each `stride` elements.
void pad_automatically(const NodeImport& cx, Window& window);
// `total` elements at both ends of an axis, an odd one where `auto_pad` has it.
void pad_axis(const NodeImport& cx, Window& window, size_t axis, int64_t total);

// The padding as bnc's layers take it, in its shortest form.
Attribute padding_attribute(const Window& window);

}  // namespace bnc::onnx
