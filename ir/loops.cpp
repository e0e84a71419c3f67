// Constructors of the loop IR and substitution. What they fold is in ir/loops_fold.cpp.
#include "ir/loops.h"

#include <cmath>
#include <unordered_map>

#include "ir/diagnostic.h"
#include "ir/loops_fold.h"

namespace bnc::loops {

namespace {

Expr make(ExprNode node) { return Expr(std::make_shared<const ExprNode>(std::move(node))); }

// A scalar beside a vector is repeated in its lanes; an integer constant takes the element type of what it stands beside.
void match(Expr& a, Expr& b) {
  if (a->type.scalar != b->type.scalar) {
    if (as_integer(b)) b = cast(a->type.scalar, b);
    else if (as_integer(a)) a = cast(b->type.scalar, a);
  }
  if (a->type.lanes == 1 && b->type.lanes > 1) a = broadcast(a, b->type.lanes);
  if (b->type.lanes == 1 && a->type.lanes > 1) b = broadcast(b, a->type.lanes);
}

}  // namespace

Expr::Expr(int value) : Expr(integer(value)) {}
Expr::Expr(int64_t value) : Expr(integer(value)) {}

Expr integer(int64_t value, Type type) {
  BNC_CHECK(!type.is_float());
  if (type.lanes > 1) return broadcast(integer(value, type.with_lanes(1)), type.lanes);
  if (type.scalar == Scalar::boolean) value = value != 0;
  if (type.scalar == Scalar::i32) value = static_cast<int32_t>(value);
  return make({.kind = ExprKind::integer, .type = type, .integer_value = value});
}

Expr real(double value, Type type) {
  BNC_CHECK(type.is_float());
  if (type.lanes > 1) return broadcast(real(value, type.with_lanes(1)), type.lanes);
  if (type.scalar == Scalar::f32) value = static_cast<float>(value);
  return make({.kind = ExprKind::real, .type = type, .real_value = value});
}

Expr constant_of(Type type, double value) {
  return type.is_float() ? real(value, type) : integer(static_cast<int64_t>(value), type);
}

Expr variable(const std::string& name, Type type) { return make({.kind = ExprKind::variable, .type = type, .name = name}); }

Expr bounded_variable(const std::string& name, int64_t low, int64_t high) {
  return make({.kind = ExprKind::variable, .type = {Scalar::i64, 1}, .name = name, .bounds = std::pair(low, high)});
}

Expr unary(UnaryOp op, Expr x) {
  if (x->kind == ExprKind::broadcast) return broadcast(unary(op, x->args[0]), x->type.lanes);
  if (Expr folded = fold_unary(op, x)) return folded;
  Type type = x->type;
  return make({.kind = ExprKind::unary, .type = type, .unary_op = op, .args = {std::move(x)}});
}

Expr binary(BinaryOp op, Expr a, Expr b) {
  match(a, b);
  BNC_CHECK(a->type == b->type, to_string(a) + " and " + to_string(b));
  if (Expr folded = fold_binary(op, a, b)) return folded;
  Type type = is_comparison(op) ? Type{Scalar::boolean, a->type.lanes} : a->type;
  return make({.kind = ExprKind::binary, .type = type, .binary_op = op, .args = {std::move(a), std::move(b)}});
}

Expr fma(Expr a, Expr b, Expr c) {
  match(a, b);
  match(a, c);
  match(b, c);
  BNC_CHECK(a->type == b->type && a->type == c->type && a->type.is_float());
  Type type = a->type;
  if (a->kind == ExprKind::real && b->kind == ExprKind::real && c->kind == ExprKind::real) {
    double x = a->real_value, y = b->real_value, z = c->real_value;
    return real(type.scalar == Scalar::f32 ? std::fmaf(float(x), float(y), float(z)) : std::fma(x, y, z), type);
  }
  return make({.kind = ExprKind::fma, .type = type, .args = {std::move(a), std::move(b), std::move(c)}});
}

Expr select(Expr condition, Expr if_true, Expr if_false) {
  match(if_true, if_false);
  BNC_CHECK(condition->type.scalar == Scalar::boolean && if_true->type == if_false->type);
  int lanes = if_true->type.lanes;
  if (lanes == 1 && condition->type.lanes > 1) {
    lanes = condition->type.lanes;
    if_true = broadcast(if_true, lanes);
    if_false = broadcast(if_false, lanes);
  }
  if (condition->type.lanes == 1) condition = broadcast(condition, lanes);
  BNC_CHECK(condition->type.lanes == lanes);
  if (auto value = as_integer(condition)) return *value ? if_true : if_false;
  if (if_true.get() == if_false.get()) return if_true;
  Type type = if_true->type;
  return make({.kind = ExprKind::select, .type = type, .args = {std::move(condition), std::move(if_true), std::move(if_false)}});
}

Expr cast(Scalar scalar, Expr x) {
  if (x->type.scalar == scalar) return x;
  if (x->kind == ExprKind::broadcast) return broadcast(cast(scalar, x->args[0]), x->type.lanes);
  Type type{scalar, x->type.lanes};
  if (x->kind == ExprKind::integer) {
    if (scalar == Scalar::f32) return real(static_cast<float>(x->integer_value), type);
    return type.is_float() ? real(static_cast<double>(x->integer_value), type) : integer(x->integer_value, type);
  }
  if (x->kind == ExprKind::real && type.is_float()) return real(x->real_value, type);
  if (x->kind == ExprKind::real && scalar != Scalar::boolean && std::abs(x->real_value) < 0x1p31) return constant_of(type, x->real_value);
  return make({.kind = ExprKind::cast, .type = type, .args = {std::move(x)}});
}

Expr load(int buffer, Scalar scalar, Expr index, Expr predicate) {
  BNC_CHECK(!index->type.is_float());
  Type type{scalar, index->type.lanes};
  if (predicate) {
    BNC_CHECK(predicate->type.scalar == Scalar::boolean);
    if (predicate->type.lanes == 1) predicate = broadcast(predicate, type.lanes);
    BNC_CHECK(predicate->type.lanes == type.lanes);
    if (auto value = as_integer(predicate)) {
      if (!*value) return constant_of(type, 0);
      predicate = {};
    }
  }
  if (index->kind == ExprKind::broadcast && !predicate) return broadcast(load(buffer, scalar, index->args[0]), type.lanes);
  std::vector<Expr> args{std::move(index)};
  if (predicate) args.push_back(std::move(predicate));
  return make({.kind = ExprKind::load, .type = type, .buffer = buffer, .args = std::move(args)});
}

Expr ramp(Expr base, int64_t stride, int lanes) { return ramp(std::move(base), stride, lanes, lanes); }

Expr ramp(Expr base, int64_t stride, int lanes, int active_lanes) {
  BNC_CHECK(base->type.lanes == 1 && !base->type.is_float() && base->type.scalar != Scalar::boolean && lanes >= 1);
  if (lanes == 1) return base;
  if (stride == 0) return broadcast(base, lanes);
  Type type = base->type.with_lanes(lanes);
  return make({.kind = ExprKind::ramp, .type = type, .integer_value = stride, .args = {std::move(base)}, .active_lanes = active_lanes});
}

Expr broadcast(Expr x, int lanes) {
  BNC_CHECK(x->type.lanes == 1 && lanes >= 1);
  if (lanes == 1) return x;
  Type type = x->type.with_lanes(lanes);
  return make({.kind = ExprKind::broadcast, .type = type, .args = {std::move(x)}});
}

Expr read_register(const std::string& name, Type type, Expr index) {
  return make({.kind = ExprKind::read_register, .type = type, .name = name, .args = {std::move(index)}});
}

Expr reduce_lanes(BinaryOp op, Expr x) {
  BNC_CHECK(op == BinaryOp::add || op == BinaryOp::minimum || op == BinaryOp::maximum);
  if (x->type.lanes == 1) return x;
  if (x->kind == ExprKind::broadcast && op != BinaryOp::add) return x->args[0];
  Type type = x->type.with_lanes(1);
  return make({.kind = ExprKind::reduce_lanes, .type = type, .binary_op = op, .args = {std::move(x)}});
}

bool is_constant(const Expr& x, int64_t value) { return as_integer(x) == value; }

std::optional<int64_t> as_integer(const Expr& x) {
  if (x->kind == ExprKind::integer) return x->integer_value;
  if (x->kind == ExprKind::broadcast && x->args[0]->kind == ExprKind::integer) return x->args[0]->integer_value;
  return std::nullopt;
}

namespace {

// Shared subexpressions are visited once.
class Substitution {
 public:
  explicit Substitution(const std::map<std::string, Expr>& replacements) : replacements_(replacements) {}

  Expr operator()(const Expr& x) {
    if (x->kind == ExprKind::variable) {
      auto found = replacements_.find(x->name);
      return found == replacements_.end() ? x : found->second;
    }
    if (x->args.empty()) return x;
    if (auto found = done_.find(x.get()); found != done_.end()) return found->second;
    std::vector<Expr> args;
    bool changed = false;
    for (const Expr& arg : x->args) {
      args.push_back((*this)(arg));
      changed |= args.back().get() != arg.get();
    }
    Expr result = changed ? rebuild(*x, args) : x;
    if (x->args.size() > 1 || changed) done_.emplace(x.get(), result);
    return result;
  }

 private:
  static Expr rebuild(const ExprNode& x, const std::vector<Expr>& args) {
    switch (x.kind) {
      case ExprKind::integer: case ExprKind::real: case ExprKind::variable: break;
      case ExprKind::unary: return unary(x.unary_op, args[0]);
      case ExprKind::binary: return binary(x.binary_op, args[0], args[1]);
      case ExprKind::fma: return fma(args[0], args[1], args[2]);
      case ExprKind::select: return select(args[0], args[1], args[2]);
      case ExprKind::cast: return cast(x.type.scalar, args[0]);
      case ExprKind::load: return load(x.buffer, x.type.scalar, args[0], args.size() > 1 ? args[1] : Expr());
      case ExprKind::ramp: return ramp(args[0], x.integer_value, x.type.lanes, x.active_lanes);
      case ExprKind::broadcast: return broadcast(args[0], x.type.lanes);
      case ExprKind::read_register: return read_register(x.name, x.type, args[0]);
      case ExprKind::reduce_lanes: return reduce_lanes(x.binary_op, args[0]);
    }
    internal_check_failed("an expression with operands", __FILE__, __LINE__, "");
    return {};
  }

  const std::map<std::string, Expr>& replacements_;
  std::unordered_map<const ExprNode*, Expr> done_;
};

Stmt make(StmtNode node) { return std::make_shared<const StmtNode>(std::move(node)); }

}  // namespace

Expr substitute(const Expr& x, const std::map<std::string, Expr>& replacements) {
  return replacements.empty() ? x : Substitution(replacements)(x);
}

Stmt block(std::vector<Stmt> body) {
  if (body.size() == 1 && body[0]->kind == StmtKind::block) return body[0];
  return make({.kind = StmtKind::block, .body = std::move(body)});
}

Stmt loop(const std::string& variable, Expr begin, Expr end, int64_t step, std::vector<Stmt> body, LoopKind kind) {
  return make({.kind = StmtKind::loop, .loop_kind = kind, .name = variable, .begin = std::move(begin), .end = std::move(end), .step = step,
               .body = std::move(body)});
}

Stmt store(int buffer, Expr index, Expr value, Expr predicate) {
  if (value->type.lanes == 1 && index->type.lanes > 1) value = broadcast(value, index->type.lanes);
  if (predicate && predicate->type.lanes == 1) predicate = broadcast(predicate, index->type.lanes);
  if (predicate && is_constant(predicate, 1)) predicate = {};
  if (predicate && is_constant(predicate, 0)) return block({});
  return make(
      {.kind = StmtKind::store, .index = std::move(index), .value = std::move(value), .predicate = std::move(predicate), .buffer = buffer});
}

Stmt streamed_store(int buffer, Expr index, Expr value, Expr predicate) {
  StmtNode node = *store(buffer, std::move(index), std::move(value), std::move(predicate));
  node.streamed = true;
  return make(std::move(node));
}

Stmt let(const std::string& variable, Expr value) { return make({.kind = StmtKind::let, .name = variable, .value = std::move(value)}); }

Stmt declare_registers(const std::string& name, Type type, int64_t count) {
  return make({.kind = StmtKind::declare_registers, .name = name, .type = type, .count = count});
}

Stmt write_register(const std::string& name, Expr index, Expr value) {
  return make({.kind = StmtKind::write_register, .name = name, .index = std::move(index), .value = std::move(value)});
}

Stmt conditional(Expr condition, std::vector<Stmt> then_body, Frequency frequency) {
  if (is_constant(condition, 1)) return block(std::move(then_body));
  if (is_constant(condition, 0)) return block({});
  return make({.kind = StmtKind::conditional, .frequency = frequency, .predicate = std::move(condition), .body = std::move(then_body)});
}

Stmt prefetch(int buffer, Expr index, Prefetch what) {
  return make({.kind = StmtKind::prefetch, .index = std::move(index), .buffer = buffer, .prefetch = what});
}

int Program::find_buffer(const std::string& name) const {
  for (size_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace bnc::loops
