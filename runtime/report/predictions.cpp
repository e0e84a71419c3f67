#include "runtime/report/predictions.h"

#include <algorithm>
#include <cmath>

#include "ir/integers.h"
#include "runtime/dataset.h"
#include "runtime/png.h"
#include "runtime/report/collectors.h"

namespace bnc {

namespace {

constexpr int64_t most_pixels = 64;   // of a side of a picture

// The numbers of an example from 0 to 255: floats in [0, 1] as they are, others from their least to their largest.
std::vector<uint8_t> bytes_of(const Dataset::Data& data, int64_t example) {
  const size_t size = static_cast<size_t>(data.example_size), first = static_cast<size_t>(example) * size;
  if (data.values.empty())
    return {data.pixels.begin() + static_cast<std::ptrdiff_t>(first), data.pixels.begin() + static_cast<std::ptrdiff_t>(first + size)};
  const std::span<const float> values = std::span(data.values).subspan(first, size);
  const float low = std::min(0.0f, *std::min_element(values.begin(), values.end())),
              high = std::max(1.0f, *std::max_element(values.begin(), values.end()));
  std::vector<uint8_t> bytes;
  for (const float value : values) bytes.push_back(static_cast<uint8_t>(std::lround((value - low) / (high - low) * 255)));
  return bytes;
}

}  // namespace

std::string image_of(const Dataset& data, int64_t example) {
  const std::vector<int64_t>& dims = data.example_dims();
  const bool is_image = dims.size() == 3 && (dims[2] == 1 || dims[2] == 3);
  if (!is_image) return "";
  const int64_t step = divide_up(std::max(dims[0], dims[1]), most_pixels), rows = divide_up(dims[0], step),
                columns = divide_up(dims[1], step);
  const std::vector<uint8_t> all = bytes_of(data.data(), example);
  std::vector<uint8_t> pixels;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const uint8_t* pixel = all.data() + (row * step * dims[1] + column * step) * dims[2];
      pixels.insert(pixels.end(), pixel, pixel + dims[2]);
    }
  }
  return "data:image/png;base64," + encode_base64(encode_png(rows, columns, dims[2], pixels));
}

std::unique_ptr<AnswerCollector> collector_of(const AnswerKind& kind) {
  return kind.classes ? collect_classes(kind) : collect_numbers(kind);
}

}  // namespace bnc
