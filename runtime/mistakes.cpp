#include <algorithm>
#include <cmath>

#include "runtime/dataset.h"
#include "runtime/png.h"
#include "runtime/report.h"

namespace bnc {

namespace {

constexpr size_t shown_mistakes = 24;

// The example as a PNG data URI; empty where it is no grey or RGB image.
std::string image_of(const Dataset& data, int64_t example) {
  const std::vector<int64_t>& dims = data.example_dims();
  const bool is_image = data.data().values.empty() && dims.size() == 3 && (dims[2] == 1 || dims[2] == 3);
  if (!is_image) return "";
  const std::span<const uint8_t> pixels(data.data().pixels.data() + example * data.data().example_size, static_cast<size_t>(data.data().example_size));
  return "data:image/png;base64," + encode_base64(encode_png(dims[0], dims[1], dims[2], pixels));
}

}  // namespace

void Mistakes::add(int64_t first, int64_t count, std::span<const float> predictions) {
  if (!data_.has_labels() || classes_ < 2) return;
  if (confusion_.empty()) confusion_.assign(static_cast<size_t>(classes_), std::vector<int64_t>(static_cast<size_t>(classes_), 0));
  for (int64_t k = 0; k < count; ++k) {
    const float* row = predictions.data() + k * classes_;
    const int32_t answer = static_cast<int32_t>(std::max_element(row, row + classes_) - row);
    const int32_t truth = data_.data().labels[static_cast<size_t>(first + k)];
    ++confusion_[static_cast<size_t>(truth)][static_cast<size_t>(answer)];
    if (answer == truth) continue;
    double sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += std::exp(static_cast<double>(row[c]) - row[answer]);
    all_.push_back({first + k, truth, answer, 1 / sum, ""});
  }
}

void Mistakes::fill(Report& report) const {
  report.mistakes = all_;
  report.mistake_count = static_cast<int64_t>(all_.size());
  std::stable_sort(report.mistakes.begin(), report.mistakes.end(), [](const auto& a, const auto& b) { return a.probability > b.probability; });
  if (report.mistakes.size() > shown_mistakes) report.mistakes.resize(shown_mistakes);
  for (Report::Mistake& mistake : report.mistakes) mistake.image = image_of(data_, mistake.example);
  report.class_names = data_.data().class_names;
  report.confusion = confusion_;
}

}  // namespace bnc
