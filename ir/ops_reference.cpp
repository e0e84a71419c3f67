#include "ir/ops_reference.h"

#include <fmt/format.h>

#include "ir/op.h"

namespace bnc {

namespace {

struct KindSection {
  OpCategory category;
  const char* title;
};

constexpr KindSection kind_sections[] = {
    {OpCategory::linear, "Linear layers"},   {OpCategory::pooling, "Pooling"},       {OpCategory::normalization, "Normalization"},
    {OpCategory::activation, "Activations"}, {OpCategory::arithmetic, "Arithmetic"}, {OpCategory::reduction, "Reductions"},
    {OpCategory::shape, "Shapes"},           {OpCategory::random, "Random"},         {OpCategory::loss, "Losses"},
    {OpCategory::source, "Sources"},         {OpCategory::gradient, "Parts of gradients"},
};

const char* name_of(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::boolean: return "true or false";
    case AttributeKind::integer: return "integer";
    case AttributeKind::number: return "number";
    case AttributeKind::symbol: return "name";
    case AttributeKind::integers: return "list of integers";
    case AttributeKind::numbers: return "number or list of numbers";
    case AttributeKind::shape: return "shape";
    case AttributeKind::padding: return "name, integer or list of integers";
  }
  return "";
}

std::string notes_on(const OperandSpec& operand) {
  std::string text = operand.doc;
  if (operand.optional) text += "; optional";
  if (!operand.differentiable) text += "; no gradient";
  if (operand.parameter) {
    const char* kind = operand.parameter->kind == ParameterRule::Kind::state ? "state" : "parameter";
    text += fmt::format("; made when left out{}, a {} starting as `{}`", operand.parameter->wanted ? " where it is needed" : "", kind,
                        to_string(Attribute(operand.parameter->initializer)));
  }
  return text;
}

std::string signature(const OpDefinition& op) {
  std::vector<std::string> parts;
  for (const OperandSpec& operand : op.operands) parts.push_back(operand.name + (operand.variadic ? "..." : operand.optional ? "?" : ""));
  for (const AttributeSpec& attribute : op.attributes)
    parts.push_back(attribute.fallback ? attribute.name + "=" + to_string(*attribute.fallback) : attribute.name);
  return fmt::format("{}({})", op.name, fmt::join(parts, ", "));
}

std::string lowering_of(const OpDefinition& op) {
  if (op.lowering_as<SourceLowering>()) return "none: has no code of its own";
  if (const auto* element = op.lowering_as<ElementLowering>())
    return element->pointwise ? "element by element; fuses with its neighbours" : "element by element, at computed positions";
  if (op.lowering_as<ReduceLowering>()) return "reduction";
  if (op.lowering_as<ContractLowering>()) return "register-tiled contraction";
  if (const auto* decompose = op.lowering_as<DecomposeLowering>())
    return decompose->canonical ? "rewritten into other ops by `canonicalize`" : "rewritten into other ops by `decompose`";
  return "";
}

std::string example_of(const OpDefinition& op) {
  if (op.category == OpCategory::source && op.name != "constant") return op.example;
  return fmt::format("network example({}) {{\n  return y = {}\n}}", op.example_inputs, op.example);
}

void describe(const OpDefinition& op, std::string& out) {
  out += fmt::format("### `{}`\n{}\n\n", op.name, op.summary);
  if (op.category != OpCategory::source || op.name == "constant") out += fmt::format("`{}`\n\n", signature(op));
  out += op.description + "\n\n";
  if (!op.operands.empty()) {
    out += "| operand | meaning |\n| --- | --- |\n";
    for (const OperandSpec& operand : op.operands) out += fmt::format("| `{}` | {} |\n", operand.name, notes_on(operand));
    out += "\n";
  }
  if (!op.attributes.empty()) {
    out += "| attribute | value | default | meaning |\n| --- | --- | --- | --- |\n";
    for (const AttributeSpec& attribute : op.attributes) {
      std::string value = attribute.choices.empty() ? name_of(attribute.kind) : fmt::format("`{}`", fmt::join(attribute.choices, "`, `"));
      if (attribute.kind == AttributeKind::padding) value += ", integers";
      std::string fallback = attribute.fallback ? fmt::format("`{}`", to_string(*attribute.fallback)) : "must be given";
      out += fmt::format("| `{}` | {} | {} | {}{} |\n", attribute.name, value, fallback, attribute.doc,
                         attribute.layer_only ? "; only to make parameters" : "");
    }
    out += "\n";
  }
  out += "| result | meaning |\n| --- | --- |\n";
  for (const ResultSpec& result : op.results) out += fmt::format("| `{}` | {} |\n", result.name, result.doc);
  out += "\n";
  for (size_t k = 0; k < op.constraints.size(); ++k) out += fmt::format("- C{}: {}\n", k + 1, op.constraints[k]);
  if (!op.constraints.empty()) out += "\n";
  out += fmt::format("Code: {}.\n\n```\n{}\n```\n\n", lowering_of(op), example_of(op));
}

}  // namespace

std::string ops_reference() {
  std::string out =
      "# Ops\n\nGenerated from the definitions under `ir/ops/`; `?` marks an operand that may be left out. An axis counts from the end "
      "when\nnegative. Errors cite the numbered constraints. No result may have more than 2^62 elements or the batch size twice in its "
      "shape.\n\n";
  for (const KindSection& section : kind_sections) {
    out += fmt::format("## {}\n\n", section.title);
    for (const OpDefinition& op : all_ops())
      if (op.category == section.category) describe(op, out);
  }
  out.pop_back();
  return out;
}

}  // namespace bnc
