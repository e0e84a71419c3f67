// Pictures in files: PNG by libpng, JPEG by libjpeg-turbo, as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/file_bytes.h"

namespace bnc {

// What a file says of its picture before the pixels: 1 channel where it is grey, else 3 (RGB).
struct ImageHeader {
  int64_t height = 0, width = 0, channels = 1;
};

struct Image {
  int64_t height = 0, width = 0, channels = 1;
  std::vector<uint8_t> pixels;   // rows of pixels of channels
};

// Whether the extension of a name, in small or capital letters, is that of a PNG or JPEG image.
bool has_image_name(const std::string& name);

// The first bytes of a file decide what it is. Error, naming `path`, where it is no PNG or JPEG image, or a damaged one.
// Palettes become RGB, 1, 2, 4 and 16 bits become 8; transparency is dropped, and what a file says of its gamma, colour profile or
// orientation is not followed.
ImageHeader read_image_header(Bytes bytes, const std::string& path);
Image decode_image(Bytes bytes, const std::string& path);
// The two formats, for those.
bool is_png(Bytes bytes);
ImageHeader read_png_header(Bytes bytes, const std::string& path);
Image decode_png(Bytes bytes, const std::string& path);
ImageHeader read_jpeg_header(Bytes bytes, const std::string& path);
Image decode_jpeg(Bytes bytes, const std::string& path);

// With 1 or 3 channels. Colours become grey by the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, as Pillow's mode L has it.
Image with_channels(Image image, int64_t channels);

// Linear interpolation between pixels; where an image shrinks, the mean by a triangle as wide as what falls together, so that nothing is
// left out. Sides one after the other, each rounded to bytes: Image.resize(.., Resampling.BILINEAR) of Pillow, which documents it.
Image resized(const Image& image, int64_t height, int64_t width);

}  // namespace bnc
