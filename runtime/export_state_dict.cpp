// Weights in PyTorch's layouts and words.
#include <algorithm>
#include <set>

#include "bnc/export.h"
#include "ir/op.h"
#include "ir/ops/common.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/safetensors.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// The image [.., C] whose elements are the columns of a matrix; empty where they are not those of an image.
Shape flattened_image(Value value) {
  while (value.type().rank() == 2 && !value.node->operands.empty()) {
    const Node& node = *value.node;
    const Value x = node.operands[0];
    if (node.is("flatten") || node.is("reshape")) {
      const Shape &from = x.type().shape, &to = value.type().shape;
      if (from.size() < 3) value = x;
      else return from[0] == to[0] ? Shape(from.begin() + 1, from.end()) : Shape{};
      continue;
    }
    const bool by_column = node.op->category == OpCategory::activation || node.is("batch_norm") || node.is("dropout") || node.is("bias") ||
                           node.is("scale_shift");
    if (!by_column) return {};
    value = x;
  }
  return {};
}

// How a tensor is stored: its dimensions in another order, but before that one of them divided into those of an image, channels first.
struct Layout {
  std::vector<int> order;
  int image_axis = -1;
  Shape image = {};
};

struct Place {
  std::string name;   // PyTorch's last word; empty: as in bnc
  Layout layout;
};

Layout of_image_columns(Value x, int axis, std::vector<int> order) {
  const Shape image = flattened_image(x);
  return image.empty() ? Layout{std::move(order)} : Layout{std::move(order), axis, image};
}

// What the tensor is for the node that reads it as that operand.
Place place_of(const Node& node, size_t operand) {
  const Value x = node.operands[0];
  const std::string& role = node.op->operands[std::min(operand, node.op->operands.size() - 1)].name;
  if (role == "weight") {
    if (node.is("dense")) return {"weight", of_image_columns(x, 0, {1, 0})};
    if (node.is("conv1d")) return {"weight", {{2, 1, 0}}};
    if (node.op->category == OpCategory::linear && node.operands[operand].type().rank() == 4) return {"weight", {{3, 2, 0, 1}}};
  }
  if (node.is("batch_norm")) {
    static const std::map<std::string, std::string> words = {
        {"gamma", "weight"}, {"beta", "bias"}, {"mean", "running_mean"}, {"variance", "running_var"}};
    const auto word = words.find(role);
    if (word != words.end()) return {word->second, of_image_columns(x, 0, {0})};
  }
  if (node.op->category == OpCategory::normalization && (role == "gamma" || role == "beta")) {
    Place place{role == "gamma" ? "weight" : "bias", {}};
    // PyTorch normalizes over the last axes; all of an image's are channels, height, width there.
    const int rank = node.operands[operand].type().rank();
    if (rank == x.type().rank() - 1 && rank > 1) {
      place.layout.order = {rank - 1};
      for (int axis = 0; axis + 1 < rank; ++axis) place.layout.order.push_back(axis);
    }
    return place;
  }
  if (node.is("prelu") && role == "alpha") return {"weight", of_image_columns(x, node.operands[1].type().shape[0].is_one() ? -1 : 0, {0})};
  return {};
}

// One value's weights in another order of dimensions.
Weight permuted_weight(const Weight& weight, const std::vector<int>& order) {
  if (std::is_sorted(order.begin(), order.end())) return weight;
  std::vector<int64_t> dims, index(order.size(), 0);
  for (const int axis : order) dims.push_back(weight.dims[static_cast<size_t>(axis)]);
  std::vector<float> values;
  values.reserve(weight.data.size());
  const std::vector<int64_t> strides = ops::row_major_strides(weight.dims);
  ops::for_each_index(dims, [&](const std::vector<int64_t>& at, int64_t) {
    int64_t from = 0;
    for (size_t k = 0; k < order.size(); ++k) from += at[k] * strides[static_cast<size_t>(order[k])];
    values.push_back(weight.data[static_cast<size_t>(from)]);
  });
  return Weight::owned(dims, std::move(values));
}

Weight laid_out(Weight weight, const Layout& layout) {
  const std::vector<int64_t> dims = weight.dims;
  if (layout.image_axis >= 0) {
    const auto axis = static_cast<size_t>(layout.image_axis);
    std::vector<int> order;
    std::vector<int64_t> split(dims.begin(), dims.begin() + layout.image_axis);
    const int64_t channels = layout.image.back().factor;
    split.insert(split.end(), {dims[axis] / channels, channels});
    split.insert(split.end(), dims.begin() + layout.image_axis + 1, dims.end());
    for (size_t k = 0; k < split.size(); ++k) order.push_back(static_cast<int>(k));
    std::swap(order[axis], order[axis + 1]);
    weight.dims = split;
    weight = permuted_weight(weight, order);
    weight.dims = dims;
  }
  return layout.order.empty() ? weight : permuted_weight(weight, layout.order);
}

// The first node that reads it, and as which operand.
Place place_in(const std::vector<Node*>& readers, const Node& source) {
  for (const Node* node : readers)
    for (size_t k = 1; k < node->operands.size(); ++k)
      if (node->operands[k].node == &source) return place_of(*node, k);
  return {};
}

bool is_step_counter(const std::vector<Node*>& readers, const Node& source) {
  constexpr size_t count = 5;   // the operand of a batch norm
  return std::any_of(readers.begin(), readers.end(), [&](const Node* node) {
    return node->is("batch_norm") && node->operands.size() > count && node->operands[count].node == &source;
  });
}

}  // namespace

ExportedModel export_state_dict(const Network& network, const WeightStore& weights) {
  return at_boundary([&] {
    network.check_weights(weights);
    const Graph& graph = network.data().graph();
    const Uses uses(graph);
    ExportedModel exported;
    PyTorchState dict;
    std::set<std::string> taken;
    for (const Node* source : weight_nodes(graph)) {
      const std::string& name = source->results[0].name;
      const Weight& weight = *weights.data().weights.find(name);
      const std::string layer = name.substr(0, name.rfind('.') + 1);
      const std::vector<Node*>& readers = uses.of(Value{const_cast<Node*>(source), 0});
      if (is_step_counter(readers, *source)) continue;   // it is num_batches_tracked
      const Place place = place_in(readers, *source);
      std::string written = place.name.empty() || layer.empty() ? name : layer + place.name;
      if (!taken.insert(written).second) {
        exported.notes.push_back(fmt::format("tensor `{}` keeps its name, because another one is `{}`", name, written));
        taken.insert(written = name);
      }
      dict.tensors.set(written, laid_out(weight, place.layout));
      if (place.name != "running_var") continue;
      const Weight* steps = weights.data().weights.find(layer + "count");
      dict.counters.emplace_back(layer + "num_batches_tracked", steps ? static_cast<int64_t>(steps->data[0]) : 0);
    }
    exported.bytes = write_state_dict(dict);
    return exported;
  });
}

}  // namespace bnc
