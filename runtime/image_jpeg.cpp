// JPEG images, read by libjpeg-turbo. It leaves a damaged file with longjmp: what it calls, and what it is called from, holds nothing that
// has a destructor.
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>
#include <jerror.h>

#include <csetjmp>

#include "runtime/error.h"
#include "runtime/image.h"

namespace bnc {

namespace {

struct JpegReader {
  JpegReader() = default;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg); }
  JpegReader(const JpegReader&) = delete;

  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  std::jmp_buf place;
  char problem[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void leave_jpeg(j_common_ptr jpeg) {
  auto& reader = *static_cast<JpegReader*>(jpeg->client_data);
  jpeg->err->format_message(jpeg, reader.problem);
  std::longjmp(reader.place, 1);
}

// Of what the library can go on after, pixels that are lost are an error.
void judge_message(j_common_ptr jpeg, int level) {
  const int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE))
    leave_jpeg(jpeg);
}

void print_nothing(j_common_ptr) {}

// Reads up to the pixels; false after an error.
bool begin_jpeg(JpegReader& reader, Bytes bytes) {
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = leave_jpeg;
  reader.errors.emit_message = judge_message;
  reader.errors.output_message = print_nothing;
  reader.jpeg.client_data = &reader;
  if (setjmp(reader.place)) return false;
  jpeg_create_decompress(&reader.jpeg);
  jpeg_mem_src(&reader.jpeg, bytes.data(), static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&reader.jpeg, TRUE);
  const J_COLOR_SPACE space = reader.jpeg.jpeg_color_space;
  if (reader.jpeg.num_components == 1) reader.jpeg.out_color_space = JCS_GRAYSCALE;
  else if (space == JCS_CMYK || space == JCS_YCCK) reader.jpeg.out_color_space = JCS_CMYK;
  else reader.jpeg.out_color_space = JCS_RGB;
  return true;
}

// Rows of as many bytes a pixel as the colour space has.
bool read_jpeg_rows(JpegReader& reader, uint8_t* pixels, size_t stride) {
  if (setjmp(reader.place)) return false;
  jpeg_start_decompress(&reader.jpeg);
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = pixels + reader.jpeg.output_scanline * stride;
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return true;
}

ImageHeader open_jpeg(JpegReader& reader, Bytes bytes, const std::string& path) {
  if (!begin_jpeg(reader, bytes)) fail("{}: damaged: libjpeg says `{}`", path, reader.problem);
  return {reader.jpeg.image_height, reader.jpeg.image_width, reader.jpeg.out_color_space == JCS_GRAYSCALE ? 1 : 3};
}

// Inks become light. Programs of Adobe write the light that is left instead of the ink.
std::vector<uint8_t> rgb_of_cmyk(const std::vector<uint8_t>& inks, bool inverted) {
  std::vector<uint8_t> pixels;
  pixels.reserve(inks.size() / 4 * 3);
  const auto light = [inverted](uint8_t byte) { return inverted ? byte : 255 - byte; };
  for (size_t k = 0; k < inks.size(); k += 4)
    for (size_t ink = 0; ink < 3; ++ink) pixels.push_back(static_cast<uint8_t>((light(inks[k + ink]) * light(inks[k + 3]) + 127) / 255));
  return pixels;
}

}  // namespace

ImageHeader read_jpeg_header(Bytes bytes, const std::string& path) {
  JpegReader reader;
  return open_jpeg(reader, bytes, path);
}

Image decode_jpeg(Bytes bytes, const std::string& path) {
  JpegReader reader;
  const auto [height, width, channels] = open_jpeg(reader, bytes, path);
  const bool inks = reader.jpeg.out_color_space == JCS_CMYK;
  const size_t stride = static_cast<size_t>(width * (inks ? 4 : channels));
  check_memory(static_cast<uint64_t>(height) * stride, path);
  Image image{height, width, channels, std::vector<uint8_t>(static_cast<size_t>(height) * stride)};
  if (!read_jpeg_rows(reader, image.pixels.data(), stride)) fail("{}: damaged: libjpeg says `{}`", path, reader.problem);
  if (inks) image.pixels = rgb_of_cmyk(image.pixels, reader.jpeg.saw_Adobe_marker);
  return image;
}

}  // namespace bnc
