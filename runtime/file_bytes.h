// The bytes of a file, memory-mapped or read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bnc {

using Bytes = std::span<const uint8_t>;

// A whole file, mapped where it is a regular one. Throws Error when it cannot be read.
class FileBytes {
 public:
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

// Error, naming `path`, where its contents are to take more than half of this machine's memory: a small file may claim any amount.
void check_memory(uint64_t bytes, const std::string& path);

// A whole file, inflated where it begins as a gzip stream. Throws Error when it cannot be read or its stream is damaged.
std::vector<uint8_t> read_maybe_gzipped(const std::string& path);

}  // namespace bnc
