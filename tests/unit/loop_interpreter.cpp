#include "tests/unit/loop_interpreter.h"

#include <algorithm>
#include <stdexcept>

namespace bnc::loops::testing {

namespace {

Lane rounded(Type type, Lane value) {
  if (type.scalar == Scalar::f32) value.real = static_cast<float>(value.real);
  if (type.scalar == Scalar::i32) value.integer = static_cast<int32_t>(value.integer);
  if (type.scalar == Scalar::boolean) value.integer = value.integer != 0;
  return value;
}

int64_t round_down(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient * b > a ? quotient - 1 : quotient;
}

}  // namespace

Lane& Interpreter::element(int buffer, int64_t index) {
  if (index < 0 || index >= static_cast<int64_t>(memory[buffer].size()))
    throw std::out_of_range("element " + std::to_string(index) + " of " + program_.buffers[buffer].name);
  return memory[buffer][index];
}

void Interpreter::run() {
  for (const Kernel& kernel : program_.kernels) {
    int64_t tasks = evaluate(kernel.tasks)[0].integer;
    int64_t first = 0;   // of runs of 1, 2, 3, ... tasks
    for (int64_t task = 0; task < tasks; ++task) {
      if (task > 2 * first) first = task;
      if (task == first || kernel.first_task_variable.empty()) forget_scratch();
      variables_[kernel.task_variable] = {{0, task}};
      if (!kernel.first_task_variable.empty()) variables_[kernel.first_task_variable] = {{0, first}};
      execute(kernel.body);
    }
  }
}

// What another task left there means nothing.
void Interpreter::forget_scratch() {
  for (size_t b = 0; b < memory.size(); ++b) {
    if (program_.buffers[b].kind == BufferKind::scratch) std::fill(memory[b].begin(), memory[b].end(), unwritten);
  }
}

void Interpreter::execute_all(const std::vector<Stmt>& body) {
  auto outer = variables_;
  for (const Stmt& s : body) execute(s);
  variables_ = outer;
}

void Interpreter::execute(const Stmt& s) {
  switch (s->kind) {
    case StmtKind::block: execute_all(s->body); break;
    case StmtKind::loop:
      for (int64_t i = evaluate(s->begin)[0].integer; i < evaluate(s->end)[0].integer; i += s->step) {
        variables_[s->name] = {{0, i}};
        execute_all(s->body);
      }
      break;
    case StmtKind::store: {
      Lanes index = evaluate(s->index), value = evaluate(s->value);
      Lanes predicate = s->predicate ? evaluate(s->predicate) : Lanes(index.size(), {0, 1});
      for (size_t i = 0; i < index.size(); ++i) {
        if (predicate[i].integer) element(s->buffer, index[i].integer) = value[i];
      }
      break;
    }
    case StmtKind::let: variables_[s->name] = evaluate(s->value); break;
    case StmtKind::declare_registers: registers_[s->name].assign(s->count, Lanes(s->type.lanes, unwritten)); break;
    case StmtKind::write_register: registers_.at(s->name).at(evaluate(s->index)[0].integer) = evaluate(s->value); break;
    case StmtKind::conditional:
      if (evaluate(s->predicate)[0].integer) execute_all(s->body);
      break;
    case StmtKind::prefetch: break;
  }
}

Lanes Interpreter::evaluate(const Expr& x) {
  auto arg = [&](size_t i) { return evaluate(x->args[i]); };
  Lanes result(x->type.lanes);
  switch (x->kind) {
    case ExprKind::integer: return {{0, x->integer_value}};
    case ExprKind::real: return {{x->real_value, 0}};
    case ExprKind::variable: return variables_.at(x->name);
    case ExprKind::unary: {
      Lanes a = arg(0);
      for (size_t i = 0; i < result.size(); ++i) result[i] = rounded(x->type, unary(*x, a[i]));
      return result;
    }
    case ExprKind::binary: {
      Lanes a = arg(0), b = arg(1);
      for (size_t i = 0; i < result.size(); ++i) result[i] = rounded(x->type, binary(*x, x->args[0]->type, a[i], b[i]));
      return result;
    }
    case ExprKind::fma: {
      Lanes a = arg(0), b = arg(1), c = arg(2);
      for (size_t i = 0; i < result.size(); ++i) {
        bool single = x->type.scalar == Scalar::f32;
        result[i].real = single ? std::fmaf(float(a[i].real), float(b[i].real), float(c[i].real))
                                : std::fma(a[i].real, b[i].real, c[i].real);
      }
      return result;
    }
    case ExprKind::select: {
      Lanes condition = arg(0), a = arg(1), b = arg(2);
      for (size_t i = 0; i < result.size(); ++i) result[i] = condition[i].integer ? a[i] : b[i];
      return result;
    }
    case ExprKind::cast: {
      Lanes a = arg(0);
      bool from_float = x->args[0]->type.is_float();
      for (size_t i = 0; i < result.size(); ++i) {
        double real = from_float ? a[i].real : static_cast<double>(a[i].integer);
        int64_t integer = !from_float ? a[i].integer : x->type.scalar == Scalar::boolean ? a[i].real != 0 : static_cast<int64_t>(a[i].real);
        result[i] = rounded(x->type, {real, integer});
      }
      return result;
    }
    case ExprKind::load: {
      Lanes index = arg(0);
      Lanes predicate = x->args.size() > 1 ? arg(1) : Lanes(index.size(), {0, 1});
      for (size_t i = 0; i < result.size(); ++i) {
        if (predicate[i].integer) result[i] = element(x->buffer, index[i].integer);
      }
      return result;
    }
    case ExprKind::ramp: {
      int64_t base = arg(0)[0].integer;
      for (size_t i = 0; i < result.size(); ++i) result[i] = rounded(x->type, {0, base + static_cast<int64_t>(i) * x->integer_value});
      return result;
    }
    case ExprKind::broadcast: return Lanes(x->type.lanes, arg(0)[0]);
    case ExprKind::read_register: return registers_.at(x->name).at(arg(0)[0].integer);
    case ExprKind::reduce_lanes: {
      // The fixed tree: the upper half joins the lower; of an odd number of lanes the middle one joins last.
      Lanes a = arg(0), middles;
      while (a.size() > 1) {
        size_t half = a.size() / 2;
        if (a.size() % 2) middles.push_back(a[half]);
        for (size_t i = 0; i < half; ++i) a[i] = rounded(x->type, binary(*x, x->type, a[i], a[a.size() - half + i]));
        a.resize(half);
      }
      for (Lane middle : middles) a[0] = rounded(x->type, binary(*x, x->type, a[0], middle));
      return a;
    }
  }
  return result;
}

Lane Interpreter::unary(const ExprNode& x, Lane a) const {
  double r = a.real;
  switch (x.unary_op) {
    case UnaryOp::negate: return {-r, -a.integer};
    case UnaryOp::absolute: return {std::abs(r), std::abs(a.integer)};
    case UnaryOp::floor: return {std::floor(r), 0};
    case UnaryOp::round_even: return {std::nearbyint(r), 0};
    case UnaryOp::sqrt: return {std::sqrt(r), 0};
    case UnaryOp::reciprocal_sqrt: return {1 / std::sqrt(r), 0};
    case UnaryOp::exp: return {std::exp(r), 0};
    case UnaryOp::log: return {std::log(r), 0};
    case UnaryOp::log1p: return {std::log1p(r), 0};
    case UnaryOp::tanh: return {std::tanh(r), 0};
    case UnaryOp::sigmoid: return {1 / (1 + std::exp(-r)), 0};
    case UnaryOp::erf: return {std::erf(r), 0};
    case UnaryOp::logical_not: return {0, !a.integer};
  }
  return {};
}

Lane Interpreter::binary(const ExprNode& x, Type type, Lane a, Lane b) const {
  bool real = type.is_float();
  uint64_t ua = static_cast<uint64_t>(a.integer), ub = static_cast<uint64_t>(b.integer);
  if (type.scalar == Scalar::i32) ua &= 0xffffffffu;
  auto bits = [](uint64_t value) { return Lane{0, static_cast<int64_t>(value)}; };
  auto truth = [](bool value) { return Lane{0, value}; };
  bool nan = real && (std::isnan(a.real) || std::isnan(b.real));
  switch (x.binary_op) {
    case BinaryOp::add: return {a.real + b.real, static_cast<int64_t>(ua + ub)};
    case BinaryOp::subtract: return {a.real - b.real, static_cast<int64_t>(ua - ub)};
    case BinaryOp::multiply: return {a.real * b.real, static_cast<int64_t>(ua * ub)};
    case BinaryOp::divide: return real ? Lane{a.real / b.real, 0} : Lane{0, round_down(a.integer, b.integer)};
    case BinaryOp::modulo: return {0, a.integer - round_down(a.integer, b.integer) * b.integer};
    case BinaryOp::minimum: return {nan ? NAN : std::min(a.real, b.real), std::min(a.integer, b.integer)};
    case BinaryOp::maximum: return {nan ? NAN : std::max(a.real, b.real), std::max(a.integer, b.integer)};
    case BinaryOp::less: return truth(real ? a.real < b.real : a.integer < b.integer);
    case BinaryOp::less_equal: return truth(real ? a.real <= b.real : a.integer <= b.integer);
    case BinaryOp::equal: return truth(real ? a.real == b.real : a.integer == b.integer);
    case BinaryOp::not_equal: return truth(real ? a.real != b.real : a.integer != b.integer);
    case BinaryOp::logical_and: return truth(a.integer && b.integer);
    case BinaryOp::logical_or: return truth(a.integer || b.integer);
    case BinaryOp::bit_and: return bits(ua & ub);
    case BinaryOp::bit_or: return bits(ua | ub);
    case BinaryOp::bit_xor: return bits(ua ^ ub);
    case BinaryOp::shift_left: return bits(ua << ub);
    case BinaryOp::shift_right_logical: return bits(ua >> ub);
  }
  return {};
}

}  // namespace bnc::loops::testing
