#include "ir/builder.h"

#include <algorithm>
#include <utility>
#include <fmt/format.h>

#include "ir/shape_limits.h"

namespace bnc {

GraphBuilder GraphBuilder::before(Graph& graph, const Node* node) {
  GraphBuilder builder(graph);
  builder.position_ = graph.position(node);
  builder.range_ = node->range;
  return builder;
}

GraphBuilder GraphBuilder::after(Graph& graph, const Node* node) {
  GraphBuilder builder = before(graph, node);
  ++builder.position_;
  return builder;
}

// An attribute in the storage its kind asks for: 1 for a number is 1.0, [2, 3] for a shape is a Shape.
static Attribute coerce(Attribute value, AttributeKind kind) {
  switch (kind) {
    case AttributeKind::number: return value.number();
    case AttributeKind::shape: return value.shape();
    case AttributeKind::numbers:
      if (value.get_if<int64_t>()) return value.number();
      if (value.get_if<IntList>()) return value.numbers();
      return value;
    default: return value;
  }
}

static AttributeMap complete(const OpDefinition& op, AttributeMap given) {
  AttributeMap attributes;
  for (const AttributeSpec& spec : op.attributes) {
    auto entry = given.extract(spec.name);
    if (spec.layer_only) continue;
    BNC_CHECK(entry || spec.fallback, fmt::format("{} needs the attribute {}", op.name, spec.name));
    attributes.emplace(spec.name, coerce(entry ? std::move(entry.mapped()) : *spec.fallback, spec.kind));
  }
  BNC_CHECK(given.empty(), fmt::format("{} has no attribute {}", op.name, given.begin()->first));
  return attributes;
}

Node* GraphBuilder::create(const std::string& name, std::vector<Value> operands, AttributeMap attributes) {
  const std::vector<std::string> stems = std::exchange(stems_, {});
  const OpDefinition* op = find_op(name);
  BNC_CHECK(op, fmt::format("no op {}", name));
  const bool variadic = !op->operands.empty() && op->operands.back().variadic;
  if (!variadic && operands.size() < op->operands.size()) operands.resize(op->operands.size());
  auto node = std::make_unique<Node>();
  node->op = op;
  node->operands = std::move(operands);
  node->attributes = complete(*op, std::move(attributes));
  node->range = range_;
  const InferContext context(*op, node->operands, node->attributes, range_, graph_.batch_symbol);
  for (TensorType& type : op->infer(context)) {
    if (const std::string why = why_impossible(type.shape, graph_.batch_symbol); !why.empty()) context.fail(why);
    node->results.push_back(Result{std::move(type), ""});
  }
  for (size_t k = 0; k < std::min(stems.size(), node->results.size()); ++k)
    if (!stems[k].empty()) node->results[k].name = graph_.fresh_name(stems[k]);
  return graph_.insert(position_, std::move(node));
}

// A source, whose type no shape rule gives.
static Value add_source(Graph& graph, Graph::Nodes::iterator position, const char* op, const std::string& name, TensorType type,
                        AttributeMap attributes, const SourceRange& range) {
  auto node = std::make_unique<Node>();
  node->op = find_op(op);
  node->attributes = std::move(attributes);
  node->results.push_back(Result{std::move(type), name});
  node->range = range;
  return graph.insert(position, std::move(node))->result();
}

Value GraphBuilder::input(const std::string& name, TensorType type) {
  return add_source(graph_, position_, "input", name, std::move(type), {}, range_);
}

Value GraphBuilder::parameter(const std::string& name, TensorType type, Symbol initializer, bool trainable) {
  if (!trainable && !initializer.find("trainable")) initializer.arguments.emplace_back("trainable", false);
  return add_source(graph_, position_, "parameter", name, std::move(type), {{"initializer", std::move(initializer)}}, range_);
}

Value GraphBuilder::state(const std::string& name, TensorType type, Symbol initializer) {
  return add_source(graph_, position_, "state", name, std::move(type), {{"initializer", std::move(initializer)}}, range_);
}

Value GraphBuilder::constant(double value, TensorType type) {
  return this->value("constant", {}, {{"value", value}, {"shape", type.shape}, {"dtype", Symbol{to_string(type.dtype), {}}}});
}

Value GraphBuilder::constant(const Tensor& tensor) {
  Shape shape;
  for (int64_t dim : tensor.dims) shape.push_back(Dim{dim, false});
  return value("constant", {}, {{"value", tensor.data}, {"shape", shape}, {"dtype", Symbol{to_string(tensor.dtype), {}}}});
}

Value GraphBuilder::sum_to(Value gradient, const TensorType& to) {
  const TensorType& from = gradient.type();
  const int missing = from.rank() - to.rank();
  IntList axes;
  for (int i = 0; i < from.rank(); ++i)
    if (i < missing || from.shape[i] != to.shape[i - missing]) axes.push_back(i);
  if (!axes.empty()) gradient = value("reduce_sum", {gradient}, {{"axes", axes}});
  return reshape(gradient, to.shape);
}

Value GraphBuilder::reshape(Value a, const Shape& shape) {
  return a.type().shape == shape ? a : value("reshape", {a}, {{"shape", shape}});
}

}  // namespace bnc
