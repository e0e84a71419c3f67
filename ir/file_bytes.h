// The bytes of a file, memory-mapped or read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bnc {

using Bytes = std::span<const uint8_t>;

// A whole file, mapped where it is a regular one.
class FileBytes {
 public:
  // Throws std::system_error, which names the file, where it cannot be read.
  static std::shared_ptr<const FileBytes> open(const std::string& path);
  ~FileBytes();
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  Bytes bytes() const { return bytes_; }

 private:
  FileBytes() = default;
  Bytes bytes_;
  bool mapped_ = false;
  std::vector<uint8_t> owned_;
};

}  // namespace bnc
