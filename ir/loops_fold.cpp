// Constant folding and index algebra. The normal form of a sum keeps its constant outermost and last, `(x + y) + c`, and
// that of a product `x * c`; i64 index arithmetic is taken to never overflow, i32 wraps around.
#include "ir/loops_fold.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/diagnostic.h"

namespace bnc::loops {

int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
int64_t floor_modulo(int64_t a, int64_t b) { return a - floor_divide(a, b) * b; }

bool same(const Expr& a, const Expr& b) {
  if (a.get() == b.get()) return true;
  if (a->kind != b->kind || a->type != b->type || a->args.size() != b->args.size() || a->kind == ExprKind::read_register) return false;
  if (a->integer_value != b->integer_value || a->name != b->name || a->buffer != b->buffer) return false;
  if (a->kind == ExprKind::real && (a->real_value != b->real_value || std::signbit(a->real_value) != std::signbit(b->real_value)))
    return false;
  if (a->unary_op != b->unary_op || a->binary_op != b->binary_op || a->kind == ExprKind::load) return false;
  for (size_t i = 0; i < a->args.size(); ++i) {
    if (!same(a->args[i], b->args[i])) return false;
  }
  return true;
}

namespace {

bool is_binary(const Expr& x, BinaryOp op) { return x->kind == ExprKind::binary && x->binary_op == op; }
bool is_index(const Expr& x) { return x->type.scalar == Scalar::i64; }
Expr like(const Expr& x, int64_t value) { return integer(value, x->type); }

// x as `rest + constant`.
struct Offset {
  Expr rest;
  int64_t constant;
};
Offset split_offset(const Expr& x) {
  if (is_binary(x, BinaryOp::add)) {
    if (auto c = as_integer(x->args[1])) return {x->args[0], *c};
  }
  return {x, 0};
}

// x as a number of terms `divisor * quotient`, and what is left of it. Either part may be empty, which is zero.
struct Split {
  Expr quotient, rest;
};
Expr sum(const Expr& a, const Expr& b) { return !a ? b : !b ? a : a + b; }

Split split_multiples(const Expr& x, int64_t divisor) {
  if (auto value = as_integer(x)) {
    int64_t quotient = floor_divide(*value, divisor), rest = floor_modulo(*value, divisor);
    return {quotient ? like(x, quotient) : Expr(), rest ? like(x, rest) : Expr()};
  }
  if (is_binary(x, BinaryOp::add)) {
    Split a = split_multiples(x->args[0], divisor), b = split_multiples(x->args[1], divisor);
    if (!a.quotient && !b.quotient) return {{}, x};
    return {sum(a.quotient, b.quotient), sum(a.rest, b.rest)};
  }
  if (is_binary(x, BinaryOp::multiply)) {
    auto factor = as_integer(x->args[1]);
    if (factor && *factor % divisor == 0) return {x->args[0] * like(x, *factor / divisor), {}};
  }
  return {{}, x};
}

// Bounds of an index as far as its form tells them.
struct Range {
  int64_t low, high;
};
std::optional<Range> range_of(const Expr& x, int depth = 0) {
  if (auto value = as_integer(x)) return Range{*value, *value};
  if (x->bounds) return Range{x->bounds->first, x->bounds->second};
  if (depth > 8 || (x->kind != ExprKind::binary && x->kind != ExprKind::broadcast && x->kind != ExprKind::ramp)) return std::nullopt;
  if (x->kind == ExprKind::broadcast) return range_of(x->args[0], depth + 1);
  if (x->kind == ExprKind::ramp) {
    auto base = range_of(x->args[0], depth + 1);
    if (!base) return std::nullopt;
    int64_t extent = x->integer_value * (x->active_lanes - 1);
    return Range{base->low + std::min<int64_t>(extent, 0), base->high + std::max<int64_t>(extent, 0)};
  }
  auto right = as_integer(x->args[1]);
  if (x->binary_op == BinaryOp::modulo && right) return Range{0, *right - 1};
  auto a = range_of(x->args[0], depth + 1);
  if (!a) return std::nullopt;
  if (x->binary_op == BinaryOp::divide && right) return Range{floor_divide(a->low, *right), floor_divide(a->high, *right)};
  if (x->binary_op == BinaryOp::multiply && right)
    return Range{std::min(a->low * *right, a->high * *right), std::max(a->low * *right, a->high * *right)};
  const bool smaller = x->binary_op == BinaryOp::minimum, larger = x->binary_op == BinaryOp::maximum;
  if (x->binary_op != BinaryOp::add && x->binary_op != BinaryOp::subtract && !smaller && !larger) return std::nullopt;
  auto b = range_of(x->args[1], depth + 1);
  if (!b) return std::nullopt;
  if (smaller) return Range{std::min(a->low, b->low), std::min(a->high, b->high)};
  if (larger) return Range{std::max(a->low, b->low), std::max(a->high, b->high)};
  return x->binary_op == BinaryOp::add ? Range{a->low + b->low, a->high + b->high} : Range{a->low - b->high, a->high - b->low};
}

// (rest + y/k)*k + y%k, where y may itself be a quotient: rest*k + y. Puts together what an index of several dimensions took apart.
Expr fold_digits(const Expr& a, const Expr& b) {
  if (!is_binary(a, BinaryOp::multiply) || !is_binary(b, BinaryOp::modulo)) return {};
  const Expr &factor = a->args[1], &y = b->args[0];
  if (!as_integer(factor) || as_integer(factor) != as_integer(b->args[1])) return {};
  const Expr quotient = y / factor, &sum = a->args[0];
  if (same(sum, quotient)) return y;
  if (!is_binary(sum, BinaryOp::add)) return {};
  if (same(sum->args[1], quotient)) return sum->args[0] * factor + y;
  return same(sum->args[0], quotient) ? sum->args[1] * factor + y : Expr();
}

Expr fold_add(const Expr& a, const Expr& b) {
  if (as_integer(a) && !as_integer(b)) return b + a;
  auto c = as_integer(b);
  if (c == 0) return a;
  auto [x, ca] = split_offset(a);
  if (c && ca) return x + like(a, ca + *c);
  if (c) return {};
  auto [y, cb] = split_offset(b);
  if (ca || cb) return (x + y) + like(a, ca + cb);
  if (is_binary(b, BinaryOp::subtract) && same(a, b->args[1])) return b->args[0];
  if (is_binary(a, BinaryOp::subtract) && same(b, a->args[1])) return a->args[0];
  return is_index(a) ? fold_digits(a, b) : Expr();
}

Expr fold_subtract(const Expr& a, const Expr& b) {
  if (auto c = as_integer(b)) return a + like(b, -*c);
  auto [x, ca] = split_offset(a);
  auto [y, cb] = split_offset(b);
  if (ca || cb) return (x - y) + like(a, ca - cb);
  if (same(a, b)) return like(a, 0);
  if (is_binary(a, BinaryOp::add) && same(a->args[0], b)) return a->args[1];
  if (is_binary(a, BinaryOp::add) && same(a->args[1], b)) return a->args[0];
  return {};
}

Expr fold_multiply(const Expr& a, const Expr& b) {
  if (as_integer(a) && !as_integer(b)) return b * a;
  auto c = as_integer(b);
  if (!c) return {};
  if (*c == 0) return b;
  if (*c == 1) return a;
  if (is_binary(a, BinaryOp::multiply)) {
    if (auto inner = as_integer(a->args[1])) return a->args[0] * like(a, *inner * *c);
  }
  auto [x, offset] = split_offset(a);
  if (offset) return x * b + like(a, offset * *c);
  return {};
}

// Division and modulo by a positive constant: the multiples of the divisor among the terms go, and so does what is
// known to lie in [0, divisor).
Expr fold_divide(BinaryOp op, const Expr& a, const Expr& b) {
  auto divisor = as_integer(b);
  if (!divisor) return {};
  bool divide = op == BinaryOp::divide;
  if (*divisor == 1) return divide ? a : like(a, 0);
  if (!is_index(a)) return {};
  auto [quotient, rest] = split_multiples(a, *divisor);
  if (!rest) return !divide ? like(a, 0) : quotient ? quotient : like(a, 0);
  auto range = range_of(rest);
  bool inside = range && range->low >= 0 && range->high < *divisor;
  if (!quotient && !inside) {
    if (divide && is_binary(a, BinaryOp::divide)) {
      if (auto inner = as_integer(a->args[1])) return a->args[0] / like(a, *inner * *divisor);
    }
    return {};
  }
  Expr part = inside ? (divide ? like(a, 0) : rest) : binary(op, rest, b);
  return divide && quotient ? quotient + part : part;
}

Expr fold_minimum(BinaryOp op, const Expr& a, const Expr& b) {
  if (same(a, b)) return a;
  if (!is_index(a)) return {};
  if (auto difference = range_of(a - b)) {
    if (difference->high <= 0) return op == BinaryOp::minimum ? a : b;
    if (difference->low >= 0) return op == BinaryOp::minimum ? b : a;
  }
  auto c = as_integer(b);
  if (!c && as_integer(a)) return binary(op, b, a);
  if (c && is_binary(a, op)) {
    if (auto inner = as_integer(a->args[1]))
      return binary(op, a->args[0], like(a, op == BinaryOp::minimum ? std::min(*inner, *c) : std::max(*inner, *c)));
  }
  return {};
}

// Comparisons of indices whose difference is known: a constant, or a constant and a ramp.
Expr fold_comparison(BinaryOp op, const Expr& a, const Expr& b) {
  if (!is_index(a)) return {};
  auto range = range_of(a - b);
  if (!range) return {};
  auto decided = [&](bool value) { return integer(value, {Scalar::boolean, a->type.lanes}); };
  switch (op) {
    case BinaryOp::less:
      if (range->high < 0) return decided(true);
      if (range->low >= 0) return decided(false);
      return {};
    case BinaryOp::less_equal:
      if (range->high <= 0) return decided(true);
      if (range->low > 0) return decided(false);
      return {};
    default: {
      bool equal = op == BinaryOp::equal;
      if (range->low > 0 || range->high < 0) return decided(!equal);
      if (range->low == range->high) return decided(equal);
      return {};
    }
  }
}

Expr fold_logical(BinaryOp op, const Expr& a, const Expr& b) {
  bool neutral = op == BinaryOp::logical_and;
  if (auto x = as_integer(a)) return *x == neutral ? b : a;
  if (auto x = as_integer(b)) return *x == neutral ? a : b;
  return a.get() == b.get() ? a : Expr();
}

// Sums and products of ramps and broadcasts.
Expr fold_vectors(BinaryOp op, const Expr& a, const Expr& b) {
  int lanes = a->type.lanes;
  bool ramp_a = a->kind == ExprKind::ramp, ramp_b = b->kind == ExprKind::ramp;
  bool same_a = a->kind == ExprKind::broadcast, same_b = b->kind == ExprKind::broadcast;
  if (same_a && same_b) return broadcast(binary(op, a->args[0], b->args[0]), lanes);
  if (!(ramp_a || same_a) || !(ramp_b || same_b)) return {};
  int64_t stride_a = ramp_a ? a->integer_value : 0, stride_b = ramp_b ? b->integer_value : 0;
  int active = std::min(ramp_a ? a->active_lanes : lanes, ramp_b ? b->active_lanes : lanes);
  if (op == BinaryOp::add) return ramp(a->args[0] + b->args[0], stride_a + stride_b, lanes, active);
  if (op == BinaryOp::subtract) return ramp(a->args[0] - b->args[0], stride_a - stride_b, lanes, active);
  if (op == BinaryOp::multiply) {
    auto factor = as_integer(ramp_a ? b : a);
    if (!factor) return {};
    return ramp(a->args[0] * b->args[0], (ramp_a ? stride_a : stride_b) * *factor, lanes, active);
  }
  auto divisor = as_integer(b);
  if ((op == BinaryOp::divide || op == BinaryOp::modulo) && divisor && is_index(a)) {
    bool divide = op == BinaryOp::divide;
    if (stride_a % *divisor == 0)
      return divide ? ramp(a->args[0] / *divisor, stride_a / *divisor, lanes, active) : broadcast(a->args[0] % *divisor, lanes);
    auto [quotient, rest] = split_multiples(a->args[0], *divisor);
    auto range = range_of(ramp(rest ? rest : Expr(0), stride_a, lanes, active));
    if (range && range->low >= 0 && range->high < *divisor) {
      return divide ? broadcast(quotient ? quotient : Expr(0), lanes) : ramp(rest ? rest : Expr(0), stride_a, lanes, active);
    }
  }
  return {};
}

// i32 wraps around: the arithmetic is done unsigned and cut off by `integer`.
Expr fold_integers(BinaryOp op, const Expr& a, const Expr& b) {
  int64_t x = a->integer_value, y = b->integer_value;
  uint64_t ux = static_cast<uint64_t>(x), uy = static_cast<uint64_t>(y);
  if (a->type.scalar == Scalar::i32) ux &= 0xffffffffu;
  auto number = [&](uint64_t value) { return integer(static_cast<int64_t>(value), a->type); };
  auto truth = [](bool value) { return integer(value, {Scalar::boolean, 1}); };
  switch (op) {
    case BinaryOp::add: return number(ux + uy);
    case BinaryOp::subtract: return number(ux - uy);
    case BinaryOp::multiply: return number(ux * uy);
    case BinaryOp::divide: return integer(floor_divide(x, y), a->type);
    case BinaryOp::modulo: return integer(floor_modulo(x, y), a->type);
    case BinaryOp::minimum: return x < y ? a : b;
    case BinaryOp::maximum: return x > y ? a : b;
    case BinaryOp::less: return truth(x < y);
    case BinaryOp::less_equal: return truth(x <= y);
    case BinaryOp::equal: return truth(x == y);
    case BinaryOp::not_equal: return truth(x != y);
    case BinaryOp::logical_and: return truth(x && y);
    case BinaryOp::logical_or: return truth(x || y);
    case BinaryOp::bit_and: return number(ux & uy);
    case BinaryOp::bit_or: return number(ux | uy);
    case BinaryOp::bit_xor: return number(ux ^ uy);
    case BinaryOp::shift_left: return number(ux << (uy & 63));
    case BinaryOp::shift_right_logical: return number(ux >> (uy & 63));
  }
  return {};
}

template <typename T>
Expr fold_reals(BinaryOp op, T x, T y, Type type) {
  auto truth = [](bool value) { return integer(value, {Scalar::boolean, 1}); };
  T nan = std::numeric_limits<T>::quiet_NaN();
  bool unordered = std::isnan(x) || std::isnan(y);
  switch (op) {
    case BinaryOp::add: return real(x + y, type);
    case BinaryOp::subtract: return real(x - y, type);
    case BinaryOp::multiply: return real(x * y, type);
    case BinaryOp::divide: return real(x / y, type);
    case BinaryOp::minimum: return real(unordered ? nan : std::min(x, y), type);
    case BinaryOp::maximum: return real(unordered ? nan : std::max(x, y), type);
    case BinaryOp::less: return truth(x < y);
    case BinaryOp::less_equal: return truth(x <= y);
    case BinaryOp::equal: return truth(x == y);
    case BinaryOp::not_equal: return truth(x != y);
    default: return {};
  }
}

// What holds for every value of x, NaN and signed zeros included.
Expr fold_float_identity(BinaryOp op, const Expr& a, const Expr& b) {
  auto number = [](const Expr& x) -> std::optional<double> {
    const ExprNode& scalar = x->kind == ExprKind::broadcast ? *x->args[0] : *x;
    return scalar.kind == ExprKind::real ? std::optional(scalar.real_value) : std::nullopt;
  };
  auto x = number(a), y = number(b);
  if (op == BinaryOp::multiply && x == 1.0) return b;
  if ((op == BinaryOp::multiply || op == BinaryOp::divide) && y == 1.0) return a;
  if (op == BinaryOp::subtract && y == 0.0 && !std::signbit(*y)) return a;
  return {};
}

}  // namespace

std::optional<std::pair<int64_t, int64_t>> bounds_of(const Expr& index) {
  const auto range = range_of(index);
  return range ? std::optional(std::pair(range->low, range->high)) : std::nullopt;
}

bool is_non_negative(const Expr& index) {
  const auto bounds = bounds_of(index);
  return bounds && bounds->first >= 0;
}

Expr fold_unary(UnaryOp op, const Expr& x) {
  if (op == UnaryOp::logical_not && x->kind == ExprKind::unary && x->unary_op == op) return x->args[0];
  if (x->kind == ExprKind::integer) {
    int64_t value = x->integer_value;
    switch (op) {
      case UnaryOp::negate: return integer(-value, x->type);
      case UnaryOp::absolute: return integer(value < 0 ? -value : value, x->type);
      case UnaryOp::logical_not: return integer(!value, x->type);
      default: return {};
    }
  }
  if (x->kind == ExprKind::ramp && op == UnaryOp::negate) return ramp(-x->args[0], -x->integer_value, x->type.lanes, x->active_lanes);
  if (x->kind != ExprKind::real) return {};
  switch (op) {
    case UnaryOp::negate: return real(-x->real_value, x->type);
    case UnaryOp::absolute: return real(std::abs(x->real_value), x->type);
    case UnaryOp::floor: return real(std::floor(x->real_value), x->type);
    case UnaryOp::round_even: return real(std::nearbyint(x->real_value), x->type);
    case UnaryOp::sqrt: return real(std::sqrt(x->real_value), x->type);
    default: return {};
  }
}

Expr fold_binary(BinaryOp op, const Expr& a, const Expr& b) {
  bool division = (op == BinaryOp::divide || op == BinaryOp::modulo) && !a->type.is_float();
  BNC_CHECK(!division || as_integer(b).value_or(1) > 0, to_string(a) + " divided by " + to_string(b));
  if (a->type.lanes > 1) {
    if (Expr folded = fold_vectors(op, a, b)) return folded;
  }
  if (a->kind == ExprKind::integer && b->kind == ExprKind::integer) return fold_integers(op, a, b);
  if (a->kind == ExprKind::real && b->kind == ExprKind::real) {
    if (a->type.scalar == Scalar::f32)
      return fold_reals<float>(op, static_cast<float>(a->real_value), static_cast<float>(b->real_value), a->type);
    return fold_reals<double>(op, a->real_value, b->real_value, a->type);
  }
  if (a->type.is_float()) return fold_float_identity(op, a, b);
  switch (op) {
    case BinaryOp::add: return fold_add(a, b);
    case BinaryOp::subtract: return fold_subtract(a, b);
    case BinaryOp::multiply: return fold_multiply(a, b);
    case BinaryOp::divide: case BinaryOp::modulo: return fold_divide(op, a, b);
    case BinaryOp::minimum: case BinaryOp::maximum: return fold_minimum(op, a, b);
    case BinaryOp::less: case BinaryOp::less_equal: case BinaryOp::equal: case BinaryOp::not_equal: return fold_comparison(op, a, b);
    case BinaryOp::logical_and: case BinaryOp::logical_or: return fold_logical(op, a, b);
    case BinaryOp::bit_and:
    case BinaryOp::bit_or:
    case BinaryOp::bit_xor:
    case BinaryOp::shift_left:
    case BinaryOp::shift_right_logical: return {};
  }
  return {};
}

}  // namespace bnc::loops
