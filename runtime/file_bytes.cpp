#include "runtime/file_bytes.h"

#include <unistd.h>
#include <zlib.h>

#include "runtime/error.h"

namespace bnc {

std::shared_ptr<const FileBytes> open_file(const std::string& path) {
  return at_boundary([&] { return FileBytes::open(path); });
}

void check_memory(uint64_t bytes, const std::string& path) {
  const uint64_t most = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
  if (bytes > most) fail("{}: what it holds takes {} bytes or more, over half of this machine's memory", path, bytes);
}

std::vector<uint8_t> read_maybe_gzipped(const std::string& path) {
  const auto file = open_file(path);
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
