#include "runtime/weight_store.h"

#include "runtime/error.h"
#include "runtime/file_bytes.h"
#include "runtime/safetensors.h"

namespace bnc {

WeightStore::WeightStore() : data_(std::make_unique<Data>()) {}
WeightStore::~WeightStore() = default;
WeightStore::WeightStore(WeightStore&&) noexcept = default;
WeightStore& WeightStore::operator=(WeightStore&&) noexcept = default;

WeightStore WeightStore::load(const std::string& path) {
  return at_boundary([&] {
    WeightStore store;
    *store.data_ = parse_safetensors(open_file(path), path);
    return store;
  });
}

void WeightStore::save(const std::string& path) const {
  at_boundary([&] { write_file(path, write_safetensors(data_->weights, data_->metadata)); });
}

std::vector<std::string> WeightStore::names() const {
  std::vector<std::string> names;
  for (const auto& [name, weight] : data_->weights.entries()) names.push_back(name);
  return names;
}

namespace {

const Weight& find(const WeightStore& store, const std::string& name) {
  if (const Weight* weight = store.data().weights.find(name)) return *weight;
  const std::string near = nearest_name(name, store.names());
  fail("no tensor `{}` among the weights{}", name, near.empty() ? "" : fmt::format("; did you mean `{}`?", near));
}

}  // namespace

std::vector<int64_t> WeightStore::dims(const std::string& name) const { return find(*this, name).dims; }

std::span<const float> WeightStore::values(const std::string& name) const { return find(*this, name).data; }

void WeightStore::set(const std::string& name, std::vector<int64_t> dims, std::vector<float> values) {
  const Array checked(dims, std::move(values));
  data_->weights.set(name, Weight::owned(std::move(dims), {checked.floats().begin(), checked.floats().end()}));
}

std::vector<std::pair<std::string, std::string>> WeightStore::metadata() const {
  return at_boundary([&] {
    const std::map<std::string, std::string> entries = data_->metadata.entries();
    return std::vector<std::pair<std::string, std::string>>(entries.begin(), entries.end());
  });
}

void WeightStore::set_metadata(const std::vector<std::pair<std::string, std::string>>& entries) {
  at_boundary([&] { data_->metadata = ModelMetadata::parse({entries.begin(), entries.end()}, "the weights"); });
}

}  // namespace bnc
