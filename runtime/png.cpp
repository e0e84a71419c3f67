// Chunks and filters after the PNG specification (W3C, third edition).
#include "runtime/png.h"

#include <zlib.h>

#include "ir/diagnostic.h"

namespace bnc {

namespace {

void append_u32(std::string& bytes, uint64_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift & 0xff));
}

void append_chunk(std::string& file, const std::string& type, const std::string& data) {
  append_u32(file, data.size());
  const std::string body = type + data;
  file += body;
  append_u32(file, crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
}

}  // namespace

std::string encode_png(int64_t height, int64_t width, int64_t channels, std::span<const uint8_t> pixels) {
  BNC_CHECK((channels == 1 || channels == 3) && static_cast<int64_t>(pixels.size()) == height * width * channels);
  std::string header, rows;
  append_u32(header, static_cast<uint64_t>(width));
  append_u32(header, static_cast<uint64_t>(height));
  header += {8, static_cast<char>(channels == 1 ? 0 : 2), 0, 0, 0};  // bits, grey or RGB, deflate, filters, not interlaced
  const size_t stride = static_cast<size_t>(width * channels);
  for (size_t row = 0; row < static_cast<size_t>(height); ++row) {
    rows.push_back(0);  // no filter
    rows.append(reinterpret_cast<const char*>(pixels.data()) + row * stride, stride);
  }
  uLongf size = compressBound(rows.size());
  std::string compressed(size, '\0');
  BNC_CHECK(compress(reinterpret_cast<Bytef*>(compressed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size()) == Z_OK);
  compressed.resize(size);

  std::string file = "\x89PNG\r\n\x1a\n";
  append_chunk(file, "IHDR", header);
  append_chunk(file, "IDAT", compressed);
  append_chunk(file, "IEND", "");
  return file;
}

std::string encode_base64(const std::string& bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (at + k < bytes.size() ? static_cast<uint8_t>(bytes[at + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) text.push_back(at + k <= bytes.size() ? digits[group >> (18 - 6 * k) & 63] : '=');
  }
  return text;
}

}  // namespace bnc
