#include "runtime/report/predictions.h"

#include <algorithm>
#include <cmath>

#include "runtime/dataset.h"
#include "runtime/png.h"

namespace bnc {

namespace {

constexpr size_t shown_mistakes = 20, shown_right = 10;
constexpr int64_t most_pixels = 64;   // of a side of a picture

// The example as a PNG data URI, of every k-th pixel where it is large; empty where it is no grey or RGB image.
std::string image_of(const Dataset& data, int64_t example) {
  const std::vector<int64_t>& dims = data.example_dims();
  const bool is_image = data.data().values.empty() && dims.size() == 3 && (dims[2] == 1 || dims[2] == 3);
  if (!is_image) return "";
  const int64_t step = (std::max(dims[0], dims[1]) + most_pixels - 1) / most_pixels, rows = (dims[0] + step - 1) / step, columns = (dims[1] + step - 1) / step;
  const uint8_t* all = data.data().pixels.data() + example * data.data().example_size;
  std::vector<uint8_t> pixels;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const uint8_t* pixel = all + (row * step * dims[1] + column * step) * dims[2];
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
    const float* row = predictions.data() + k * classes_;
    const int32_t answer = static_cast<int32_t>(std::max_element(row, row + classes_) - row);
    const int32_t truth = data_.data().labels[static_cast<size_t>(first + k)];
    ++confusion_[static_cast<size_t>(truth)][static_cast<size_t>(answer)];
    if (answer == truth && right_.size() >= shown_right) continue;
    double sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += std::exp(static_cast<double>(row[c]) - row[answer]);
    (answer == truth ? right_ : mistakes_).push_back({first + k, truth, answer, 1 / sum, std::exp(static_cast<double>(row[truth]) - row[answer]) / sum, ""});
  }
}

void PredictionCollector::fill(RunRecord& record) const {
  record.predictions = mistakes_;
  record.mistakes = static_cast<int64_t>(mistakes_.size());
  std::stable_sort(record.predictions.begin(), record.predictions.end(), [](const auto& a, const auto& b) { return a.probability > b.probability; });
  if (record.predictions.size() > shown_mistakes) record.predictions.resize(shown_mistakes);
  record.predictions.insert(record.predictions.end(), right_.begin(), right_.end());
  for (Prediction& each : record.predictions) each.image = image_of(data_, each.example);
  record.class_names = data_.data().class_names;
  record.confusion = confusion_;
}

}  // namespace bnc
