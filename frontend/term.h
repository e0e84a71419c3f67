// What an expression stands for while a network is built: a tensor, or a value known at compile time.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "ir/op.h"

namespace bnc {

struct Term {
  using List = std::vector<Term>;
  struct Unknown {};  // the statement that should have given a value was in error

  // A Dim is a multiple of the batch size; plain dimensions are integers.
  std::variant<Unknown, bool, int64_t, double, Dim, Symbol, Value, List> data;

  template <class T> const T* get_if() const { return std::get_if<T>(&data); }
  template <class T> bool is() const { return std::holds_alternative<T>(data); }
  bool is_number() const { return is<int64_t>() || is<double>(); }
  double number() const { return is<int64_t>() ? static_cast<double>(std::get<int64_t>(data)) : std::get<double>(data); }
  bool operator==(const Term& other) const;

  // One for a plain value; for a list as many as it holds, those of lists within it included.
  int64_t size() const;

  static Term of(const Dim& dim);
  static Term of(const Shape& shape);
};

// The most elements of a list, those of lists within it included.
inline constexpr int64_t max_list = 100'000;

// "the integer 3", "a tensor f32[N, 10]", "the symbol `same`": for diagnostics.
std::string describe(const Term& term, const std::string& batch_symbol);
// "an integer", "a list of integers, or one integer".
std::string describe(AttributeKind kind);

// The value as an attribute of that kind; empty when it is of another kind. One number is a list of one.
std::optional<Attribute> to_attribute(const Term& term, AttributeKind kind);
// The value as an argument of a symbol, whose kind nobody prescribes; empty for tensors and mixed lists.
std::optional<Attribute> to_attribute(const Term& term);

// left OPERATOR right on compile-time values: + - * / % == != < <= > >= and `..`. CompileError for what makes no sense.
Term compute(const std::string& op, const Term& left, const Term& right, const SourceRange& range, const std::string& batch_symbol);
Term negate(const Term& term, const SourceRange& range, const std::string& batch_symbol);

}  // namespace bnc
