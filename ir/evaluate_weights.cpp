#include "ir/evaluate_weights.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/ops/common.h"

namespace bnc {

namespace {

constexpr int64_t block_size = 512;           // elements computed at a time: all blocks of an expression stay in the first-level cache
constexpr int64_t largest_kept = 1 << 16;     // elements of a value that is kept
constexpr int64_t longest_run = 64;           // operations computed in one go, for which there is room on the stack

bool is_weight(const Node& node) { return node.is("parameter") || node.is("state"); }

// Computed in blocks. Integers wrap around, which their reference evaluation knows.
bool is_arithmetic(const Node& node) {
  return node.results[0].type.dtype == DType::f32 && (node.is("add") || node.is("sub") || node.is("mul"));
}

int64_t size_of(Value value) { return element_count(value.type().shape)->at(1); }

// One dimension of a broadcast: how many elements, and how far apart they are in the operand (0 where it is repeated).
struct Dimension {
  int64_t extent, stride;
};

// Neighbouring dimensions that are walked in one go are merged; there is at least one.
std::vector<Dimension> merged_dimensions(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides) {
  std::vector<Dimension> merged;
  for (size_t k = 0; k < dims.size(); ++k) {
    if (dims[k] == 1) continue;
    if (!merged.empty() && merged.back().stride == strides[k] * dims[k]) merged.back() = {merged.back().extent * dims[k], strides[k]};
    else merged.push_back({dims[k], strides[k]});
  }
  if (merged.empty()) merged.push_back({1, 0});
  return merged;
}

// Copies what the broadcast operand has at the positions begin, begin + 1 ... of the result.
void read_broadcast(const std::vector<double>& data, const std::vector<Dimension>& dimensions, int64_t begin, std::span<double> block) {
  const Dimension inner = dimensions.back();
  for (size_t filled = 0; filled < block.size();) {
    int64_t row = (begin + static_cast<int64_t>(filled)) / inner.extent, first = (begin + static_cast<int64_t>(filled)) % inner.extent;
    int64_t offset = first * inner.stride;
    for (size_t k = dimensions.size() - 1; k-- > 0; row /= dimensions[k].extent)
      offset += row % dimensions[k].extent * dimensions[k].stride;
    const size_t count = std::min<size_t>(block.size() - filled, inner.extent - first);
    if (inner.stride == 0) std::fill_n(block.begin() + filled, count, data[offset]);
    else if (inner.stride == 1) std::copy_n(data.begin() + offset, count, block.begin() + filled);
    else for (size_t i = 0; i < count; ++i) block[filled + i] = data[offset + static_cast<int64_t>(i) * inner.stride];
    filled += count;
  }
}

}  // namespace

const Tensor& WeightEvaluator::value(Value value) {
  if (!values_.count(value.node)) prepare(value);
  return known_value(value);
}

const Tensor& WeightEvaluator::known_value(Value value) {
  const auto known = values_.find(value.node);
  if (known != values_.end()) return known->second[value.index];
  std::vector<Tensor> results = compute(*value.node);
  if (std::any_of(results.begin(), results.end(), [](const Tensor& tensor) { return tensor.size() > largest_kept; }))
    large_.push_back(value.node);
  return (values_[value.node] = std::move(results))[value.index];
}

void WeightEvaluator::prepare(Value value) {
  std::unordered_map<const Node*, int64_t> lengths;   // of the runs that compute the nodes done
  std::vector<std::pair<Node*, size_t>> open = {{value.node, 0}};   // with the operand to look at next
  while (!open.empty()) {
    auto& [node, next] = open.back();
    if (next < node->operands.size()) {
      Node* operand = node->operands[next++].node;
      if (operand && !lengths.count(operand) && !values_.count(operand)) open.emplace_back(operand, 0);
      continue;
    }
    int64_t length = 1;
    for (const Value& operand : node->operands)
      if (const auto found = lengths.find(operand.node); found != lengths.end()) length += found->second;
    const bool in_run = is_weight(*node) || ((is_arithmetic(*node) || node->is("reshape")) && length <= longest_run);
    lengths[node] = in_run ? length : 0;
    if (!in_run && node != value.node) known_value(node->result());
    open.pop_back();
  }
}

Weight WeightEvaluator::rounded(Value value) {
  prepare(value);
  std::vector<float> data(size_of(value));
  for_each_block(value, [&](int64_t begin, std::span<const double> block) { std::copy(block.begin(), block.end(), data.begin() + begin); });
  forget_large_values();
  return Weight::owned(concrete(value.type().shape, 1), std::move(data));
}

void WeightEvaluator::for_each_block(Value value, const std::function<void(int64_t, std::span<const double>)>& visit) {
  const Run run = run_of(value);
  std::array<double, block_size> storage;
  for (int64_t begin = 0, size = size_of(value); begin < size; begin += block_size) {
    const std::span block = std::span(storage).first(std::min(block_size, size - begin));
    run(begin, block);
    visit(begin, block);
  }
}

template <class Function> WeightEvaluator::Run WeightEvaluator::combine(const Node& node, Function function) {
  return [function, left = operand_run(node, 0), right = operand_run(node, 1)](int64_t begin, std::span<double> block) {
    std::array<double, block_size> other;
    left(begin, block);
    right(begin, std::span(other).first(block.size()));
    for (size_t i = 0; i < block.size(); ++i) block[i] = function(block[i], other[i]);
  };
}

WeightEvaluator::Run WeightEvaluator::run_of(Value value) {
  const Node& node = *value.node;
  const bool is_known = values_.count(&node);
  if (is_weight(node) && !is_known) {
    const Weight* weight = weights_.find(value.name());
    BNC_CHECK(weight, fmt::format("no weight {}", value.name()));
    return
        [data = weight->data](int64_t begin, std::span<double> block) { std::copy_n(data.begin() + begin, block.size(), block.begin()); };
  }
  if (node.is("reshape") && !is_known) return run_of(node.operands[0]);
  if (is_arithmetic(node) && !is_known) {
    if (node.is("add")) return combine(node, std::plus<double>());
    if (node.is("sub")) return combine(node, std::minus<double>());
    return combine(node, std::multiplies<double>());
  }
  const std::vector<double>& data = known_value(value).data;
  return [&data](int64_t begin, std::span<double> block) { std::copy_n(data.begin() + begin, block.size(), block.begin()); };
}

WeightEvaluator::Run WeightEvaluator::operand_run(const Node& node, int operand) {
  const Value value = node.operands[operand];
  const Shape& shape = node.results[0].type.shape;
  if (size_of(value) == element_count(shape)->at(1)) return run_of(value);
  const std::vector<int64_t> dims = concrete(shape, 1);
  const auto strides = ops::broadcast_strides(concrete(value.type().shape, 1), dims.size());
  return [&data = known_value(value).data, dimensions = merged_dimensions(dims, strides)](int64_t begin, std::span<double> block) {
    read_broadcast(data, dimensions, begin, block);
  };
}

std::vector<Tensor> WeightEvaluator::compute(Node& node) {
  if (is_weight(node) || is_arithmetic(node)) {
    const Result& result = node.results[0];
    Tensor tensor = Tensor::filled(result.type.dtype, concrete(result.type.shape, 1), 0);
    for_each_block(node.result(), [&](int64_t begin, std::span<const double> block) {
      std::copy(block.begin(), block.end(), tensor.data.begin() + begin);
    });
    return {std::move(tensor)};
  }
  if (node.is("reduce_sum"))
    if (const std::vector<int> axes = ops::axes_of(node); axes.size() == 1) return {sum_along(node, axes[0])};
  EvaluateContext cx{node, {}, 1};
  for (const Value& operand : node.operands) cx.operands.push_back(operand ? &known_value(operand) : nullptr);
  return node.op->evaluate(cx);
}

// Adds up whole runs of what lies behind the axis, in the order of the elements.
Tensor WeightEvaluator::sum_along(const Node& node, int axis) {
  const std::vector<int64_t> dims = concrete(node.operands[0].type().shape, 1);
  const int64_t extent = dims[axis], inner = ops::row_major_strides(dims)[axis];
  Tensor sums = Tensor::filled(DType::f32, concrete(node.results[0].type.shape, 1), 0);
  for_each_block(node.operands[0], [&](int64_t begin, std::span<const double> block) {
    while (!block.empty()) {
      const int64_t row = begin / inner, column = begin % inner;
      const size_t count = std::min<size_t>(block.size(), inner - column);
      double* target = &sums.data[row / extent * inner + column];
      for (size_t i = 0; i < count; ++i) target[i] += block[i];
      begin += static_cast<int64_t>(count);
      block = block.subspan(count);
    }
  });
  return sums;
}

void WeightEvaluator::forget_large_values() {
  for (const Node* node : large_) values_.erase(node);
  large_.clear();
}

Tensor evaluate_value(Value value, const Weights& weights) { return WeightEvaluator(weights).value(value); }

}  // namespace bnc
