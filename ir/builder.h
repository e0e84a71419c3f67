// Makes nodes: infers types, fills in defaults, inserts. Short names for what gradients and rewrites need most.
#pragma once

#include <string>
#include <vector>

#include "ir/op.h"

namespace bnc {

class GraphBuilder {
 public:
  // Inserts at the end of the graph.
  explicit GraphBuilder(Graph& graph) : graph_(graph), position_(graph.nodes().end()) {}
  // Inserts before / after `node`.
  static GraphBuilder before(Graph& graph, const Node* node);
  static GraphBuilder after(Graph& graph, const Node* node);

  Graph& graph() { return graph_; }
  // Nodes made from here on carry this place.
  void at(const SourceRange& range) { range_ = range; }
  // The results of the next node get names from these stems, as far as they go.
  void named(std::vector<std::string> stems) { stems_ = std::move(stems); }
  void named(std::string stem) { stems_ = {std::move(stem)}; }

  // Operands in definition order, absent ones as Value{}; attributes left out take their defaults. Throws CompileError
  // from the op's shape rule.
  Node* create(const std::string& op, std::vector<Value> operands, AttributeMap attributes = {});
  Value value(const std::string& op, std::vector<Value> operands, AttributeMap attributes = {}) {
    return create(op, std::move(operands), std::move(attributes))->result();
  }

  Value input(const std::string& name, TensorType type);
  Value parameter(const std::string& name, TensorType type, Symbol initializer, bool trainable = true);
  Value state(const std::string& name, TensorType type, Symbol initializer);
  Value constant(double value, TensorType type = {});
  Value constant(const Tensor& tensor);

  Value add(Value a, Value b) { return value("add", {a, b}); }
  Value sub(Value a, Value b) { return value("sub", {a, b}); }
  Value mul(Value a, Value b) { return value("mul", {a, b}); }
  Value div(Value a, Value b) { return value("div", {a, b}); }
  Value neg(Value a) { return value("neg", {a}); }
  Value scale(Value a, double factor) { return mul(a, constant(factor)); }
  // Sums a gradient over the axes along which an operand of type `to` was broadcast, and reshapes it to that type.
  Value sum_to(Value gradient, const TensorType& to);
  Value reshape(Value a, const Shape& shape);

 private:
  Graph& graph_;
  Graph::Nodes::iterator position_;
  SourceRange range_;
  std::vector<std::string> stems_;
};

}  // namespace bnc
