// Nodes whose operands are all known: the arithmetic that exporters do on shapes, and on constants.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "frontend/onnx/import/fold_numbers.h"
#include "frontend/onnx/import/known.h"
#include "frontend/onnx/import/shapes.h"
#include "ir/integers.h"
#include "ir/shape_limits.h"
#include "ir/tensor.h"

namespace bnc::onnx {

namespace {

constexpr int64_t largest_folded = int64_t{1} << 24;   // elements; more are computed when the network runs

using Operands = std::span<const KnownPointer>;
using Folded = std::optional<Known>;
using Fold = Folded (*)(const OnnxNode& node, Operands operands, int64_t opset);

Number number_of(const Known& known, size_t k) { return {known.numbers[k], known.is_batch(k)}; }

bool is_small(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims)
    if (__builtin_mul_overflow(count, std::max<int64_t>(dim, 1), &count) || count > largest_folded) return false;
  return dims.size() <= max_rank;
}

std::optional<std::vector<int64_t>> broadcast_dims(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  std::vector<int64_t> dims(std::max(a.size(), b.size()), 1);
  for (size_t k = 0; k < dims.size(); ++k) {
    const int64_t left = k < a.size() ? a[a.size() - 1 - k] : 1, right = k < b.size() ? b[b.size() - 1 - k] : 1;
    if (left != right && left != 1 && right != 1) return std::nullopt;
    dims[dims.size() - 1 - k] = left == 1 ? right : left;
  }
  if (!is_small(dims)) return std::nullopt;
  return dims;
}

Folded combined(const Known& left, const Known& right, OnnxType type, const std::function<std::optional<Number>(Number, Number)>& combine) {
  const auto dims = broadcast_dims(left.dims, right.dims);
  if (!dims) return std::nullopt;
  const Known a = broadcast(left, *dims), b = broadcast(right, *dims);
  Known result{.type = type, .dims = *dims, .numbers = {}, .batch = {}, .name = {}};
  for (size_t k = 0; k < a.numbers.size(); ++k) {
    const auto number = combine(number_of(a, k), number_of(b, k));
    if (!number) return std::nullopt;
    result.numbers.push_back(number->value);
    result.batch.push_back(number->batch);
  }
  return result;
}

// Before opset 7 an attribute said which axes are broadcast along; that is left to the rules of the ops.
bool has_two(const OnnxNode& node, Operands operands) {
  return operands.size() == 2 && operands[0] && operands[1] && !node.find<int64_t>("axis");
}

template <Combine combine>
Folded fold_binary(const OnnxNode& node, Operands operands, int64_t) {
  if (!has_two(node, operands)) return std::nullopt;
  return combined(*operands[0], *operands[1], operands[0]->type, combine);
}

template <Combine combine>
Folded fold_comparison(const OnnxNode& node, Operands operands, int64_t) {
  if (!has_two(node, operands)) return std::nullopt;
  return combined(*operands[0], *operands[1], OnnxType::boolean, combine);
}

template <Combine combine>
Folded fold_variadic(const OnnxNode&, Operands operands, int64_t) {
  Folded result;
  for (const KnownPointer& operand : operands) {
    if (!operand) return std::nullopt;
    result = result ? combined(*result, *operand, operand->type, combine) : *operand;
    if (!result) return std::nullopt;
  }
  return result;
}

Folded fold_div(const OnnxNode& node, Operands operands, int64_t opset) {
  if (!has_two(node, operands)) return std::nullopt;
  return operands[0]->is_integer() ? fold_binary<whole_over>(node, operands, opset) : fold_binary<over>(node, operands, opset);
}

Folded fold_mod(const OnnxNode& node, Operands operands, int64_t opset) {
  return node.get<int64_t>("fmod", 0) ? fold_binary<c_remainder>(node, operands, opset) : fold_binary<remainder>(node, operands, opset);
}

template <double (*function)(double)>
Folded fold_unary(const OnnxNode&, Operands operands, int64_t) {
  if (operands.size() != 1 || operands[0]->mentions_batch()) return std::nullopt;
  Known result = *operands[0];
  result.name.clear();
  for (double& number : result.numbers) number = function(number);
  return result;
}
double negated(double x) { return -x; }
double absolute(double x) { return std::abs(x); }
double root(double x) { return std::sqrt(x); }
double inverse(double x) { return 1 / x; }
double exponential(double x) { return std::exp(x); }
double logarithm(double x) { return std::log(x); }
double round_down(double x) { return std::floor(x); }
double round_up(double x) { return std::ceil(x); }
double round_half_to_even(double x) { return std::nearbyint(x); }
double opposite(double x) { return x == 0 ? 1 : 0; }
double tangent(double x) { return std::tanh(x); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double error_function(double x) { return std::erf(x); }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

Folded fold_cast(const OnnxNode& node, Operands operands, int64_t) {
  Known result = *operands[0];
  const int64_t to = node.get<int64_t>("to", 1);
  if (to < 1 || to > static_cast<int64_t>(OnnxType::bf16)) return std::nullopt;
  result.type = static_cast<OnnxType>(to);
  if (result.type == OnnxType::string || result.type == OnnxType::complex64 || result.type == OnnxType::complex128) return std::nullopt;
  if (result.is_integer() && !operands[0]->is_integer())
    for (double& number : result.numbers) number = std::trunc(number);
  if (result.type == OnnxType::boolean)
    for (double& number : result.numbers) number = number != 0;
  return result;
}

Folded fold_reshape(const OnnxNode& node, Operands operands, int64_t) {
  const auto target = integers_of(node, "shape", operands.size() > 1 ? operands[1].get() : nullptr);
  if (!target) return std::nullopt;
  const Shape shape = reshape_target(node, constant_shape(operands[0]->dims), known_of(constant_shape(*target)), 0);
  return reshaped(*operands[0], concrete(shape, 1));
}

Folded fold_flatten(const OnnxNode& node, Operands operands, int64_t) {
  const Known& x = *operands[0];
  const int64_t axis = flatten_axis(node, static_cast<int64_t>(x.dims.size()));
  const int64_t rows = std::accumulate(x.dims.begin(), x.dims.begin() + axis, int64_t{1}, std::multiplies<>());
  return reshaped(x, {rows, rows ? x.size() / rows : 0});
}

Folded fold_transpose(const OnnxNode& node, Operands operands, int64_t) {
  return permuted(*operands[0], permutation_of(node, static_cast<int64_t>(operands[0]->dims.size())));
}

Folded fold_unsqueeze(const OnnxNode& node, Operands operands, int64_t) {
  const auto axes = integers_of(node, "axes", operands.size() > 1 ? operands[1].get() : nullptr);
  if (!axes) return std::nullopt;
  return reshaped(*operands[0], concrete(unsqueezed(node, constant_shape(operands[0]->dims), *axes), 1));
}

Folded fold_squeeze(const OnnxNode& node, Operands operands, int64_t) {
  const auto axes = integers_of(node, "axes", operands.size() > 1 ? operands[1].get() : nullptr);
  return reshaped(*operands[0], concrete(squeezed(node, constant_shape(operands[0]->dims), axes), 1));
}

// The index of each element of `x`, along whose `axis` only those are taken.
std::vector<int64_t> along(const Known& x, int64_t axis, const std::vector<int64_t>& taken) {
  int64_t outer = 1, inner = 1;
  const int64_t extent = x.dims[static_cast<size_t>(axis)];
  for (size_t d = 0; d < x.dims.size(); ++d)
    if (static_cast<int64_t>(d) != axis) (static_cast<int64_t>(d) < axis ? outer : inner) *= x.dims[d];
  std::vector<int64_t> indices;
  for (int64_t o = 0; o < outer; ++o)
    for (const int64_t k : taken)
      for (int64_t i = 0; i < inner; ++i) indices.push_back((o * extent + k) * inner + i);
  return indices;
}

Folded fold_gather(const OnnxNode& node, Operands operands, int64_t) {
  const Known &x = *operands[0], &indices = *operands[1];
  if (x.dims.empty() || indices.mentions_batch()) return std::nullopt;
  const int64_t axis = axis_of(node, node.get<int64_t>("axis", 0), static_cast<int64_t>(x.dims.size()));
  const int64_t extent = x.dims[static_cast<size_t>(axis)];
  std::vector<int64_t> taken;
  for (const double index : indices.numbers) {
    const int64_t k = integer_of(node, index) + (index < 0 ? extent : 0);
    if (k < 0 || k >= extent) node.fail(fmt::format("index {} is outside of the {} elements of axis {}", index, extent, axis));
    taken.push_back(k);
  }
  std::vector<int64_t> dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  if (!is_small(dims)) return std::nullopt;
  return gathered(x, dims, along(x, axis, taken));
}

Folded fold_slice(const OnnxNode& node, Operands operands, int64_t) {
  const auto operand = [&](size_t k) { return k < operands.size() ? operands[k].get() : nullptr; };
  Known x = *operands[0];
  for (const SliceRange& range : slice_ranges(node, constant_shape(x.dims), operand(1), operand(2), operand(3), operand(4))) {
    std::vector<int64_t> taken;
    for (int64_t k = 0; k < range.count; ++k) taken.push_back(range.begin + k * range.step);
    std::vector<int64_t> dims = x.dims;
    dims[static_cast<size_t>(range.axis)] = range.count;
    x = gathered(x, dims, along(x, range.axis, taken));
  }
  return x;
}

Folded fold_concat(const OnnxNode& node, Operands operands, int64_t) {
  if (std::find(operands.begin(), operands.end(), nullptr) != operands.end()) node.fail("one of its operands is missing");
  const Known& first = *operands[0];
  const int64_t axis = axis_of(node, node.get<int64_t>("axis", 1), static_cast<int64_t>(first.dims.size()));
  Known all{.type = first.type, .dims = {}, .numbers = {}, .batch = {}, .name = {}};
  std::vector<int64_t> dims = first.dims;
  dims[static_cast<size_t>(axis)] = 0;
  for (const KnownPointer& operand : operands) {
    if (operand->dims.size() != dims.size()) node.fail("its operands have different ranks");
    for (size_t d = 0; d < dims.size(); ++d)
      if (static_cast<int64_t>(d) != axis && operand->dims[d] != dims[d])
        node.fail("its operands differ along other axes than the one they are joined along");
    dims[static_cast<size_t>(axis)] += operand->dims[static_cast<size_t>(axis)];
    check_dims(node, dims, largest_folded);
  }
  const auto product = [](auto begin, auto end) { return std::accumulate(begin, end, int64_t{1}, std::multiplies<>()); };
  const int64_t outer = product(dims.begin(), dims.begin() + axis), inner = product(dims.begin() + axis + 1, dims.end());
  for (int64_t o = 0; o < outer; ++o) {
    for (const KnownPointer& operand : operands) {
      const int64_t count = operand->dims[static_cast<size_t>(axis)] * inner;
      for (int64_t k = o * count; k < (o + 1) * count; ++k) {
        all.numbers.push_back(operand->numbers[static_cast<size_t>(k)]);
        all.batch.push_back(operand->is_batch(static_cast<size_t>(k)));
      }
    }
  }
  all.dims = dims;
  return all;
}

Folded fold_constant_of_shape(const OnnxNode& node, Operands operands, int64_t) {
  if (operands[0]->mentions_batch()) return std::nullopt;
  const IntList dims = *integers_of(node, "input", operands[0].get());
  const OnnxTensor* value = node.find<OnnxTensor>("value");
  Known result{.type = value ? value->type : OnnxType::f32, .dims = dims, .numbers = {}, .batch = {}, .name = {}};
  double number = 0;
  if (value) {
    const Known given = known_of(*value);
    if (given.size() != 1) node.fail("its value is not one number");
    number = given.numbers[0];
  }
  check_dims(node, dims, largest_folded);
  result.numbers.assign(static_cast<size_t>(element_count(dims)), number);
  return result;
}

Folded fold_range(const OnnxNode& node, Operands operands, int64_t) {
  for (const KnownPointer& operand : operands)
    if (operand->size() != 1 || operand->mentions_batch()) return std::nullopt;
  const double begin = operands[0]->numbers[0], end = operands[1]->numbers[0], step = operands[2]->numbers[0];
  const double count = step == 0 ? -1 : std::max(0.0, std::ceil((end - begin) / step));
  if (!(count >= 0) || count > static_cast<double>(largest_folded)) node.fail("its range is empty of meaning, or too long");
  Known result{.type = operands[0]->type, .dims = {static_cast<int64_t>(count)}, .numbers = {}, .batch = {}, .name = {}};
  for (int64_t k = 0; k < static_cast<int64_t>(count); ++k) result.numbers.push_back(begin + static_cast<double>(k) * step);
  return result;
}

Folded fold_expand(const OnnxNode& node, Operands operands, int64_t) {
  if (operands[1]->mentions_batch()) return std::nullopt;
  const auto dims = broadcast_dims(operands[0]->dims, *integers_of(node, "shape", operands[1].get()));
  if (!dims) return std::nullopt;
  return broadcast(*operands[0], *dims);
}

Folded fold_tile(const OnnxNode& node, Operands operands, int64_t) {
  if (operands.size() < 2 || operands[1]->mentions_batch()) return std::nullopt;
  const IntList repeats = *integers_of(node, "repeats", operands[1].get());
  Known x = *operands[0];
  if (repeats.size() != x.dims.size()) return std::nullopt;
  for (size_t axis = 0; axis < repeats.size(); ++axis) {
    std::vector<int64_t> taken, dims = x.dims;
    if (repeats[axis] < 0 || repeats[axis] > largest_folded) return std::nullopt;
    dims[axis] *= repeats[axis];
    check_dims(node, dims, largest_folded);
    for (int64_t k = 0; k < dims[axis]; ++k) taken.push_back(k % x.dims[axis]);
    x = gathered(x, dims, along(x, static_cast<int64_t>(axis), taken));
  }
  return x;
}

Folded fold_where(const OnnxNode&, Operands operands, int64_t) {
  const auto dims = broadcast_dims(operands[0]->dims, operands[1]->dims);
  const auto all = dims ? broadcast_dims(*dims, operands[2]->dims) : dims;
  if (!all || operands[0]->mentions_batch()) return std::nullopt;
  const Known condition = broadcast(*operands[0], *all), yes = broadcast(*operands[1], *all), no = broadcast(*operands[2], *all);
  Known result{.type = yes.type, .dims = *all, .numbers = {}, .batch = {}, .name = {}};
  for (size_t k = 0; k < condition.numbers.size(); ++k) {
    const Number number = number_of(condition.numbers[k] != 0 ? yes : no, k);
    result.numbers.push_back(number.value);
    result.batch.push_back(number.batch);
  }
  return result;
}

// Over all axes of a vector, which is what is done with shapes.
template <Combine combine>
Folded fold_reduce(const OnnxNode& node, Operands operands, int64_t) {
  const Known& x = *operands[0];
  const auto axes = integers_of(node, "axes", operands.size() > 1 ? operands[1].get() : nullptr);
  if (x.dims.size() != 1 || x.numbers.empty() || (axes && axes->size() != 1)) return std::nullopt;
  std::optional<Number> result = number_of(x, 0);
  for (size_t k = 1; result && k < x.numbers.size(); ++k) result = combine(*result, number_of(x, k));
  if (!result) return std::nullopt;
  Known known{.type = x.type, .dims = {}, .numbers = {result->value}, .batch = {result->batch}, .name = {}};
  if (node.get<int64_t>("keepdims", 1)) known.dims = {1};
  return known;
}

struct FoldRule {
  Fold fold;
  size_t needed = 1;   // operands
};

const std::map<std::string, FoldRule, std::less<>> folds = {
    {"Abs", {fold_unary<absolute>}}, {"Add", {fold_binary<plus>}}, {"And", {fold_comparison<both>}}, {"Cast", {fold_cast}},
    {"Ceil", {fold_unary<round_up>}}, {"Concat", {fold_concat}}, {"ConstantOfShape", {fold_constant_of_shape}}, {"Div", {fold_div}},
    {"Equal", {fold_comparison<equal>}}, {"Erf", {fold_unary<error_function>}}, {"Exp", {fold_unary<exponential>}},
    {"Expand", {fold_expand, 2}}, {"Flatten", {fold_flatten}}, {"Floor", {fold_unary<round_down>}}, {"Gather", {fold_gather, 2}},
    {"Greater", {fold_comparison<greater>}}, {"GreaterOrEqual", {fold_comparison<at_least>}},
    {"Less", {fold_comparison<less>}}, {"LessOrEqual", {fold_comparison<at_most>}}, {"Log", {fold_unary<logarithm>}},
    {"Max", {fold_variadic<larger>}}, {"Min", {fold_variadic<smaller>}}, {"Mod", {fold_mod}}, {"Mul", {fold_binary<times>}},
    {"Neg", {fold_unary<negated>}}, {"Not", {fold_unary<opposite>}}, {"Or", {fold_comparison<either>}}, {"Pow", {fold_binary<power>}},
    {"Range", {fold_range, 3}}, {"Reciprocal", {fold_unary<inverse>}}, {"ReduceMax", {fold_reduce<larger>}},
    {"ReduceMin", {fold_reduce<smaller>}}, {"ReduceProd", {fold_reduce<times>}}, {"ReduceSum", {fold_reduce<plus>}},
    {"Reshape", {fold_reshape}}, {"Round", {fold_unary<round_half_to_even>}}, {"Sigmoid", {fold_unary<logistic>}},
    {"Sign", {fold_unary<sign>}}, {"Slice", {fold_slice}}, {"Sqrt", {fold_unary<root>}}, {"Squeeze", {fold_squeeze}},
    {"Sub", {fold_binary<minus>}}, {"Sum", {fold_variadic<plus>}}, {"Tanh", {fold_unary<tangent>}}, {"Tile", {fold_tile, 2}},
    {"Transpose", {fold_transpose}}, {"Unsqueeze", {fold_unsqueeze}}, {"Where", {fold_where, 3}}};

}  // namespace

std::optional<Known> fold(const OnnxNode& node, Operands operands, int64_t opset) {
  const auto found = folds.find(node.op_type);
  if (found == folds.end()) return std::nullopt;
  const size_t needed = found->second.needed;
  if (operands.size() < needed || std::find(operands.begin(), operands.begin() + static_cast<int64_t>(needed), nullptr) !=
                                      operands.begin() + static_cast<int64_t>(needed))
    return std::nullopt;
  for (const KnownPointer& operand : operands)
    if (operand && !is_small(operand->dims)) return std::nullopt;
  std::optional<Known> result = found->second.fold(node, operands, opset);
  if (result) result->name.clear();
  return result;
}

}  // namespace bnc::onnx
