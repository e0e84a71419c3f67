#include "runtime/image.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "runtime/error.h"

namespace bnc {

namespace {

bool is_jpeg(Bytes bytes) { return bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff; }

[[noreturn]] void refuse_format(Bytes bytes, const std::string& path) {
  if (bytes.empty()) fail("{}: the file is empty, and no image", path);
  fail("{}: neither a PNG nor a JPEG image\nhelp: convert it to PNG, or move it out of the folder", path);
}

// Numbers are kept as multiples of 2^-22, so that results are the same on every machine.
constexpr int fraction_bits = 22;

// The pixels along a side that one pixel of the result is a mean of.
struct PixelMean {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

std::vector<PixelMean> pixel_means(int64_t from, int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to), reach = std::max(scale, 1.0);
  std::vector<PixelMean> all(static_cast<size_t>(to));
  for (int64_t k = 0; k < to; ++k) {
    PixelMean& mean = all[static_cast<size_t>(k)];
    const double centre = (static_cast<double>(k) + 0.5) * scale;
    mean.first = std::max<int64_t>(0, static_cast<int64_t>(centre - reach + 0.5));
    const int64_t end = std::min(from, static_cast<int64_t>(centre + reach + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int64_t at = mean.first; at < end; ++at) {
      const double distance = (static_cast<double>(at) + 0.5 - centre) / reach;
      sum += weights.emplace_back(std::max(0.0, 1 - std::abs(distance)));
    }
    for (const double weight : weights) mean.weights.push_back(static_cast<int32_t>(std::lround(std::ldexp(weight / sum, fraction_bits))));
  }
  return all;
}

// Resizes the middle one of three extents.
std::vector<uint8_t> resize_middle(const std::vector<uint8_t>& from, int64_t outer, int64_t middle, int64_t inner, int64_t to) {
  const std::vector<PixelMean> all = pixel_means(middle, to);
  std::vector<uint8_t> result(static_cast<size_t>(outer * to * inner));
  uint8_t* out = result.data();
  for (int64_t block = 0; block < outer; ++block) {
    for (const PixelMean& mean : all) {
      const uint8_t* first = from.data() + (block * middle + mean.first) * inner;
      for (int64_t k = 0; k < inner; ++k) {
        int64_t sum = int64_t{1} << (fraction_bits - 1);   // rounds to the nearest
        for (size_t at = 0; at < mean.weights.size(); ++at) sum += int64_t{mean.weights[at]} * first[static_cast<int64_t>(at) * inner + k];
        *out++ = static_cast<uint8_t>(std::clamp<int64_t>(sum >> fraction_bits, 0, 255));
      }
    }
  }
  return result;
}

}  // namespace

bool has_image_name(const std::string& name) {
  constexpr std::array extensions = {".png", ".jpg", ".jpeg"};
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::any_of(extensions.begin(), extensions.end(), [&](const char* extension) { return lower.ends_with(extension); });
}

ImageHeader read_image_header(Bytes bytes, const std::string& path) {
  const bool png = is_png(bytes);
  if (!png && !is_jpeg(bytes)) refuse_format(bytes, path);
  return png ? read_png_header(bytes, path) : read_jpeg_header(bytes, path);
}

Image decode_image(Bytes bytes, const std::string& path) {
  const bool png = is_png(bytes);
  if (!png && !is_jpeg(bytes)) refuse_format(bytes, path);
  return png ? decode_png(bytes, path) : decode_jpeg(bytes, path);
}

Image with_channels(Image image, int64_t channels) {
  if (image.channels == channels) return image;
  constexpr uint32_t one = 1 << 16, red = 19595, green = 38470, blue = 7471;   // of one, rounded
  static_assert(red + green + blue == one);
  Image result{image.height, image.width, channels, {}};
  result.pixels.reserve(static_cast<size_t>(image.height * image.width * channels));
  if (channels == 3) {
    for (const uint8_t grey : image.pixels) result.pixels.insert(result.pixels.end(), 3, grey);
    return result;
  }
  for (size_t k = 0; k < image.pixels.size(); k += 3) {
    const uint32_t luma = image.pixels[k] * red + image.pixels[k + 1] * green + image.pixels[k + 2] * blue;
    result.pixels.push_back(static_cast<uint8_t>((luma + one / 2) / one));
  }
  return result;
}

Image resized(const Image& image, int64_t height, int64_t width) {
  Image result{height, width, image.channels, {}};
  const std::vector<uint8_t> rows = resize_middle(image.pixels, image.height, image.width, image.channels, width);
  result.pixels = resize_middle(rows, 1, image.height, width * image.channels, height);
  return result;
}

}  // namespace bnc
