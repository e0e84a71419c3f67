// The files of a model: the one with its graph, and those in its folder that hold external data.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "frontend/onnx/onnx_model.h"

namespace bnc {

struct OnnxBytes {
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};

// The bytes of a file, mapped where it is a regular one. CompileError where it cannot be read.
OnnxBytes read_onnx_bytes(const std::string& path);

// Where the elements of a tensor lie, as the file says.
struct OnnxLocation {
  std::string path;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

// External data. Files are opened once, and only inside of the model's folder, wherever symbolic links lead.
class OnnxExternalData {
 public:
  OnnxExternalData() = default;                       // of a model without a folder
  explicit OnnxExternalData(const OnnxFile& model);   // of a model that was read from that path

  // `count` bytes. CompileError where they do not lie there.
  OnnxBytes read(const OnnxTensor& tensor, const OnnxLocation& location, uint64_t count);

 private:
  std::string resolve(const OnnxTensor& tensor, const std::string& location) const;

  std::string folder_;  // without symbolic links; empty where there is none
  std::map<std::string, OnnxBytes> files_;  // by path without symbolic links
};

}  // namespace bnc
