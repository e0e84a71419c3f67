// Compile-time values: what attributes, initializers and the train section hold.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ir/type.h"

namespace bnc {

class Attribute;

// A symbolic value with named arguments: `same`, `ema(decay=0.9)`, `normal(deviation=0.1)`.
// A flag given by name alone, as in `ema(decay=0.9, corrected)`, is an argument whose value is true.
struct Symbol {
  std::string name;
  std::vector<std::pair<std::string, Attribute>> arguments;

  const Attribute* find(const std::string& argument) const;
  // The named argument, or `fallback` where it is not given.
  double number(const std::string& argument, double fallback) const;
  bool flag(const std::string& argument) const;
  bool operator==(const Symbol&) const;
};

using IntList = std::vector<int64_t>;
using NumberList = std::vector<double>;

class Attribute {
 public:
  using Storage = std::variant<bool, int64_t, double, Symbol, IntList, NumberList, Shape>;

  Attribute() : storage_(false) {}
  Attribute(bool value) : storage_(value) {}
  Attribute(int value) : storage_(static_cast<int64_t>(value)) {}
  Attribute(int64_t value) : storage_(value) {}
  Attribute(double value) : storage_(value) {}
  Attribute(Symbol value) : storage_(std::move(value)) {}
  Attribute(const char* symbol) : storage_(Symbol{symbol, {}}) {}
  Attribute(IntList value) : storage_(std::move(value)) {}
  Attribute(NumberList value) : storage_(std::move(value)) {}
  Attribute(Shape value) : storage_(std::move(value)) {}

  template <class T> const T* get_if() const { return std::get_if<T>(&storage_); }
  // The value of that type; an internal error when it is another (the frontend has checked kinds before). Integers widen to double.
  bool boolean() const;
  int64_t integer() const;
  double number() const;
  const Symbol& symbol() const;
  const IntList& integers() const;
  NumberList numbers() const;
  Shape shape() const;  // a list of integers is a shape too

  bool operator==(const Attribute&) const = default;
  const Storage& storage() const { return storage_; }

 private:
  Storage storage_;
};

using AttributeMap = std::map<std::string, Attribute>;

// As it stands in .bn text; doubles print with the fewest digits that read back to the same value.
std::string to_string(const Attribute& attribute, const std::string& batch_symbol = "N");
std::string format_number(double value);

}  // namespace bnc
