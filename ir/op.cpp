#include "ir/op.h"

#include <fmt/format.h>
#include <unordered_map>

namespace bnc {

int OpDefinition::operand_index(const std::string& operand) const {
  for (size_t i = 0; i < operands.size(); ++i)
    if (operands[i].name == operand) return static_cast<int>(i);
  return -1;
}

const AttributeSpec* OpDefinition::attribute(const std::string& attribute) const {
  for (const AttributeSpec& spec : attributes)
    if (spec.name == attribute) return &spec;
  return nullptr;
}

const OpDefinition* find_op(const std::string& name) {
  static const std::unordered_map<std::string, const OpDefinition*> by_name = [] {
    std::unordered_map<std::string, const OpDefinition*> map;
    for (const OpDefinition& op : all_ops()) map.emplace(op.name, &op);
    return map;
  }();
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

const TensorType& InferContext::type(int operand) const {
  BNC_CHECK(has(operand), fmt::format("{} has no operand {}", op.name, operand));
  return operands[operand].type();
}

const Attribute& InferContext::attribute(const std::string& name) const {
  const auto found = attributes.find(name);
  BNC_CHECK(found != attributes.end(), fmt::format("{} has no attribute {}", op.name, name));
  return found->second;
}

int InferContext::axis(const std::string& attribute_name, int rank) const {
  const int64_t axis = attribute(attribute_name).integer();
  if (axis < -rank || axis >= rank)
    fail(fmt::format("{} = {} is out of range: the operand has rank {}", attribute_name, axis, rank),
         rank == 0 ? std::string() : fmt::format("an axis is between {} and {}", -rank, rank - 1));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

void InferContext::fail(const std::string& text, const std::string& help) const {
  Diagnostic diagnostic{Severity::error, range, fmt::format("{}: {}", op.name, text), {}};
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i]) continue;
    const std::string& role = op.operands[std::min(i, op.operands.size() - 1)].name;
    const Node& source = *operands[i].node;
    const bool made_by_this_layer =
        range.known() && source.range.line == range.line && source.range.column == range.column && source.range.length == range.length;
    if (made_by_this_layer) continue;
    diagnostic.note(fmt::format("{} is `{}`: {}, {} {}", role, operands[i].name(), show(operands[i].type()),
                                source.operands.empty() ? "the" : "a result of", source.op->name),
                    source.range);
  }
  if (!help.empty()) diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

Tensor EvaluateContext::result(int k) const {
  const TensorType& type = node.results[k].type;
  return Tensor::filled(type.dtype, concrete(type.shape, batch_size), 0);
}

}  // namespace bnc
