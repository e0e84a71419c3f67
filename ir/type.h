// Tensor types: an element type and a shape whose dimensions may be multiples of the symbolic batch size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bnc {

enum class DType { f32, i32 };

// A dimension: `factor`, or `factor * N` where N is the network's symbolic batch size.
struct Dim {
  int64_t factor = 1;
  bool batch = false;

  bool operator==(const Dim&) const = default;
  bool is_one() const { return factor == 1 && !batch; }
  int64_t at(int64_t batch_size) const { return batch ? factor * batch_size : factor; }
};

using Shape = std::vector<Dim>;

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  bool operator==(const TensorType&) const = default;
  int rank() const { return static_cast<int>(shape.size()); }
};

// `f32[N, 784]`, `f32[2*N, 3]`, `f32[]`; `batch_symbol` is what the network calls its batch size.
std::string to_string(const TensorType& type, const std::string& batch_symbol = "N");
std::string to_string(const Shape& shape, const std::string& batch_symbol = "N");
std::string to_string(DType dtype);
std::string to_string(const Dim& dim, const std::string& batch_symbol = "N");

// The product of all dimensions as one dimension; empty when the batch size would appear twice or the product exceeds 2^62.
std::optional<Dim> element_count(const Shape& shape);

// NumPy's broadcasting of two shapes; empty when they do not go together.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

// The dimensions with the batch size filled in.
std::vector<int64_t> concrete(const Shape& shape, int64_t batch_size);

}  // namespace bnc
