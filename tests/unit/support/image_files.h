// The bytes of small images, written by the libraries that other programs write them with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bnc::test {

// A pixel that is different from its neighbours in each direction and channel.
inline uint8_t pattern_at(int64_t y, int64_t x, int64_t channel = 0) {
  return static_cast<uint8_t>(37 * y + 91 * x + 53 * channel + 7 * y * x);
}
std::vector<uint8_t> pattern(int64_t height, int64_t width, int64_t channels);

struct PngForm {
  int color_type = 0, bits = 8;      // as PNG has them
  bool interlaced = false;
  std::vector<uint8_t> palette = {};   // RGB, of color type 3
  std::vector<uint8_t> alphas = {};    // of the palette
};
// `rows` as the form has them: 16-bit samples big-endian, samples below a byte packed.
std::string png_bytes(int64_t height, int64_t width, const std::vector<uint8_t>& rows, const PngForm& form);
// 1 channel (grey), 3 (RGB) or 4 (CMYK, inverted as Adobe's programs write it).
std::string jpeg_bytes(int64_t height, int64_t width, int64_t channels, const std::vector<uint8_t>& pixels, bool progressive = false);

}  // namespace bnc::test
