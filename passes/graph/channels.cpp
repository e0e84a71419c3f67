#include "passes/graph/channels.h"

#include <algorithm>

#include <fmt/format.h>

#include "passes/graph/rewrite.h"

namespace bnc {

namespace {

struct Group {
  int from_begin, from_end, to_begin, to_end;
};

Dim product(Dim a, Dim b) { return {a.factor * b.factor, a.batch || b.batch}; }

// Whether the product `a` needs more dimensions to become `b`.
bool is_smaller(Dim a, Dim b) { return a.batch != b.batch ? !a.batch : a.factor < b.factor; }

// The smallest runs of dimensions whose products agree, in order; trailing ones belong to the run before them.
std::vector<Group> common_groups(const Shape& from, const Shape& to) {
  const int from_rank = static_cast<int>(from.size()), to_rank = static_cast<int>(to.size());
  std::vector<Group> groups;
  int i = 0, j = 0;
  while (i < from_rank || j < to_rank) {
    Group group{i, i, j, j};
    Dim a, b;
    if (i < from_rank) a = from[i++];
    if (j < to_rank) b = to[j++];
    while (!(a == b)) {
      if (is_smaller(a, b) && i < from_rank) a = product(a, from[i++]);
      else if (is_smaller(b, a) && j < to_rank) b = product(b, to[j++]);
      else return {};
    }
    while (i < from_rank && from[i].is_one() && (j == to_rank || !to[j].is_one())) ++i;
    while (j < to_rank && to[j].is_one() && (i == from_rank || !from[i].is_one())) ++j;
    group.from_end = i;
    group.to_end = j;
    groups.push_back(group);
  }
  return groups;
}

}  // namespace

bool ChannelBlock::one_to_one() const {
  for (size_t i = 0; i < block.size(); ++i)
    if (static_cast<int>(i) != position && !block[i].is_one()) return false;
  return true;
}

std::optional<ChannelBlock> follow_channels(const Shape& from, const Shape& to, int axis) {
  for (const Group& group : common_groups(from, to)) {
    if (axis < group.from_begin || axis >= group.from_end || group.to_begin == group.to_end) continue;
    int target = group.to_begin, wide = 0;
    for (int j = group.to_begin; j < group.to_end; ++j)
      if (!to[j].is_one()) target = j, ++wide;
    if (wide > 1) return std::nullopt;
    ChannelBlock block{target, Shape(from.begin() + group.from_begin, from.begin() + group.from_end), axis - group.from_begin};
    for (const Dim& dim : block.block)
      if (dim.batch) return std::nullopt;
    return block;
  }
  return std::nullopt;
}

Value repeat_channels(GraphBuilder& builder, Value vector, const ChannelBlock& block) {
  if (block.one_to_one()) return vector;
  Shape column(block.block.size(), Dim{});
  column[block.position] = block.block[block.position];
  const Value spread = builder.value("broadcast_to", {builder.reshape(vector, column)}, {{"shape", block.block}});
  return builder.reshape(spread, {*element_count(block.block)});
}

bool is_channel_vector(const TensorType& operand, const TensorType& type, int axis) {
  const int missing = type.rank() - operand.rank();
  if (missing < 0) return false;
  for (int i = 0; i < operand.rank(); ++i)
    if (i + missing != axis && !operand.shape[i].is_one()) return false;
  return !type.shape[axis].batch;
}

Value channel_vector(GraphBuilder& builder, Value operand, const TensorType& type, int axis) {
  if (!is_channel_vector(operand.type(), type, axis)) return {};
  const Shape channels{type.shape[axis]};
  if (operand.type().shape == channels) return operand;
  const std::optional<Dim> count = element_count(operand.type().shape);
  if (*count == channels[0]) return builder.reshape(operand, channels);
  return builder.value("broadcast_to", {builder.reshape(operand, {Dim{}})}, {{"shape", channels}});
}

Attribute axis_attribute(int axis, int rank) { return axis == rank - 1 ? Attribute(-1) : Attribute(axis); }

IntList permutation_of(const Node& transpose) {
  IntList permutation = transpose.attribute("permutation").integers();
  const int rank = transpose.operands[0].type().rank();
  if (permutation.empty())
    for (int i = rank - 1; i >= 0; --i) permutation.push_back(i);
  return permutation;
}

int transpose_source(const Node& transpose, int axis) { return static_cast<int>(permutation_of(transpose)[axis]); }

int transpose_target(const Node& transpose, int axis) {
  const IntList permutation = permutation_of(transpose);
  for (size_t i = 0; i < permutation.size(); ++i)
    if (permutation[i] == axis) return static_cast<int>(i);
  BNC_CHECK(false, fmt::format("axis {} of a transpose", axis));
  return -1;
}

int reduced_axis(const Node& reduction, int axis) {
  const ReduceLowering& lowering = *reduction.op->lowering_as<ReduceLowering>();
  const std::vector<int> reduced = lowering.axes(reduction);
  if (std::binary_search(reduced.begin(), reduced.end(), axis)) return -1;
  const auto before = std::lower_bound(reduced.begin(), reduced.end(), axis) - reduced.begin();
  return lowering.keep_dims(reduction) ? axis : axis - static_cast<int>(before);
}

int unreduced_axis(const Node& reduction, int axis) {
  for (int source = 0; source < reduction.operands[0].type().rank(); ++source)
    if (reduced_axis(reduction, source) == axis) return source;
  return -1;
}

std::string describe(const Node& node) {
  const std::string& name = node.results[0].name;
  const std::string path = is_made_up(name) ? layer_path(node) : "";
  std::string text = fmt::format("{} `{}`", node.op->name, path.empty() ? name : path);
  if (node.range.known()) text += fmt::format(" (line {})", node.range.line);
  return text;
}

}  // namespace bnc
