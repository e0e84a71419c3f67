// The text of one call: operands, attributes, operators.
#include <fmt/format.h>

#include "frontend/source/sentences.h"

namespace bnc::source {

std::string Sentences::setting(const Setting& setting) const {
  if (!setting.is_literal()) {
    const std::string& name = function_.parameters[setting.parameter].name;
    switch (setting.form) {
      case Setting::Form::times: return fmt::format("{} * {}", setting.factor, name);
      case Setting::Form::over: return fmt::format("{} / {}", name, setting.factor);
      case Setting::Form::half: return fmt::format("floor({} / 2)", name);
      default: return name;
    }
  }
  if (function_.batch_of < 0 || !mentions_batch(setting.literal)) return to_string(setting.literal, batch_);
  std::vector<std::string> dims;   // a block does not know `N`
  for (const Dim& dim : *setting.literal.get_if<Shape>()) {
    const std::string batch = names_.at(function_.batch_of) + ".shape[0]";
    dims.push_back(!dim.batch ? fmt::format("{}", dim.factor) : dim.factor == 1 ? batch : fmt::format("{} * {}", dim.factor, batch));
  }
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

Rendered Sentences::render_value(ValueId value) const {
  if (const auto nested = nested_.find(value); nested != nested_.end()) return render(*nested->second);
  const auto name = names_.find(value);
  return {name == names_.end() ? "h" : name->second, 4};
}

std::string Sentences::render_operand(const Piece& piece, const Operand& operand, int level) const {
  if (operand.kind == Operand::Kind::number) return setting(piece.settings[operand.number]);
  const Rendered value = render_value(operand.values[0]);
  return value.level < level ? fmt::format("({})", value.text) : value.text;
}

Rendered Sentences::render(const Piece& piece) const {
  if (piece.kind == Piece::Kind::block)
    return {fmt::format("{}({})", program_.functions[piece.block].name, block_arguments(piece)), 4};
  if (!is_infix(*piece.op) || piece.kernel >= 0) return {fmt::format("{}({})", piece.op->name, arguments(piece)), 4};
  if (piece.op->name == "neg") return {"-" + render_operand(piece, piece.operands[0], 4), 3};
  const std::string& name = piece.op->name;
  const int level = name == "add" || name == "sub" ? 1 : 2;
  const char* sign = name == "add" ? "+" : name == "sub" ? "-" : name == "mul" ? "*" : "/";
  const std::string left = render_operand(piece, piece.operands[0], level), right = render_operand(piece, piece.operands[1], level + 1);
  return {fmt::format("{} {} {}", left, sign, right), level};
}

// Operands by position up to the first that is made or absent, by name from there on; then what differs from the defaults.
std::string Sentences::arguments(const Piece& piece) const {
  std::vector<std::string> leading, named;
  bool by_name = false;
  for (size_t k = 0; k < piece.operands.size(); ++k) {
    const Operand& operand = piece.operands[k];
    const std::string& name = piece.op->operands[k].name;
    by_name |= operand.kind == Operand::Kind::absent || operand.kind == Operand::Kind::made;
    if (operand.told) named.push_back(name + "=false");
    if (operand.initializer) named.push_back(name + "=" + to_string(Attribute(*operand.initializer)));
    if (operand.kind == Operand::Kind::number) leading.push_back(render_operand(piece, operand, 0));
    for (const ValueId value : operand.values)
      (by_name ? named : leading).push_back((by_name ? name + "=" : "") + render_value(value).text);
  }
  const size_t operands = named.size();
  size_t required = 0;
  bool makes = false;
  for (const AttributeSpec& spec : piece.op->attributes) required += !spec.fallback && !spec.layer_only;
  for (const Operand& operand : piece.operands) makes |= operand.kind == Operand::Kind::made;
  std::vector<std::string> attributes;
  bool in_order = true;
  for (size_t k = 0; k < piece.op->attributes.size(); ++k) {
    const AttributeSpec& spec = piece.op->attributes[k];
    const Setting& value = piece.settings[k];
    const bool is_default = spec.fallback && value.is_literal() && value.literal == plain(*spec.fallback);
    const bool size = spec.layer_only && (spec.kind == AttributeKind::integer || spec.kind == AttributeKind::integers);
    if (spec.layer_only ? !makes || (!size && is_default) : is_default) {
      in_order = false;
      continue;
    }
    const bool leads = in_order && (size || (!spec.fallback && required == 1) || spec.name == "kernel" || spec.name == "window");
    if (leads) leading.push_back(setting(value));
    else attributes.push_back(fmt::format("{}={}", spec.name, setting(value)));
    in_order &= leads;
  }
  leading.insert(leading.end(), attributes.begin(), attributes.end());
  leading.insert(leading.end(), named.begin(), named.begin() + static_cast<std::ptrdiff_t>(operands));
  if (piece.kernel >= 0) leading.push_back(fmt::format("in_kernel={}", piece.kernel));
  return fmt::format("{}", fmt::join(leading, ", "));
}

std::string Sentences::block_arguments(const Piece& piece) const {
  const Function& block = program_.functions[piece.block];
  std::vector<std::string> texts;
  for (const Operand& operand : piece.operands) texts.push_back(render_value(operand.values[0]).text);
  for (size_t k = 0; k < piece.settings.size(); ++k) {
    const Parameter& parameter = block.parameters[block.settings[k]];
    if (!parameter.fallback) texts.push_back(setting(piece.settings[k]));
    else if (!piece.settings[k].is_literal() || piece.settings[k].literal != *parameter.fallback)
      texts.push_back(fmt::format("{}={}", parameter.name, setting(piece.settings[k])));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace bnc::source
