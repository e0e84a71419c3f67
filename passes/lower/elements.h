// Elements of values at an index: loads what is stored, computes what is inlined.
#pragma once

#include "passes/lower/lowering.h"

namespace bnc::lower {

// Valid within one scope of statements: what it computes is bound to `let`s appended to `out`, once.
// Indices may be those of a space that a value is broadcast over, and need not say 0 in dimensions of one element: before a value
// is looked up, loaded or stored, its index is made its own (`own_index`).
class Elements {
 public:
  // `index` is the place in the iteration space being computed; `predicate` guards loads of vectors that may reach past the end.
  Elements(Lowering& lowering, std::vector<Stmt>& out, Index index, Expr predicate = {})
      : lowering_(lowering), out_(out), index_(std::move(index)), predicate_(std::move(predicate)) {}

  const Index& index() const { return index_; }
  // Makes `element` the value at this index, instead of a load.
  void define(Value value, Expr element) { known_[value].push_back({own_index(value, index_), std::move(element)}); }
  Expr value(Value value, const Index& index);
  Expr value(Value value) { return this->value(value, index_); }
  // Computes an element node's own element (whether or not it is inlined), or adds up a contraction's slices.
  Expr compute(const Node& node, const Index& index);
  Expr bind(const std::string& stem, Expr expression) { return lowering_.bind(stem, std::move(expression), out_); }
  // Stores a root's element at this index to all its destinations.
  void store(Value value, Expr element);
  // The position of an element in its row-major buffer.
  Expr offset(const Shape& shape, const Index& index) const;

 private:
  struct Known {
    Index index;
    Expr element;
  };
  static Index own_index(Value value, const Index& index);
  Expr load(Value value, const Index& index);
  Expr sum_of_slices(const Node& node, const Expr& position, const Lowering::Slices& slices);

  Lowering& lowering_;
  std::vector<Stmt>& out_;
  Index index_;
  Expr predicate_;
  std::unordered_map<Value, std::vector<Known>, ValueHash> known_;
};

}  // namespace bnc::lower
