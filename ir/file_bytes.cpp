#include "ir/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace bnc {

namespace {

// The address sanitizer sees a read behind the end of what was allocated, but not of what was mapped.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool map_files = false;
#elif defined(__has_feature)
constexpr bool map_files = !__has_feature(address_sanitizer);
#else
constexpr bool map_files = true;
#endif

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

[[noreturn]] void fail_reading(const std::string& path, int error) {
  throw std::system_error(error, std::generic_category(), "cannot read " + path);
}

}  // namespace

std::shared_ptr<const FileBytes> FileBytes::open(const std::string& path) {
  const Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (descriptor.value < 0 || ::fstat(descriptor.value, &status) != 0) fail_reading(path, errno);
  if (S_ISDIR(status.st_mode)) fail_reading(path, EISDIR);
  std::shared_ptr<FileBytes> file(new FileBytes);
  if (map_files && S_ISREG(status.st_mode) && status.st_size > 0) {
    const size_t size = static_cast<size_t>(status.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.value, 0);
    if (address == MAP_FAILED) fail_reading(path, errno);
    file->bytes_ = {static_cast<const uint8_t*>(address), size};
    file->mapped_ = true;
    return file;
  }
  uint8_t chunk[65536];
  while (true) {
    const ssize_t count = ::read(descriptor.value, chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_reading(path, errno);
    if (count == 0) break;
    file->owned_.insert(file->owned_.end(), chunk, chunk + count);
  }
  file->owned_.shrink_to_fit();
  file->bytes_ = file->owned_;
  return file;
}

FileBytes::~FileBytes() {
  if (mapped_) ::munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace bnc
