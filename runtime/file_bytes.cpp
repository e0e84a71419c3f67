#include "runtime/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

#include "runtime/error.h"

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

[[noreturn]] void fail_reading(const std::string& path, int error) { fail("cannot read {}: {}", path, std::strerror(error)); }

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

void check_memory(uint64_t bytes, const std::string& path) {
  const uint64_t most = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
  if (bytes > most) fail("{}: what it holds takes {} bytes or more, over half of this machine's memory", path, bytes);
}

std::vector<uint8_t> read_maybe_gzipped(const std::string& path) {
  const auto file = FileBytes::open(path);
  const Bytes input = file->bytes();
  if (input.size() < 2 || input[0] != 0x1f || input[1] != 0x8b) return {input.begin(), input.end()};

  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) fail("cannot read {}: zlib cannot start", path);
  std::vector<uint8_t> output(input.size() * 4 + 1024);
  stream.next_in = const_cast<Bytef*>(input.data());
  size_t consumed = 0, produced = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    if (produced == output.size()) {
      check_memory(output.size() * 2, path);
      output.resize(output.size() * 2);
    }
    const uInt room = static_cast<uInt>(std::min<size_t>(output.size() - produced, 1u << 30));
    const uInt rest = static_cast<uInt>(std::min<size_t>(input.size() - consumed, 1u << 30));
    stream.next_in = const_cast<Bytef*>(input.data()) + consumed;
    stream.avail_in = rest;
    stream.next_out = output.data() + produced;
    stream.avail_out = room;
    status = inflate(&stream, Z_NO_FLUSH);
    consumed += rest - stream.avail_in;
    produced += room - stream.avail_out;
    if (status == Z_STREAM_END && input.size() - consumed > 2 && input[consumed] == 0x1f && input[consumed + 1] == 0x8b) {
      status = inflateReset(&stream);  // a further member of the stream
    }
  }
  inflateEnd(&stream);
  if (status == Z_BUF_ERROR) fail("{}: truncated: its gzip stream ends after {} bytes", path, produced);
  if (status != Z_STREAM_END) fail("{}: its gzip stream is damaged after {} bytes", path, produced);
  output.resize(produced);
  return output;
}

}  // namespace bnc
