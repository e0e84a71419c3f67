// Files as the readers of formats take them.
#pragma once

#include "ir/file_bytes.h"

namespace bnc {

// FileBytes::open, which throws Error.
std::shared_ptr<const FileBytes> open_file(const std::string& path);

// Error, naming `path`, where its contents are to take more than half of this machine's memory: a small file may claim any amount.
void check_memory(uint64_t bytes, const std::string& path);

// A whole file, inflated where it begins as a gzip stream. Throws Error when it cannot be read or its stream is damaged.
std::vector<uint8_t> read_maybe_gzipped(const std::string& path);

}  // namespace bnc
