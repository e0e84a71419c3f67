// PNG images, read by libpng. It leaves a damaged file with longjmp: what it calls, and what it is called from, holds nothing that has a
// destructor.
#include <png.h>

#include <csetjmp>
#include <cstring>
#include <new>

#include "runtime/error.h"
#include "runtime/image.h"

namespace bnc {

namespace {

struct PngReader {
  explicit PngReader(Bytes bytes) : rest(bytes) {}
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;

  Bytes rest;
  png_structp png = nullptr;
  png_infop info = nullptr;
  char problem[128] = "";
};

[[noreturn]] void leave_png(png_structp png, png_const_charp text) {
  auto& reader = *static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader.problem, text, sizeof reader.problem - 1);
  png_longjmp(png, 1);
}

void pass_over(png_structp, png_const_charp) {}

void take_bytes(png_structp png, png_bytep to, size_t count) {
  auto& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader.rest.size()) png_error(png, "the file ends too early");
  std::memcpy(to, reader.rest.data(), count);
  reader.rest = reader.rest.subspan(count);
}

// Reads up to the pixels; false after an error.
bool begin_png(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &reader, take_bytes);
  png_read_info(reader.png, reader.info);
  return true;
}

// Asks for bytes of 1 or 3 channels.
bool choose_form(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_expand(reader.png);
  png_set_scale_16(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

// An interlaced image comes in seven passes over the same rows.
bool read_png_rows(PngReader& reader, uint8_t* pixels, size_t stride, int64_t height, int passes) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  for (int pass = 0; pass < passes; ++pass)
    for (int64_t row = 0; row < height; ++row) png_read_row(reader.png, pixels + static_cast<size_t>(row) * stride, nullptr);
  png_read_end(reader.png, nullptr);
  return true;
}

ImageHeader open_png(PngReader& reader, const std::string& path) {
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, leave_png, pass_over);
  if (reader.png) reader.info = png_create_info_struct(reader.png);
  if (!reader.info) throw std::bad_alloc();
  if (!begin_png(reader)) fail("{}: damaged: libpng says `{}`", path, reader.problem);
  const bool grey = (png_get_color_type(reader.png, reader.info) & PNG_COLOR_MASK_COLOR) == 0;
  return {png_get_image_height(reader.png, reader.info), png_get_image_width(reader.png, reader.info), grey ? 1 : 3};
}

}  // namespace

bool is_png(Bytes bytes) { return bytes.size() >= 8 && png_sig_cmp(bytes.data(), 0, 8) == 0; }

ImageHeader read_png_header(Bytes bytes, const std::string& path) {
  PngReader reader(bytes);
  return open_png(reader, path);
}

Image decode_png(Bytes bytes, const std::string& path) {
  PngReader reader(bytes);
  const auto [height, width, channels] = open_png(reader, path);
  check_memory(static_cast<uint64_t>(height) * static_cast<uint64_t>(width) * static_cast<uint64_t>(channels), path);
  const int passes = png_get_interlace_type(reader.png, reader.info) == PNG_INTERLACE_NONE ? 1 : PNG_INTERLACE_ADAM7_PASSES;
  if (!choose_form(reader)) fail("{}: damaged: libpng says `{}`", path, reader.problem);
  const size_t stride = static_cast<size_t>(width * channels);
  BNC_CHECK(png_get_rowbytes(reader.png, reader.info) == stride);
  Image image{height, width, channels, std::vector<uint8_t>(static_cast<size_t>(height) * stride)};
  if (!read_png_rows(reader, image.pixels.data(), stride, height, passes)) fail("{}: damaged: libpng says `{}`", path, reader.problem);
  return image;
}

}  // namespace bnc
