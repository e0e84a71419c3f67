// Networks that were trained elsewhere, as networks of bnc.
//
//   bnc::ImportedNetwork imported = bnc::import_onnx("resnet20.onnx");
//   bnc::Network network = bnc::Network::from_text(imported.source, "resnet20.bn");
//   bnc::Session session = network.compile({.batch = 1}, imported.weights);
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bnc/values.h"

namespace bnc {

struct ImportOptions {
  // Shapes of inputs that the file leaves open, by the input's name; -1 is the batch size.
  std::map<std::string, std::vector<int64_t>> shapes = {};
  // What is subtracted from images, and what they are divided by then, one number for each channel or one for all: preparation that was
  // done outside of the model becomes a part of the network (`preprocess`). Both or none.
  std::vector<double> mean = {}, deviation = {};
  // Keeps a batch size that the file fixes. Without, the network takes any batch where no op depends on it.
  bool keep_batch = false;
};

struct ImportedNetwork {
  std::string source;                               // a .bn file: channels last, inputs and outputs in the model's own layout
  WeightStore weights;                              // by the names that the source gives them
  std::string origin;                               // "opset 17, written by pytorch 2.1"
  // What the model calls each input and output, and what the source does: a name such as `input.1` is no word of the language.
  std::vector<std::pair<std::string, std::string>> inputs, outputs;
  std::vector<std::pair<std::string, int>> ops;     // how many nodes of each op the model has, the most frequent first
  std::vector<std::string> notes;                   // what was assumed, and what is doubtful in the file
};

// Reads an ONNX model (opset 6 and later; external data in the file's folder). Throws Error where it cannot be read, and one Error that
// lists every node that cannot be imported.
ImportedNetwork import_onnx(const std::string& path, const ImportOptions& options = {});
// The same of the bytes of a file, which errors call `name`.
ImportedNetwork import_onnx_bytes(std::string_view bytes, const std::string& name, const ImportOptions& options = {});

}  // namespace bnc
