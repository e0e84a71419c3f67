#include "runtime/feature_order.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace bnc {

namespace {

bool is_one_of(const Node& node, std::initializer_list<const char*> ops) {
  return std::any_of(ops.begin(), ops.end(), [&](const char* op) { return node.is(op); });
}

// A batch of examples of so many dimensions or more.
bool is_batch(const Value& value, int rank) { return value.type().rank() >= rank && value.type().shape[0].batch; }

bool keeps_batch(const Value& from, const Value& to) { return from.type().shape[0] == to.type().shape[0]; }

// The order of a flattened value whose axes stand as `axes` in PyTorch; null where it is the same.
std::shared_ptr<const FeatureOrder> flattened(const Shape& shape, const std::vector<int>& axes) {
  const size_t rank = shape.size();
  std::vector<int64_t> steps(rank, 1), index(rank, 0), dims(rank), theirs;
  int64_t count = 1;
  for (size_t k = 1; k < rank; ++k) dims[k] = shape[k].factor;
  for (size_t k = axes.size(); k-- > 0;) {
    steps[static_cast<size_t>(axes[k])] = count;
    count *= dims[static_cast<size_t>(axes[k])];
  }
  auto order = std::make_shared<FeatureOrder>();
  order->places.reserve(static_cast<size_t>(count));
  bool same = true;
  for (int64_t k = 0, place = 0; k < count; ++k) {
    order->places.push_back(place);
    same &= place == k;
    for (size_t axis = rank; axis-- > 1;) {
      place += steps[axis];
      if (++index[axis] < dims[axis]) break;
      place -= steps[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  if (same) return nullptr;
  for (const int axis : axes) theirs.push_back(dims[static_cast<size_t>(axis)]);
  order->text = fmt::format("[{}] is [{}] here", fmt::join(theirs, ", "), fmt::join(dims.begin() + 1, dims.end(), ", "));
  return order;
}

// Whether each feature of the result comes from that of the same number alone.
bool keeps_features(const Node& node, const Value& operand) {
  return !is_one_of(node, {"dense", "matmul", "concat", "slice", "transpose"}) && operand.type().shape == node.results[0].type.shape;
}

}  // namespace

FeatureOrders::FeatureOrders(const Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (!node->is("transpose")) continue;
    const IntList& permutation = node->attribute("permutation").integers();
    const Node* from = node->operands[0].node;
    if (permutation == IntList{0, 2, 3, 1} && is_one_of(*from, {"input", "reshape"})) is_turned_[from] = true;
  }
  for (const auto& node : graph.nodes()) look_forward(*node);
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) look_back(**node);
}

std::shared_ptr<const FeatureOrder> FeatureOrders::of(Value value) const {
  const auto found = orders_.find({value.node, value.index});
  return found == orders_.end() ? nullptr : found->second;
}

void FeatureOrders::set(Value value, std::shared_ptr<const FeatureOrder> order) {
  if (order) orders_.emplace(Key{value.node, value.index}, std::move(order));
}

// Images are channels last unless something else is known; of other tensors PyTorch has the same order.
FeatureOrders::Axes FeatureOrders::axes_of(Value value) const {
  if (const auto found = axes_.find({value.node, value.index}); found != axes_.end()) return found->second;
  if (value.type().rank() == 4 && !is_turned_.contains(value.node)) return {3, 1, 2};
  Axes axes(static_cast<size_t>(value.type().rank() - 1));
  std::iota(axes.begin(), axes.end(), 1);
  return axes;
}

void FeatureOrders::look_forward(Node& node) {
  if (node.results.empty() || node.operands.empty()) return;
  const Value y = node.result(), x = node.operands[0];
  if (!is_batch(y, 2) || !x) return;
  if (node.is("concat")) return join(node);
  if (is_one_of(node, {"flatten", "reshape"}) && y.type().rank() == 2 && is_batch(x, 3) && keeps_batch(x, y))
    return set(y, flattened(x.type().shape, axes_of(x)));
  if (y.type().rank() == 2) {
    for (const Value& operand : node.operands)
      if (operand && keeps_features(node, operand)) set(y, of(operand));
    return;
  }
  if (node.is("conv1d")) axes_[{&node, 0}] = {2, 1};
  if (is_one_of(node, {"conv1d", "conv2d", "conv2d_transpose", "convolution", "dense", "matmul", "reshape"})) return;
  if (!is_batch(x, 3) || x.type().rank() != y.type().rank()) return;
  Axes axes = axes_of(x);
  if (node.is("transpose")) {
    const IntList& permutation = node.attribute("permutation").integers();
    if (permutation.empty() || permutation[0] != 0) return;
    for (int& axis : axes) axis = static_cast<int>(std::find(permutation.begin(), permutation.end(), axis) - permutation.begin());
  }
  axes_[{&node, 0}] = axes;
}

// Features side by side.
void FeatureOrders::join(Node& concat) {
  const Value y = concat.result();
  const auto orders = [&](const Value& part) { return of(part) != nullptr; };
  if (y.type().rank() != 2 || std::none_of(concat.operands.begin(), concat.operands.end(), orders)) {
    if (is_batch(concat.operands[0], 3)) axes_[{&concat, 0}] = axes_of(concat.operands[0]);
    return;
  }
  auto whole = std::make_shared<FeatureOrder>();
  int64_t begin = 0;
  for (const Value& part : concat.operands) {
    const auto order = of(part);
    const int64_t width = part.type().shape[1].factor;
    for (int64_t k = 0; k < width; ++k) whole->places.push_back(begin + (order ? order->places[static_cast<size_t>(k)] : k));
    if (order) whole->text += (whole->text.empty() ? "" : ", ") + order->text;
    begin += width;
  }
  set(y, whole);
}

// Features that become an image stand in the order of that image.
void FeatureOrders::look_back(Node& node) {
  if (node.results.empty() || node.operands.empty()) return;
  const Value y = node.result(), x = node.operands[0];
  if (!x || !is_batch(x, 2) || x.type().rank() != 2 || !is_batch(y, 2)) return;
  if (node.is("reshape") && y.type().rank() == 4 && keeps_batch(x, y)) return set(x, flattened(y.type().shape, axes_of(y)));
  if (y.type().rank() != 2 || !of(y)) return;
  for (const Value& operand : node.operands)
    if (operand && keeps_features(node, operand)) set(operand, of(y));
}

}  // namespace bnc
