#include "frontend/source/program.h"

#include <algorithm>
#include <set>

namespace bnc::source {

bool Setting::operator==(const Setting& other) const {
  if (is_literal() || other.is_literal()) return is_literal() == other.is_literal() && literal == other.literal;
  return parameter == other.parameter && form == other.form && factor == other.factor;
}

std::optional<Setting> changed(const Setting& setting, Setting::Form form, int64_t factor) {
  using Form = Setting::Form;
  if (form == Form::same) return setting;
  if (!setting.is_literal()) {
    if (setting.form != Form::same) return std::nullopt;
    return Setting{.literal = {}, .parameter = setting.parameter, .form = form, .factor = factor};
  }
  const int64_t* value = setting.literal.get_if<int64_t>();
  if (!value || *value < 0) return std::nullopt;
  switch (form) {
    case Form::times: return *value > (int64_t{1} << 31) ? std::nullopt : std::optional(Setting{.literal = *value * factor});
    case Form::over: return *value % factor != 0 ? std::nullopt : std::optional(Setting{.literal = *value / factor});
    default: return Setting{.literal = *value / 2};
  }
}

ValueId Function::new_value(const TensorType& type, const std::string& hint) {
  types.push_back(type);
  hints.push_back(hint);
  return static_cast<ValueId>(types.size()) - 1;
}

void visit_values(Piece& piece, const std::function<void(ValueId&)>& use, const std::function<void(ValueId&)>& define) {
  for (Operand& operand : piece.operands)
    for (ValueId& value : operand.values) use(value);
  if (piece.kind == Piece::Kind::repeat) {
    define(piece.inside_in);
    for (Piece& inner : piece.body) visit_values(inner, use, define);
    use(piece.inside_out);
  }
  for (ValueId& result : piece.results) define(result);
}

void visit_values(const Piece& piece, const std::function<void(ValueId)>& use, const std::function<void(ValueId)>& define) {
  visit_values(const_cast<Piece&>(piece), [&](ValueId& value) { use(value); }, [&](ValueId& value) { define(value); });
}

static void collect_slots(const Program& program, Piece& piece, std::vector<Slot>& slots) {
  for (size_t k = 0; k < piece.settings.size(); ++k) {
    Slot slot{&piece.settings[k], "", {}};
    if (piece.kind == Piece::Kind::op && k < piece.op->attributes.size()) {
      const AttributeSpec& spec = piece.op->attributes[k];
      slot.name = spec.name;
      if (spec.fallback && !spec.layer_only) slot.fallback = plain(*spec.fallback);
    } else if (piece.kind == Piece::Kind::op) {
      slot.name = "factor";
    } else if (piece.kind == Piece::Kind::block) {
      const Function& block = program.functions[piece.block];
      slot.name = block.parameters[block.settings[k]].name;
      slot.fallback = block.parameters[block.settings[k]].fallback;
    } else {
      slot.name = piece.variables.empty() ? "times" : "values";
    }
    slots.push_back(std::move(slot));
  }
  for (Piece& inner : piece.body) collect_slots(program, inner, slots);
}

std::vector<Slot> slots_of(const Program& program, Piece& piece) {
  std::vector<Slot> slots;
  collect_slots(program, piece, slots);
  return slots;
}

void collect_variables(const Piece& piece, std::vector<int>& variables) {
  variables.insert(variables.end(), piece.variables.begin(), piece.variables.end());
  for (const Piece& inner : piece.body) collect_variables(inner, variables);
}

std::vector<int> count_uses(const Function& function) {
  std::vector<int> uses(function.types.size());
  for (const Piece& piece : function.body)
    visit_values(piece, [&](ValueId value) { ++uses[value]; }, [](ValueId) {});
  for (const ValueId output : function.outputs) ++uses[output];
  return uses;
}

bool is_infix(const OpDefinition& op) {
  static const std::set<std::string> names = {"add", "sub", "mul", "div", "neg"};
  return op.attributes.empty() && names.contains(op.name);
}

bool is_heavy(const Piece& piece) {
  return piece.kind != Piece::Kind::op || (piece.op->category == OpCategory::linear && !piece.made.empty());
}

Attribute plain(const Attribute& attribute) {
  const IntList* list = attribute.get_if<IntList>();
  return list && list->size() == 1 ? Attribute(list->front()) : attribute;
}

bool mentions_batch(const Attribute& attribute) {
  const Shape* shape = attribute.get_if<Shape>();
  return shape && std::any_of(shape->begin(), shape->end(), [](const Dim& dim) { return dim.batch; });
}

}  // namespace bnc::source
