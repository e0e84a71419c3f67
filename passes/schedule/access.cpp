#include "passes/schedule/access.h"

#include "passes/schedule/cost.h"

#include <fmt/format.h>

namespace bnc {
namespace {

using loops::Expr;

bool is_variable(const Expr& x, const std::string& name) { return x->kind == loops::ExprKind::variable && x->name == name; }

std::string dimension_variable(size_t d) { return fmt::format("i{}", d); }

Index symbolic_index(const Shape& shape) {
  Index index;
  for (size_t d = 0; d < shape.size(); ++d) index.push_back(shape[d].is_one() ? Expr(0) : loops::variable(dimension_variable(d)));
  return index;
}

// Whether index i of the space reads, of a dimension s times as long, one of the elements s*i, s*i + 1, ... s*i + s - 1.
bool reads_blocks(const Dim& operand, const Expr& index, const Dim& space, const std::string& variable) {
  if (operand.batch != space.batch || operand.factor <= space.factor || operand.factor % space.factor != 0) return false;
  const int64_t size = operand.factor / space.factor;
  auto at = [&](int64_t i) { return loops::as_integer(loops::substitute(index, {{variable, Expr(i)}})); };
  const auto first = at(0), second = at(1), far = at(1000);
  return first && second && far && *first >= 0 && *first < size && *second == *first + size && *far == *first + 1000 * size;
}

// Compares the index at which an operand of shape `shape` is read with the symbolic index over `space`.
Access classify(const Shape& shape, const Index& index, const Shape& space) {
  Access access{.times = 1};
  if (shape.empty()) return access;
  auto matches = [&](size_t operand_dim, size_t space_dim) {
    if (shape[operand_dim].is_one() || loops::is_constant(index[operand_dim], 0)) return shape[operand_dim].is_one();
    return is_variable(index[operand_dim], dimension_variable(space_dim));
  };
  const size_t rank = shape.size();
  for (size_t d = 0; d < rank; ++d) {
    if (rank > space.size() || !matches(d, space.size() - rank + d)) access.pointwise = false;
  }
  access.same_column = !space.empty() && matches(rank - 1, space.size() - 1);
  const size_t common = std::min(rank, space.size());
  size_t leading = 0;
  while (leading < common && shape[leading] == space[leading] && matches(leading, leading)) ++leading;
  access.leading = static_cast<int>(leading);
  access.blocked = leading < common && reads_blocks(shape[leading], index[leading], space[leading], dimension_variable(leading));
  return access;
}

// Records where operands are read and gives a placeholder value.
class Probe : public ElementContext {
 public:
  Probe(const Node& node, int watched, const Shape& space) : ElementContext(node), watched_(watched), space_(space) {}

  Expr operand(int k, const Index& index) override {
    const TensorType& type = node.operands[k].type();
    // An index longer than the operand's rank, or varying where the operand has one element, is broadcasting.
    Index aligned(index.end() - std::min(index.size(), type.shape.size()), index.end());
    if (k == watched_) access.merge(classify(type.shape, aligned, space_));
    return type.dtype == DType::i32 ? loops::variable("element", {loops::Scalar::i32, 1})
                                    : loops::variable("element", {loops::Scalar::f32, 1});
  }
  Expr extent(const Dim& dim) override {
    return dim.batch ? Expr(dim.factor) * loops::variable(loops::batch_variable) : Expr(dim.factor);
  }

  Access access;

 private:
  int watched_;
  const Shape& space_;
};

}  // namespace

void Access::merge(const Access& other) {
  reads = true;
  times += other.times;
  pointwise = pointwise && other.pointwise;
  same_column = same_column && other.same_column;
  blocked = leading == other.leading ? blocked && other.blocked : leading < other.leading ? blocked : other.blocked;
  leading = std::min(leading, other.leading);
}

const Shape& iteration_shape(const Node& node) {
  if (node.op->lowering_as<ReduceLowering>()) return node.operands[0].type().shape;
  return node.results[0].type.shape;
}

Access access_of(const Node& node, int k) {
  const Shape& space = iteration_shape(node);
  if (node.op->lowering_as<ReduceLowering>()) return Access{.reads = true};
  const Index index = symbolic_index(space);
  if (const auto* contract = node.op->lowering_as<ContractLowering>()) {
    const auto parts = contract->parts(node);
    const auto& contraction = parts.front();
    // What several parts or groups read is spread over the whole operand.
    if (parts.size() > 1 || contraction.space != space)
      return Access{.reads = true, .pointwise = false, .same_column = false, .leading = 0};
    Index reduction;
    for (size_t d = 0; d < contraction.reduction.size(); ++d) reduction.push_back(loops::variable(fmt::format("k{}", d)));
    Access access = classify(node.operands[k].type().shape, (k == 0 ? contraction.left : contraction.right)(index, reduction), space);
    access.pointwise = false;
    access.reads = true;
    return access;
  }
  const auto* element = node.op->lowering_as<ElementLowering>();
  BNC_CHECK(element, node.op->name);
  Probe probe(node, k, space);
  element->element(probe, index);
  return probe.access;
}

bool reads_about_once(const Node& reader, int k, const Access& access) {
  const Shape &space = iteration_shape(reader), &shape = reader.operands[k].type().shape;
  if (shape == space && access.pointwise) return true;
  const auto elements = element_count(shape), reads = element_count(space);
  if (!access.same_column || shape.size() < 3 || !elements || !reads || elements->batch != reads->batch) return false;
  return access.times * reads->factor <= cost::about_once * elements->factor;
}

const Access& Accesses::of(const Node& node, int k) {
  auto [it, added] = known_.try_emplace(&node);
  if (added) {
    for (size_t i = 0; i < node.operands.size(); ++i)
      it->second.push_back(node.operands[i] ? access_of(node, static_cast<int>(i)) : Access{});
  }
  return it->second[k];
}

Shape row_dims(const Shape& shape) {
  if (shape.size() == 1 && shape[0].batch) return shape;
  return shape.empty() ? shape : Shape(shape.begin(), shape.end() - 1);
}

Dim last_dim(const Shape& shape) { return shape.empty() ? Dim{} : shape.back(); }

}  // namespace bnc
