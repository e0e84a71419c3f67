#include "frontend/term.h"

#include <fmt/format.h>

namespace bnc {

bool Term::operator==(const Term& other) const {
  if (is_number() && other.is_number()) {
    if (is<int64_t>() && other.is<int64_t>()) return std::get<int64_t>(data) == std::get<int64_t>(other.data);
    return number() == other.number();
  }
  if (data.index() != other.data.index() || is<Unknown>()) return false;
  return std::visit(
      [&](const auto& mine) {
        using T = std::decay_t<decltype(mine)>;
        if constexpr (std::is_same_v<T, Unknown>) return false;
        else return mine == std::get<T>(other.data);
      },
      data);
}

int64_t Term::size() const {
  const List* list = get_if<List>();
  if (!list) return 1;
  int64_t size = 0;
  for (const Term& each : *list) size += each.size();
  return size;
}

Term Term::of(const Dim& dim) { return dim.batch ? Term{dim} : Term{dim.factor}; }

Term Term::of(const Shape& shape) {
  List list;
  for (const Dim& dim : shape) list.push_back(of(dim));
  return {std::move(list)};
}

std::string describe(const Term& term, const std::string& batch_symbol) {
  struct Describe {
    const std::string& batch_symbol;
    std::string operator()(Term::Unknown) const { return "nothing"; }
    std::string operator()(bool value) const { return value ? "the boolean true" : "the boolean false"; }
    std::string operator()(int64_t value) const { return fmt::format("the integer {}", value); }
    std::string operator()(double value) const { return fmt::format("the number {}", format_number(value)); }
    std::string operator()(const Dim& dim) const {
      return fmt::format("the batch size {}", dim.factor == 1 ? batch_symbol : fmt::format("{}*{}", dim.factor, batch_symbol));
    }
    std::string operator()(const Symbol& symbol) const { return fmt::format("the symbol `{}`", symbol.name); }
    std::string operator()(const Value& value) const { return fmt::format("a tensor {}", to_string(value.type(), batch_symbol)); }
    std::string operator()(const Term::List& list) const { return fmt::format("a list of {}", list.size()); }
  };
  return std::visit(Describe{batch_symbol}, term.data);
}

std::string describe(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::boolean: return "true or false";
    case AttributeKind::integer: return "an integer";
    case AttributeKind::number: return "a number";
    case AttributeKind::symbol: return "a symbol";
    case AttributeKind::integers: return "a list of integers, or one integer";
    case AttributeKind::numbers: return "a list of numbers, or one number";
    case AttributeKind::shape: return "a shape such as [N, 10]";
    case AttributeKind::padding: return "a name, an integer or a list of integers";
  }
  return "";
}

namespace {

template <class T, class Convert> std::optional<Attribute> list_attribute(const Term& term, Convert convert) {
  std::vector<T> values;
  const Term::List* list = term.get_if<Term::List>();
  for (const Term& each : list ? *list : Term::List{term}) {
    std::optional<T> value = convert(each);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return Attribute(std::move(values));
}

std::optional<int64_t> as_integer(const Term& term) {
  if (const int64_t* value = term.get_if<int64_t>()) return *value;
  return std::nullopt;
}

std::optional<double> as_number(const Term& term) {
  if (term.is_number()) return term.number();
  return std::nullopt;
}

std::optional<Dim> as_dim(const Term& term) {
  if (const int64_t* value = term.get_if<int64_t>()) return Dim{*value, false};
  if (const Dim* value = term.get_if<Dim>()) return *value;
  return std::nullopt;
}

}  // namespace

std::optional<Attribute> to_attribute(const Term& term, AttributeKind kind) {
  switch (kind) {
    case AttributeKind::boolean:
      if (const bool* value = term.get_if<bool>()) return Attribute(*value);
      break;
    case AttributeKind::integer:
      if (const int64_t* value = term.get_if<int64_t>()) return Attribute(*value);
      break;
    case AttributeKind::number:
      if (term.is_number()) return Attribute(term.number());
      break;
    case AttributeKind::symbol:
      if (const Symbol* value = term.get_if<Symbol>()) return Attribute(*value);
      break;
    case AttributeKind::integers: return list_attribute<int64_t>(term, as_integer);
    case AttributeKind::numbers:
      if (term.is_number()) return Attribute(term.number());
      return list_attribute<double>(term, as_number);
    case AttributeKind::shape: return list_attribute<Dim>(term, as_dim);
    case AttributeKind::padding:
      for (AttributeKind form : {AttributeKind::symbol, AttributeKind::integer, AttributeKind::integers})
        if (std::optional<Attribute> attribute = to_attribute(term, form)) return attribute;
      break;
  }
  return std::nullopt;
}

std::optional<Attribute> to_attribute(const Term& term) {
  if (const bool* value = term.get_if<bool>()) return Attribute(*value);
  if (const int64_t* value = term.get_if<int64_t>()) return Attribute(*value);
  if (const double* value = term.get_if<double>()) return Attribute(*value);
  if (const Symbol* value = term.get_if<Symbol>()) return Attribute(*value);
  if (!term.is<Term::List>()) return std::nullopt;
  for (AttributeKind kind : {AttributeKind::integers, AttributeKind::numbers, AttributeKind::shape})
    if (std::optional<Attribute> attribute = to_attribute(term, kind)) return attribute;
  return std::nullopt;
}

}  // namespace bnc
