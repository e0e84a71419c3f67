#include "passes/lower/elements.h"

namespace bnc::lower {
namespace {

bool same_index(const Index& a, const Index& b) {
  if (a.size() != b.size()) return false;
  for (size_t d = 0; d < a.size(); ++d) {
    const auto x = loops::as_integer(a[d]), y = loops::as_integer(b[d]);
    if (a[d].get() != b[d].get() && !(x && y && *x == *y)) return false;
  }
  return true;
}

class OperandElements : public ElementContext {
 public:
  OperandElements(const Node& node, Elements& elements, const Lowering& lowering)
      : ElementContext(node), elements_(elements), lowering_(lowering) {}
  Expr operand(int k, const Index& index) override { return elements_.value(node.operands[k], index); }
  Expr extent(const Dim& dim) override { return lowering_.extent(dim); }

 private:
  Elements& elements_;
  const Lowering& lowering_;
};

}  // namespace

// NumPy broadcasting: surplus leading dimensions are dropped, dimensions of one element are read at 0.
Index Elements::own_index(Value value, const Index& index) {
  const Shape& shape = value.type().shape;
  BNC_CHECK(index.size() >= shape.size(), "an index of too few dimensions");
  Index result(index.end() - static_cast<ptrdiff_t>(shape.size()), index.end());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d].is_one()) result[d] = Expr(0);
  }
  return result;
}

Expr Elements::value(Value value, const Index& at) {
  const Index index = own_index(value, at);
  for (const Known& known : known_[value]) {
    if (same_index(known.index, index)) return known.element;
  }
  const Node& node = *value.node;
  Expr element;
  if (const Attribute* number = node.is("constant") ? &node.attribute("value") : nullptr; number && !number->get_if<NumberList>()) {
    const bool is_float = value.type().dtype == DType::f32;
    return loops::constant_of({is_float ? loops::Scalar::f32 : loops::Scalar::i32, 1}, number->number());
  }
  element = bind(value.name(), lowering_.inlined.count(&node) ? compute(node, index) : load(value, index));
  known_[value].push_back({index, element});
  return element;
}

Expr Elements::compute(const Node& node, const Index& index) {
  if (auto it = lowering_.sliced.find(&node); it != lowering_.sliced.end())
    return sum_of_slices(node, offset(node.results[0].type.shape, index), it->second);
  OperandElements operands(node, *this, lowering_);
  return node.op->lowering_as<ElementLowering>()->element(operands, index);
}

Expr Elements::offset(const Shape& shape, const Index& index) const {
  Expr position = 0;
  for (size_t d = 0; d < shape.size(); ++d) position = position * lowering_.extent(shape[d]) + index[d];
  return position;
}

// Pairs, then pairs of pairs: fewer roundings one upon the other.
Expr Elements::sum_of_slices(const Node& node, const Expr& position, const Lowering::Slices& slices) {
  const int64_t elements = *lowering_.fixed(*element_count(node.results[0].type.shape));
  std::vector<Expr> sums;
  for (int64_t slice = 0; slice < slices.count; ++slice) {
    sums.push_back(bind("slice", loops::load(slices.sums, loops::Scalar::f32, Expr(slice * elements) + position,
                                             position->type.lanes > 1 ? predicate_ : Expr())));
  }
  for (; sums.size() > 1; sums.resize((sums.size() + 1) / 2)) {
    for (size_t s = 0; s < sums.size(); s += 2) sums[s / 2] = s + 1 < sums.size() ? sums[s] + sums[s + 1] : sums[s];
  }
  return sums.front();
}

Expr Elements::load(Value value, const Index& index) {
  const int buffer = lowering_.buffer_of(value);
  const Expr position = offset(value.type().shape, index);
  const bool vector = position->type.lanes > 1 && position->kind != loops::ExprKind::broadcast;
  const auto scalar = value.type().dtype == DType::i32 ? loops::Scalar::i32 : loops::Scalar::f32;
  return loops::load(buffer, scalar, position, vector ? predicate_ : Expr());
}

void Elements::store(Value value, Expr element) {
  const Expr position = offset(value.type().shape, own_index(value, index_));
  if (position->type.lanes > 1 && element->type.lanes == 1) element = loops::broadcast(element, position->type.lanes);
  for (int buffer : lowering_.destinations(value)) {
    const auto store = lowering_.streamed.count(value) ? loops::streamed_store : loops::store;
    out_.push_back(store(buffer, position, element, position->type.lanes > 1 ? predicate_ : Expr()));
  }
}

}  // namespace bnc::lower
