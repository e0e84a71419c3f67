#include "runtime/batch_loader.h"

#include "ir/diagnostic.h"
#include "runtime/dataset.h"
#include "runtime/shuffle.h"

namespace bnc {

std::vector<int64_t> shuffled_order(int64_t count, uint64_t seed, int64_t epoch) {
  return shuffled_indices(count, seed, "shuffle/" + std::to_string(epoch));
}

void fill_batch(const Dataset& data, std::span<const int64_t> indices, const BatchShape& shape, Batch& batch) {
  const size_t count = indices.size();
  batch.x.resize(count * static_cast<size_t>(data.data().example_size));
  if (!data.has_labels()) {
    batch.float_targets.resize(count * static_cast<size_t>(data.data().target_size));
    return data.gather(indices, batch.x, std::span<float>(batch.float_targets));
  }
  batch.labels.resize(count);
  data.gather(indices, batch.x, std::span<int32_t>(batch.labels));
  if (shape.targets == TargetKind::number) batch.float_targets.assign(batch.labels.begin(), batch.labels.end());
  if (shape.targets == TargetKind::one_hot) {
    batch.float_targets.assign(count * static_cast<size_t>(shape.classes), 0.0f);
    for (size_t k = 0; k < count; ++k) batch.float_targets[k * static_cast<size_t>(shape.classes) + static_cast<size_t>(batch.labels[k])] = 1.0f;
  }
}

BatchLoader::BatchLoader(const Dataset& data, const BatchShape& shape, uint64_t seed, int64_t first) : data_(data), shape_(shape), seed_(seed) {
  BNC_CHECK(shape.batch >= 1 && shape.batch <= data.count());
  thread_ = std::thread([this, first] {
    try {
      produce(first);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      made_.notify_one();
    }
  });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  taken_.notify_one();
  thread_.join();
}

void BatchLoader::produce(int64_t step) {
  const int64_t steps_per_epoch = data_.count() / shape_.batch;
  for (std::vector<int64_t> order;; ++step) {
    const int64_t position = step % steps_per_epoch;
    if (order.empty() || position == 0) order = shuffled_order(data_.count(), seed_, step / steps_per_epoch);
    int64_t slot = 0;
    {
      std::unique_lock lock(mutex_);
      taken_.wait(lock, [&] { return stop_ || produced_ - released_ < slots; });
      if (stop_) return;
      slot = produced_ % slots;
    }
    fill_batch(data_, std::span(order).subspan(static_cast<size_t>(position * shape_.batch), static_cast<size_t>(shape_.batch)), shape_, ring_[slot]);
    {
      const std::lock_guard lock(mutex_);
      ++produced_;
    }
    made_.notify_one();
  }
}

const Batch& BatchLoader::next() {
  std::unique_lock lock(mutex_);
  if (holding_) {
    ++released_;
    taken_.notify_one();
  }
  holding_ = true;
  made_.wait(lock, [&] { return failure_ || produced_ > released_; });
  if (failure_) std::rethrow_exception(failure_);
  return ring_[released_ % slots];
}

}  // namespace bnc
