// PNG images, for reports.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bnc {

// An 8-bit image of 1 (grey) or 3 (RGB) channels, rows of pixels of channels.
std::string encode_png(int64_t height, int64_t width, int64_t channels, std::span<const uint8_t> pixels);
std::string encode_base64(const std::string& bytes);

}  // namespace bnc
