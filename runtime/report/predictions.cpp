#include "runtime/report/predictions.h"

#include <algorithm>
#include <cmath>

#include "runtime/dataset.h"
#include "runtime/objective.h"
#include "runtime/png.h"

namespace bnc {

namespace {

constexpr size_t shown_mistakes = 20, shown_right = 10;
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

// The example as a PNG data URI, of every k-th pixel where it is large; empty where it is no grey or RGB image.
std::string image_of(const Dataset& data, int64_t example) {
  const std::vector<int64_t>& dims = data.example_dims();
  const bool is_image = dims.size() == 3 && (dims[2] == 1 || dims[2] == 3);
  if (!is_image) return "";
  const int64_t step = (std::max(dims[0], dims[1]) + most_pixels - 1) / most_pixels, rows = (dims[0] + step - 1) / step,
                columns = (dims[1] + step - 1) / step;
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

}  // namespace

void PredictionCollector::add(int64_t first, int64_t count, std::span<const float> predictions) {
  if (!data_.has_labels() || classes_ < 2) return;
  if (confusion_.empty()) confusion_.assign(static_cast<size_t>(classes_), std::vector<int64_t>(static_cast<size_t>(classes_), 0));
  for (int64_t k = 0; k < count; ++k) {
    const std::span<const float> row = predictions.subspan(static_cast<size_t>(k * classes_), static_cast<size_t>(classes_));
    const int32_t answer = answer_of(row);
    const int32_t truth = data_.data().labels[static_cast<size_t>(first + k)];
    if (answer < 0) {
      mistakes_.push_back({first + k, truth, answer, 0, 0, ""});
      continue;
    }
    ++confusion_[static_cast<size_t>(truth)][static_cast<size_t>(answer)];
    if (answer == truth && right_.size() >= shown_right) continue;
    double sum = 0;
    const double highest = row[static_cast<size_t>(answer)];
    for (const float score : row) sum += std::exp(score - highest);
    (answer == truth ? right_ : mistakes_)
        .push_back({first + k, truth, answer, 1 / sum, std::exp(row[static_cast<size_t>(truth)] - highest) / sum, ""});
  }
}

void PredictionCollector::fill(RunRecord& record) const {
  record.predictions = mistakes_;
  record.mistakes = static_cast<int64_t>(mistakes_.size());
  std::stable_sort(record.predictions.begin(), record.predictions.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  if (record.predictions.size() > shown_mistakes) record.predictions.resize(shown_mistakes);
  record.predictions.insert(record.predictions.end(), right_.begin(), right_.end());
  for (Prediction& each : record.predictions) each.image = image_of(data_, each.example);
  record.class_names = data_.data().class_names;
  record.confusion = confusion_;
}

}  // namespace bnc
