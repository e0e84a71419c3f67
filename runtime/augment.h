// Random changes to images while a network is trained: the train section's `augment`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/attribute.h"

namespace bnc {

// Where height, width and channels of an example lie.
struct ImageLayout {
  int64_t height = 0, width = 0, channels = 1;
  bool planes = false;   // channels first
};

class Augmentation {
 public:
  // The steps in order: pad_and_crop(pixels), flip, shift(pixels). `seed` is that of the run.
  Augmentation(std::vector<Symbol> steps, const ImageLayout& layout, uint64_t seed)
      : steps_(std::move(steps)), layout_(layout), seed_(seed) {}

  // Changes the examples of a training step's batch in place. What is drawn depends on seed, step and the place in the batch alone.
  void apply(std::span<float> batch, int64_t step);

 private:
  enum class Border { zeros, nearest };
  void flip(std::span<float> image) const;
  void move(std::span<float> image, int64_t down, int64_t right, Border border);

  std::vector<Symbol> steps_;
  ImageLayout layout_;
  uint64_t seed_;
  std::vector<float> scratch_;
};

}  // namespace bnc
