#include "ir/attribute.h"

#include <cmath>
#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace bnc {

const Attribute* Symbol::find(const std::string& argument) const {
  for (const auto& [name, value] : arguments)
    if (name == argument) return &value;
  return nullptr;
}

double Symbol::number(const std::string& argument, double fallback) const {
  const Attribute* value = find(argument);
  return value ? value->number() : fallback;
}

bool Symbol::flag(const std::string& argument) const {
  const Attribute* value = find(argument);
  return value && value->boolean();
}

bool Symbol::operator==(const Symbol& other) const { return name == other.name && arguments == other.arguments; }

template <class T>
static const T& expect(const Attribute& attribute, const char* kind) {
  const T* value = attribute.get_if<T>();
  BNC_CHECK(value, fmt::format("attribute {} is not {}", to_string(attribute), kind));
  return *value;
}

bool Attribute::boolean() const { return expect<bool>(*this, "a boolean"); }
int64_t Attribute::integer() const { return expect<int64_t>(*this, "an integer"); }
const Symbol& Attribute::symbol() const { return expect<Symbol>(*this, "a symbol"); }
const IntList& Attribute::integers() const { return expect<IntList>(*this, "a list of integers"); }

double Attribute::number() const {
  if (const int64_t* integer = get_if<int64_t>()) return static_cast<double>(*integer);
  return expect<double>(*this, "a number");
}

NumberList Attribute::numbers() const {
  if (get_if<int64_t>() || get_if<double>()) return {number()};
  if (const IntList* list = get_if<IntList>()) return NumberList(list->begin(), list->end());
  return expect<NumberList>(*this, "a list of numbers");
}

Shape Attribute::shape() const {
  const IntList* list = get_if<IntList>();
  if (!list) return expect<Shape>(*this, "a shape");
  Shape shape;
  for (int64_t extent : *list) shape.push_back(Dim{extent, false});
  return shape;
}

std::string format_number(double value) {
  if (std::isnan(value)) return "nan";
  if (value == 0 && std::signbit(value)) return "-0.0";  // -0 would read back as an integer
  return fmt::format("{}", value);
}

namespace {

struct Printer {
  const std::string& batch_symbol;

  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return format_number(value); }
  std::string operator()(const Shape& shape) const { return to_string(shape, batch_symbol); }
  std::string operator()(const IntList& list) const { return fmt::format("[{}]", fmt::join(list, ", ")); }

  std::string operator()(const NumberList& list) const {
    std::vector<std::string> numbers;
    for (double number : list) numbers.push_back(format_number(number));
    return fmt::format("[{}]", fmt::join(numbers, ", "));
  }

  std::string operator()(const Symbol& symbol) const {
    if (symbol.arguments.empty()) return symbol.name;
    std::string text = symbol.name + "(";
    for (const auto& [name, value] : symbol.arguments) {
      if (text.back() != '(') text += ", ";
      text += name;
      if (value != Attribute(true)) text += "=" + to_string(value, batch_symbol);
    }
    return text + ")";
  }
};

}  // namespace

std::string to_string(const Attribute& attribute, const std::string& batch_symbol) {
  return std::visit(Printer{batch_symbol}, attribute.storage());
}

}  // namespace bnc
