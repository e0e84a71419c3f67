#include "frontend/onnx/import/known.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ir/tensor.h"

namespace bnc::onnx {

bool Known::is_integer() const {
  return type != OnnxType::f32 && type != OnnxType::f64 && type != OnnxType::f16 && type != OnnxType::bf16;
}

bool Known::mentions_batch() const { return std::find(batch.begin(), batch.end(), true) != batch.end(); }

bool Known::is_all(double number) const {
  return std::all_of(numbers.begin(), numbers.end(), [&](double each) { return each == number; });
}

Known known_of(const OnnxTensor& tensor) {
  Known known{.type = tensor.type, .dims = tensor.dims, .numbers = {}, .batch = {}, .name = tensor.name};
  if (tensor.is_integer()) {
    const std::vector<int64_t> integers = tensor.integers();
    known.numbers.assign(integers.begin(), integers.end());
  } else {
    const std::vector<float> floats = tensor.floats();
    known.numbers.assign(floats.begin(), floats.end());
  }
  return known;
}

Known known_of(const Shape& shape) {
  Known known{.type = OnnxType::i64, .dims = {static_cast<int64_t>(shape.size())}, .numbers = {}, .batch = {}, .name = {}};
  for (const Dim& dim : shape) {
    known.numbers.push_back(static_cast<double>(dim.factor));
    known.batch.push_back(dim.batch);
  }
  return known;
}

Known gathered(const Known& from, std::vector<int64_t> dims, const std::vector<int64_t>& indices) {
  Known result{.type = from.type, .dims = std::move(dims), .numbers = {}, .batch = {}, .name = {}};
  result.numbers.reserve(indices.size());
  for (const int64_t k : indices) result.numbers.push_back(from.numbers[static_cast<size_t>(k)]);
  if (!from.batch.empty())
    for (const int64_t k : indices) result.batch.push_back(from.batch[static_cast<size_t>(k)]);
  return result;
}

// The place in `from` of each element of a tensor with these dimensions and these strides in `from`.
static std::vector<int64_t> places(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides) {
  std::vector<int64_t> indices = {0};
  for (size_t d = 0; d < dims.size(); ++d) {
    std::vector<int64_t> next;
    next.reserve(indices.size() * static_cast<size_t>(dims[d]));
    for (const int64_t base : indices)
      for (int64_t i = 0; i < dims[d]; ++i) next.push_back(base + i * strides[d]);
    indices = std::move(next);
  }
  return indices;
}

static std::vector<int64_t> strides_of(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t d = dims.size(); d-- > 1;) strides[d - 1] = strides[d] * dims[d];
  return strides;
}

Known permuted(const Known& from, const IntList& order) {
  const std::vector<int64_t> strides = strides_of(from.dims);
  std::vector<int64_t> dims, moved;
  for (const int64_t axis : order) {
    dims.push_back(from.dims[static_cast<size_t>(axis)]);
    moved.push_back(strides[static_cast<size_t>(axis)]);
  }
  const std::vector<int64_t> indices = places(dims, moved);
  Known result = gathered(from, std::move(dims), indices);
  result.name = from.name;
  return result;
}

Known reshaped(Known from, std::vector<int64_t> dims) {
  from.dims = std::move(dims);
  return from;
}

Known broadcast(const Known& from, const std::vector<int64_t>& dims) {
  const std::vector<int64_t> strides = strides_of(from.dims);
  std::vector<int64_t> moved(dims.size(), 0);
  const size_t missing = dims.size() - from.dims.size();
  for (size_t d = 0; d < from.dims.size(); ++d)
    if (from.dims[d] != 1) moved[missing + d] = strides[d];
  return gathered(from, dims, places(dims, moved));
}

// Ends of slices are often the largest integer that there is; sums of two of these do not overflow.
constexpr int64_t largest_integer = int64_t{1} << 62;

int64_t integer_of(const OnnxNode& node, double element) {
  if (std::isnan(element)) node.fail("an integer that it reads is not a number");
  const double bound = static_cast<double>(largest_integer);
  return static_cast<int64_t>(std::clamp(element, -bound, bound));
}

std::optional<IntList> integers_of(const OnnxNode& node, std::string_view attribute, const Known* operand) {
  IntList integers;
  if (const auto* given = node.find<std::vector<int64_t>>(attribute)) {
    for (const int64_t number : *given) integers.push_back(std::clamp(number, -largest_integer, largest_integer));
    return integers;
  }
  if (!operand) return std::nullopt;
  if (!operand->is_integer() || operand->mentions_batch()) node.fail("its " + std::string(attribute) + " are not known integers");
  for (const double number : operand->numbers) integers.push_back(integer_of(node, number));
  return integers;
}

}  // namespace bnc::onnx
