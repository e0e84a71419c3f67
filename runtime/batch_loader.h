// Batches of a data set in shuffled order, made by a thread ahead of the training step.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "bnc/bnc.h"
#include "ir/aligned_buffer.h"
#include "runtime/augment.h"

namespace bnc {

// The order of examples in an epoch: a permutation that depends on seed and epoch alone.
std::vector<int64_t> shuffled_order(int64_t count, uint64_t seed, int64_t epoch);

// How a data set's targets are handed to a network's target input.
enum class TargetKind {
  labels,   // i32
  floats,   // as the data set has them
  number,   // the label, 0 or 1, as a float
  one_hot,  // the label as a row of zeros and a one
};

struct BatchShape {
  int64_t batch = 0;
  TargetKind targets = TargetKind::labels;
  int64_t classes = 0;   // length of a one-hot row
  bool planes = false;   // images come channels first
};

struct Batch {
  AlignedVector<float> x;
  AlignedVector<float> float_targets;
  AlignedVector<int32_t> labels;    // empty where the data set has float targets
  // What fills further inputs and targets, in the order of the data set's others.
  struct Further {
    AlignedVector<float> floats;
    AlignedVector<int32_t> integers;
    const void* data() const { return integers.empty() ? static_cast<const void*>(floats.data()) : integers.data(); }
  };
  std::vector<Further> others;
  // What goes into the target input.
  const void* target(TargetKind kind) const {
    return kind == TargetKind::labels ? static_cast<const void*>(labels.data()) : float_targets.data();
  }
};

// Fills the targets of `batch` with those of these examples.
void fill_targets(const Dataset::Data& data, std::span<const int64_t> indices, const BatchShape& shape, Batch& batch);
// Fills `batch` with those examples; vectors keep their memory from batch to batch.
void fill_batch(const Dataset& data, std::span<const int64_t> indices, const BatchShape& shape, Batch& batch);

class BatchLoader {
 public:
  // Batches from step `first` (counted from 0 over all epochs) on, changed by `augmentation` if given. Examples that fill no batch at
  // the end of an epoch are left out.
  BatchLoader(const Dataset& data, const BatchShape& shape, uint64_t seed, int64_t first, std::optional<Augmentation> augmentation = {});
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The next batch, valid until the next call.
  const Batch& next();

  // How many batches there is room for, and how many are made and not handed out yet.
  int64_t slots() const { return static_cast<int64_t>(ring_.size()); }
  int64_t ready() const;

 private:
  void produce_or_fail(int64_t step);
  void produce(int64_t step);

  const Dataset& data_;
  const BatchShape shape_;
  const uint64_t seed_;
  std::optional<Augmentation> augmentation_;
  std::vector<Batch> ring_;
  mutable std::mutex mutex_;
  std::condition_variable made_, taken_;
  int64_t produced_ = 0, released_ = 0;   // batches made, and given back, since the start
  bool holding_ = false, stop_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace bnc
