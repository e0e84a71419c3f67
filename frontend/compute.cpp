// Arithmetic on compile-time values. Integers never wrap, and a quotient that is no integer becomes a number.
#include <cmath>

#include <fmt/format.h>

#include "frontend/report.h"
#include "frontend/term.h"

namespace bnc {

namespace {

struct Computation {
  const std::string& op;
  const SourceRange& range;
  const std::string& batch_symbol;

  [[noreturn]] void overflow() const { fail_at(range, "the result does not fit in a 64-bit integer"); }
  [[noreturn]] void zero() const { fail_at(range, op == "%" ? "remainder of a division by zero" : "division by zero"); }

  Term integers(int64_t left, int64_t right) const {
    int64_t result = 0;
    if (op == "+" && __builtin_add_overflow(left, right, &result)) overflow();
    if (op == "-" && __builtin_sub_overflow(left, right, &result)) overflow();
    if (op == "*" && __builtin_mul_overflow(left, right, &result)) overflow();
    if (op != "/" && op != "%") return {result};
    if (right == 0) zero();
    if (right == -1) return op == "/" ? Computation{minus, range, batch_symbol}.integers(0, left) : Term{int64_t{0}};
    int64_t remainder = left % right;
    if (op == "%") return {remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder};
    if (remainder == 0) return {left / right};
    return {static_cast<double>(left) / static_cast<double>(right)};
  }

  Term numbers(double left, double right) const {
    if (op == "+") return {left + right};
    if (op == "-") return {left - right};
    if (op == "*") return {left * right};
    if (right == 0) zero();
    return {op == "/" ? left / right : left - right * std::floor(left / right)};
  }

  // A multiple of the batch size with an integer or another multiple, where the result is one of the two again.
  std::optional<Term> dims(const Term& left, const Term& right) const {
    const Dim *a = left.get_if<Dim>(), *b = right.get_if<Dim>();
    const int64_t *m = left.get_if<int64_t>(), *n = right.get_if<int64_t>();
    auto multiple = [&](const Term& factor) -> std::optional<Term> {
      const int64_t* value = factor.get_if<int64_t>();
      if (!value || *value <= 0) return std::nullopt;
      return Term{Dim{*value, true}};
    };
    if (a && b && (op == "+" || op == "-")) return multiple(integers(a->factor, b->factor));
    if (a && b && op == "/") return integers(a->factor, b->factor);
    if (op == "*" && a && n) return multiple(integers(a->factor, *n));
    if (op == "*" && m && b) return multiple(integers(*m, b->factor));
    if (op == "/" && a && n) return multiple(integers(a->factor, *n));
    return std::nullopt;
  }

  static const std::string minus;
};

const std::string Computation::minus = "-";

Term count(const Term& from, const Term& to, const SourceRange& range, const std::string& batch_symbol) {
  const int64_t *first = from.get_if<int64_t>(), *end = to.get_if<int64_t>();
  if (!first || !end)
    fail_at(range, fmt::format("a range goes from an integer to an integer, not from {} to {}", describe(from, batch_symbol),
                               describe(to, batch_symbol)));
  int64_t length = 0;
  if (__builtin_sub_overflow(*end, *first, &length) || length > max_list)
    fail_at(range, fmt::format("this range has more than {} numbers", max_list));
  Term::List list;
  for (int64_t k = 0; k < length; ++k) list.emplace_back().data = *first + k;
  return {std::move(list)};
}

bool ordered(const std::string& op, double left, double right) {
  if (op == "<") return left < right;
  if (op == "<=") return left <= right;
  return op == ">" ? left > right : left >= right;
}

}  // namespace

Term compute(const std::string& op, const Term& left, const Term& right, const SourceRange& range, const std::string& batch_symbol) {
  Computation computation{op, range, batch_symbol};
  const int64_t *m = left.get_if<int64_t>(), *n = right.get_if<int64_t>();
  if (op == "==" || op == "!=") return {(left == right) == (op == "==")};
  if (op == "..") return count(left, right, range, batch_symbol);
  if (op[0] == '<' || op[0] == '>') {
    if (m && n) return {op == "<" ? *m < *n : op == "<=" ? *m <= *n : op == ">" ? *m > *n : *m >= *n};
    if (left.is_number() && right.is_number()) return {ordered(op, left.number(), right.number())};
  } else if (m && n) {
    return computation.integers(*m, *n);
  } else if (left.is_number() && right.is_number()) {
    return computation.numbers(left.number(), right.number());
  } else if (left.is<Dim>() || right.is<Dim>()) {
    if (std::optional<Term> result = computation.dims(left, right)) return *result;
    fail_at(range,
            fmt::format("`{}` of {} and {} is neither an integer nor a multiple of the batch size", op, describe(left, batch_symbol),
                        describe(right, batch_symbol)),
            "the batch size is not known at compile time");
  } else if (op == "+" && left.is<Term::List>() && right.is<Term::List>()) {
    Term::List list = *left.get_if<Term::List>();
    const Term::List& more = *right.get_if<Term::List>();
    if (static_cast<int64_t>(list.size() + more.size()) > max_list)
      fail_at(range, fmt::format("this list has more than {} elements", max_list));
    list.insert(list.end(), more.begin(), more.end());
    return {std::move(list)};
  }
  fail_at(range, fmt::format("`{}` does not go with {} and {}", op, describe(left, batch_symbol), describe(right, batch_symbol)));
}

Term negate(const Term& term, const SourceRange& range, const std::string& batch_symbol) {
  if (term.is<double>()) return {-term.number()};
  if (term.is<int64_t>()) return compute("-", Term{int64_t{0}}, term, range, batch_symbol);
  fail_at(range, fmt::format("`-` does not go with {}", describe(term, batch_symbol)));
}

}  // namespace bnc
