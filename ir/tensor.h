// Tensors of the reference evaluator, and the named f32 tensors that weights are.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/type.h"

namespace bnc {

// A dense row-major tensor in float64: what the reference evaluator and the constant evaluator compute with.
// Integer tensors hold their integers exactly.
struct Tensor {
  DType dtype = DType::f32;
  std::vector<int64_t> dims;
  std::vector<double> data;

  int64_t size() const;
  static Tensor filled(DType dtype, std::vector<int64_t> dims, double value);
};

int64_t element_count(const std::vector<int64_t>& dims);

// f32 numbers that are shared, not copied: a vector's, or part of a memory-mapped file (`owner` keeps either alive).
class SharedNumbers {
 public:
  SharedNumbers() = default;
  SharedNumbers(std::span<const float> view, std::shared_ptr<const void> owner) : view_(view), owner_(std::move(owner)) {}
  SharedNumbers(std::vector<float> numbers);
  SharedNumbers(std::initializer_list<float> numbers) : SharedNumbers(std::vector<float>(numbers)) {}
  // `fill` writes them to memory aligned to 64 bytes, in which generated code can use them.
  static SharedNumbers filled(size_t count, const std::function<void(std::span<float>)>& fill);

  std::span<const float> view() const { return view_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }
  size_t size() const { return view_.size(); }

 private:
  std::span<const float> view_;
  std::shared_ptr<const void> owner_;
};

// One named weight: f32 data that it owns or that a memory-mapped file owns (`owner` keeps either alive).
struct Weight {
  std::vector<int64_t> dims;
  std::span<const float> data;
  std::shared_ptr<const void> owner;

  static Weight owned(std::vector<int64_t> dims, std::vector<float> data);
  Tensor to_tensor() const;
  // Rounds to f32 once.
  static Weight from_tensor(const Tensor& tensor);
};

// Named weights in the order in which they were added (the order of the network).
class Weights {
 public:
  void set(const std::string& name, Weight weight);
  const Weight* find(const std::string& name) const;
  bool erase(const std::string& name);
  const std::vector<std::pair<std::string, Weight>>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }

 private:
  std::vector<std::pair<std::string, Weight>> entries_;
  std::map<std::string, size_t> index_;
};

}  // namespace bnc
