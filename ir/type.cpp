#include "ir/type.h"

#include <algorithm>
#include <fmt/format.h>

namespace bnc {

std::string to_string(const Dim& dim, const std::string& batch_symbol) {
  if (!dim.batch) return fmt::format("{}", dim.factor);
  return dim.factor == 1 ? batch_symbol : fmt::format("{}*{}", dim.factor, batch_symbol);
}

std::string to_string(const Shape& shape, const std::string& batch_symbol) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + to_string(shape[i], batch_symbol);
  return text + "]";
}

std::string to_string(DType dtype) { return dtype == DType::f32 ? "f32" : "i32"; }

std::string to_string(const TensorType& type, const std::string& batch_symbol) {
  return to_string(type.dtype) + to_string(type.shape, batch_symbol);
}

std::optional<Dim> element_count(const Shape& shape) {
  constexpr int64_t limit = int64_t{1} << 62;
  Dim product;
  for (const Dim& dim : shape) {
    if (dim.batch && product.batch) return {};
    if (dim.factor != 0 && product.factor > limit / dim.factor) return {};
    product.factor *= dim.factor;
    product.batch |= dim.batch;
  }
  return product;
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()));
  for (size_t i = 1; i <= result.size(); ++i) {
    const Dim left = i <= a.size() ? a[a.size() - i] : Dim{};
    const Dim right = i <= b.size() ? b[b.size() - i] : Dim{};
    if (left != right && !left.is_one() && !right.is_one()) return {};
    result[result.size() - i] = left.is_one() ? right : left;
  }
  return result;
}

std::vector<int64_t> concrete(const Shape& shape, int64_t batch_size) {
  std::vector<int64_t> dims;
  for (const Dim& dim : shape) dims.push_back(dim.at(batch_size));
  return dims;
}

}  // namespace bnc
