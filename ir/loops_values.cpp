#include "ir/loops_values.h"

namespace bnc::loops {

namespace {

// a + factor * b
std::optional<Progression> sum(Progression a, const Progression& b, int64_t factor) {
  const auto add = [&](int64_t& to, int64_t term) {
    int64_t product = 0;
    return !__builtin_mul_overflow(term, factor, &product) && !__builtin_add_overflow(to, product, &to);
  };
  if (!add(a.constant, b.constant)) return std::nullopt;
  for (const auto& [counter, term] : b.factors) {
    int64_t& to = a.factors[counter];
    if (!add(to, term)) return std::nullopt;
    if (to == 0) a.factors.erase(counter);
  }
  return a;
}

}  // namespace

Progression Counters::count(Progression begin, int64_t step, int64_t last) {
  if (last > 0) begin.factors[static_cast<int>(last_.size())] = step;
  last_.push_back(last);
  return begin;
}

std::optional<std::pair<int64_t, int64_t>> Counters::ends(const Progression& x) const {
  int64_t low = x.constant, high = x.constant;
  for (const auto& [counter, factor] : x.factors) {
    int64_t reach = 0;
    int64_t& end = factor < 0 ? low : high;
    if (__builtin_mul_overflow(factor, last_[static_cast<size_t>(counter)], &reach) || __builtin_add_overflow(end, reach, &end))
      return std::nullopt;
  }
  return std::pair(low, high);
}

std::optional<Progression> progression_of(const Expr& x, const std::function<const Progression*(const std::string&)>& find) {
  if (x->type.lanes != 1 || x->type.is_float()) return std::nullopt;
  if (x->kind == ExprKind::integer) return Progression{x->integer_value, {}};
  if (x->kind == ExprKind::variable) {
    const Progression* known = find(x->name);
    return known ? std::optional(*known) : std::nullopt;
  }
  const bool linear = x->binary_op == BinaryOp::add || x->binary_op == BinaryOp::subtract || x->binary_op == BinaryOp::multiply;
  if (x->kind != ExprKind::binary || !linear || x->type.scalar != Scalar::i64) return std::nullopt;
  const auto a = progression_of(x->args[0], find);
  if (!a) return std::nullopt;
  const auto b = progression_of(x->args[1], find);
  if (!b) return std::nullopt;
  if (x->binary_op != BinaryOp::multiply) return sum(*a, *b, x->binary_op == BinaryOp::add ? 1 : -1);
  if (a->is_constant()) return sum({}, *b, a->constant);
  return b->is_constant() ? sum({}, *a, b->constant) : std::nullopt;
}

std::optional<Progression> difference(const std::optional<Progression>& a, const std::optional<Progression>& b) {
  return a && b ? sum(*a, *b, -1) : std::nullopt;
}

}  // namespace bnc::loops
