#include "ir/tensor.h"

#include <algorithm>

#include "ir/aligned_buffer.h"
#include "ir/diagnostic.h"

namespace bnc {

int64_t element_count(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

int64_t Tensor::size() const { return element_count(dims); }

Tensor Tensor::filled(DType dtype, std::vector<int64_t> dims, double value) {
  const int64_t count = element_count(dims);
  return Tensor{dtype, std::move(dims), std::vector<double>(count, value)};
}

SharedNumbers::SharedNumbers(std::vector<float> numbers) {
  auto storage = std::make_shared<const std::vector<float>>(std::move(numbers));
  view_ = *storage;
  owner_ = std::move(storage);
}

SharedNumbers SharedNumbers::filled(size_t count, const std::function<void(std::span<float>)>& fill) {
  auto memory = std::make_shared<AlignedBuffer>(count * sizeof(float));
  const std::span numbers(static_cast<float*>(memory->get()), count);
  fill(numbers);
  return SharedNumbers(numbers, std::move(memory));
}

Weight Weight::owned(std::vector<int64_t> dims, std::vector<float> data) {
  BNC_CHECK(element_count(dims) == static_cast<int64_t>(data.size()));
  auto storage = std::make_shared<const std::vector<float>>(std::move(data));
  return Weight{std::move(dims), std::span<const float>(*storage), storage};
}

Tensor Weight::to_tensor() const { return Tensor{DType::f32, dims, std::vector<double>(data.begin(), data.end())}; }

Weight Weight::from_tensor(const Tensor& tensor) { return owned(tensor.dims, std::vector<float>(tensor.data.begin(), tensor.data.end())); }

void Weights::set(const std::string& name, Weight weight) {
  const auto [position, added] = index_.emplace(name, entries_.size());
  if (added) entries_.emplace_back(name, std::move(weight));
  else entries_[position->second].second = std::move(weight);
}

const Weight* Weights::find(const std::string& name) const {
  const auto position = index_.find(name);
  return position == index_.end() ? nullptr : &entries_[position->second].second;
}

bool Weights::erase(const std::string& name) {
  const auto position = index_.find(name);
  if (position == index_.end()) return false;
  const size_t removed = position->second;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(removed));
  index_.erase(position);
  for (auto& [other, place] : index_)
    if (place > removed) --place;
  return true;
}

}  // namespace bnc
