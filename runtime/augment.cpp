#include "runtime/augment.h"

#include <algorithm>
#include <cstdlib>

#include "ir/diagnostic.h"
#include "ir/random.h"

namespace bnc {

void Augmentation::apply(std::span<float> batch, int64_t step) {
  if (steps_.empty()) return;
  const auto size = static_cast<size_t>(layout_.height * layout_.width * layout_.channels);
  RandomStream random(seed_, "augment/" + std::to_string(step));
  for (; !batch.empty(); batch = batch.subspan(size)) {
    const std::span<float> image = batch.first(size);
    for (const Symbol& symbol : steps_) {
      if (symbol.name == "flip") {
        if (random.below(2) == 1) flip(image);
        continue;
      }
      BNC_CHECK(symbol.name == "pad_and_crop" || symbol.name == "shift", symbol.name);
      const int64_t pixels = symbol.find("pixels")->integer();
      const auto offset = [&] { return static_cast<int64_t>(random.below(static_cast<uint64_t>(2 * pixels + 1))) - pixels; };
      const int64_t down = offset(), right = offset();
      move(image, down, right, symbol.name == "shift" ? Border::nearest : Border::zeros);
    }
  }
}

namespace {

// An image as planes of rows of pixels: one plane of pixels with all channels, or a plane of single numbers for each channel.
struct Planes {
  explicit Planes(const ImageLayout& layout)
      : count(layout.planes ? layout.channels : 1),
        pixel(layout.planes ? 1 : layout.channels),
        row(layout.width * pixel),
        plane(layout.height * row) {}
  int64_t count, pixel, row, plane;   // planes, numbers in a pixel, in a row, in a plane
};

}  // namespace

void Augmentation::flip(std::span<float> image) const {
  const Planes planes(layout_);
  for (int64_t row = 0; row < planes.count * layout_.height; ++row) {
    float* first = image.data() + row * planes.row;
    std::reverse(first, first + planes.row);
    if (planes.pixel == 1) continue;
    for (int64_t x = 0; x < layout_.width; ++x) std::reverse(first + x * planes.pixel, first + (x + 1) * planes.pixel);
  }
}

// The image moved by so many pixels; what comes in at its border is zeros, or the pixel nearest to it.
void Augmentation::move(std::span<float> image, int64_t down, int64_t right, Border border) {
  if (down == 0 && right == 0) return;
  scratch_.assign(image.begin(), image.end());
  const Planes planes(layout_);
  const int64_t kept = (layout_.width - std::abs(right)) * planes.pixel;   // of a row, in one piece
  const int64_t source = std::max<int64_t>(-right, 0) * planes.pixel, left = std::max<int64_t>(right, 0) * planes.pixel;
  for (int64_t row = 0; row < planes.count * layout_.height; ++row) {
    const int64_t plane = row / layout_.height, y = row % layout_.height, source_y = std::clamp<int64_t>(y - down, 0, layout_.height - 1);
    const float* from = scratch_.data() + plane * planes.plane + source_y * planes.row + source;
    float* to = image.data() + row * planes.row;
    if (border == Border::zeros) {
      std::fill_n(to, planes.row, 0.0f);
      if (source_y == y - down) std::copy_n(from, kept, to + left);
      continue;
    }
    for (int64_t k = 0; k < left; ++k) to[k] = from[k % planes.pixel];
    std::copy_n(from, kept, to + left);
    for (int64_t k = left + kept; k < planes.row; ++k) to[k] = to[k - planes.pixel];
  }
}

}  // namespace bnc
