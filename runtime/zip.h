// ZIP archives, as NumPy's .npz are: stored or deflated entries, ZIP64 understood.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/file_bytes.h"

namespace bnc {

struct ZipEntry {
  std::string name;
  std::vector<uint8_t> bytes;
};

// All entries, inflated and checked against their CRC-32, in the order of the directory. Throws Error; `path` is for its text.
std::vector<ZipEntry> read_zip(Bytes archive, const std::string& path);

// An archive of stored entries without a time stamp: the same entries give the same bytes. Throws Error above 4 GiB.
std::string write_zip(const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace bnc
