// Checks and errors that the parts of the ONNX reader share.
#pragma once

#include <string>
#include <string_view>

#include "frontend/onnx/onnx_model.h"

namespace bnc {

inline constexpr const char* onnx_damaged = "the file is damaged, or was cut out of a larger one: export the model again";

// CompileError that begins with the file's name; `help` is attached unless empty.
[[noreturn]] void fail_onnx(const OnnxFile& file, const std::string& text, const std::string& help = "");

// A name for a message, cut short where it is long; and in backquotes.
std::string onnx_shortened(std::string_view name);
std::string onnx_quoted(std::string_view name);

// CompileError where a name is no UTF-8 or holds control characters; `what` it names.
void check_onnx_name(const OnnxFile& file, std::string_view name, const std::string& what);
void check_onnx_text(const OnnxFile& file, std::string_view text, const std::string& what);  // where line breaks are well

// Bytes of an element; 0 where the type is not readable.
size_t onnx_element_bytes(OnnxType type);

// The type of that number. CompileError where there is none; `what` has it.
OnnxType onnx_type(const OnnxFile& file, int number, const std::string& what);

// CompileError where no tensor has these dimensions.
void check_onnx_dims(const OnnxTensor& tensor);

// Fills the index of initializers, takes those out of the inputs, checks names, and sorts the nodes.
void check_onnx_graph(OnnxGraph& graph, const OnnxFile& file);

}  // namespace bnc
