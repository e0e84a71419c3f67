// An ONNX model as a network of bnc: channels last, with its own parameters, as a person would have written it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "frontend/onnx/onnx_model.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

struct OnnxImportOptions {
  // Shapes of inputs that the file leaves open, by name; -1 is the batch size.
  std::map<std::string, std::vector<int64_t>> shapes = {};
  // What is subtracted from images, and what they are divided by then, for each channel or for all: what was done outside of the model
  // becomes a part of the network. Both or none.
  std::vector<double> mean = {}, deviation = {};
  // Keeps the batch size that the file fixes; else a network takes any where that is possible.
  bool keep_batch = false;
};

struct OnnxImport {
  std::string source;               // text of a .bn file
  Weights weights;                  // by the names that the text gives parameters
  Graph graph;                      // what the text says
  // What the model calls each input and output, and what the text does, in order.
  std::vector<std::pair<std::string, std::string>> inputs, outputs;
  std::vector<std::string> notes;   // what was assumed, and what is doubtful
  std::map<std::string, int> ops;   // how many nodes there were of each op
};

// CompileError that lists all nodes that cannot be imported.
OnnxImport import_onnx(const OnnxModel& model, const OnnxImportOptions& options = {});

}  // namespace bnc
