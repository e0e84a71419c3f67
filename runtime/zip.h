// ZIP archives, as NumPy's .npz are: stored or deflated entries, ZIP64 understood.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/file_bytes.h"

namespace bnc {

// The bytes of one entry: part of the archive where they are stored as they are, else inflated.
struct ZipData {
  Bytes bytes;
  std::shared_ptr<const std::vector<uint8_t>> inflated = {};
};

// An archive whose entries are read one by one. The bytes it was made of must outlive it and what it gives.
class ZipArchive {
 public:
  // Throws Error where it is no archive, is damaged, holds a name twice or claims more than memory; `path` is for its text.
  ZipArchive(Bytes archive, std::string path);

  const std::vector<std::string>& names() const { return names_; }   // in the order of the directory
  bool has(const std::string& name) const { return entries_.contains(name); }
  uint64_t size(const std::string& name) const { return entries_.at(name).size; }   // inflated
  // Throws Error where the entry is damaged. `may_lack_checksum`: 0 stands for a CRC-32 that the writer did not compute.
  ZipData read(const std::string& name, bool may_lack_checksum = false) const;

 private:
  struct Entry {
    uint64_t flags = 0, method = 0, crc = 0, compressed = 0, size = 0, local = 0;
  };
  friend class ZipDirectory;

  Bytes archive_;
  std::string path_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

struct ZipEntry {
  std::string name;
  std::vector<uint8_t> bytes;
};

// All entries, inflated and checked against their CRC-32, in the order of the directory. Throws Error; `path` is for its text.
std::vector<ZipEntry> read_zip(Bytes archive, const std::string& path);

// An archive of stored entries without a time stamp: the same entries give the same bytes. Throws Error above 4 GiB.
std::string write_zip(const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace bnc
