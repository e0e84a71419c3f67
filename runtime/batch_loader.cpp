#include "runtime/batch_loader.h"

#include <algorithm>
#include <system_error>

#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/shuffle.h"

namespace bnc {

namespace {

constexpr int64_t ring_bytes = 32 << 20, least_slots = 3, most_slots = 32;

// The rows of `width` elements at those indices; nothing where there are none at all.
template <class T>
void gather_rows(const std::vector<T>& rows, std::span<const int64_t> indices, size_t width, AlignedVector<T>& to) {
  to.resize(rows.empty() ? 0 : indices.size() * width);
  for (size_t k = 0; k < indices.size() && !rows.empty(); ++k)
    std::copy_n(rows.data() + static_cast<size_t>(indices[k]) * width, width, to.data() + k * width);
}

}  // namespace

std::vector<int64_t> shuffled_order(int64_t count, uint64_t seed, int64_t epoch) {
  return shuffled_indices(count, seed, "shuffle/" + std::to_string(epoch));
}

void fill_targets(const Dataset::Data& data, std::span<const int64_t> indices, const BatchShape& shape, Batch& batch) {
  const size_t count = indices.size(), width = static_cast<size_t>(data.target_size), classes = static_cast<size_t>(shape.classes);
  if (shape.targets == TargetKind::floats) {
    gather_rows(data.targets, indices, width, batch.float_targets);
    return;
  }
  if (data.labels.empty()) return;   // nothing takes targets
  gather_rows(data.labels, indices, width, batch.labels);
  if (shape.targets == TargetKind::number) batch.float_targets.assign(batch.labels.begin(), batch.labels.end());
  if (shape.targets != TargetKind::one_hot) return;
  batch.float_targets.assign(count * classes, 0.0f);
  for (size_t k = 0; k < count; ++k) batch.float_targets[k * classes + static_cast<size_t>(batch.labels[k])] = 1.0f;
}

void fill_batch(const Dataset& data, std::span<const int64_t> indices, const BatchShape& shape, Batch& batch) {
  batch.x.resize(indices.size() * static_cast<size_t>(data.data().example_size));
  data.data().gather_x(indices, batch.x);
  fill_targets(data.data(), indices, shape, batch);
  const std::vector<FurtherArray>& others = data.data().others;
  batch.others.resize(others.size());
  for (size_t k = 0; k < others.size(); ++k) {
    gather_rows(others[k].floats, indices, static_cast<size_t>(others[k].size), batch.others[k].floats);
    gather_rows(others[k].integers, indices, static_cast<size_t>(others[k].size), batch.others[k].integers);
  }
}

BatchLoader::BatchLoader(const Dataset& data, const BatchShape& shape, uint64_t seed, int64_t first,
                         std::optional<Augmentation> augmentation)
    : data_(data), shape_(shape), seed_(seed), augmentation_(std::move(augmentation)) {
  // Enough to get over the shuffling at the end of an epoch, within bounds of memory.
  const int64_t bytes = shape.batch * data.data().example_size * static_cast<int64_t>(sizeof(float));
  ring_.resize(static_cast<size_t>(std::clamp<int64_t>(ring_bytes / std::max<int64_t>(bytes, 1), least_slots, most_slots)));
  BNC_CHECK(shape.batch >= 1 && shape.batch <= data.count());
  try {
    thread_ = std::thread([this, first] { produce_or_fail(first); });
  } catch (const std::system_error& error) {
    fail("cannot start the thread that loads data: {}", error.code().message());
  }
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  taken_.notify_one();
  thread_.join();
}

void BatchLoader::produce_or_fail(int64_t step) {
  try {
    produce(step);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    made_.notify_one();
  }
}

void BatchLoader::produce(int64_t step) {
  const int64_t steps_per_epoch = data_.count() / shape_.batch;
  for (std::vector<int64_t> order;; ++step) {
    const int64_t position = step % steps_per_epoch;
    if (order.empty() || position == 0) order = shuffled_order(data_.count(), seed_, step / steps_per_epoch);
    int64_t slot = 0;
    {
      std::unique_lock lock(mutex_);
      taken_.wait(lock, [&] { return stop_ || produced_ - released_ < slots(); });
      if (stop_) return;
      slot = produced_ % slots();
    }
    fill_batch(data_, std::span(order).subspan(static_cast<size_t>(position * shape_.batch), static_cast<size_t>(shape_.batch)), shape_,
               ring_[static_cast<size_t>(slot)]);
    if (augmentation_) augmentation_->apply(ring_[static_cast<size_t>(slot)].x, step);
    {
      const std::lock_guard lock(mutex_);
      ++produced_;
    }
    made_.notify_one();
  }
}

int64_t BatchLoader::ready() const {
  const std::lock_guard lock(mutex_);
  return produced_ - released_ - (holding_ ? 1 : 0);
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
  return ring_[static_cast<size_t>(released_ % slots())];
}

}  // namespace bnc
