// Readable text of loop programs.
#include <fmt/format.h>

#include <cmath>

#include "ir/loops.h"

namespace bnc::loops {

namespace {

const char* name_of(Scalar scalar) {
  switch (scalar) {
    case Scalar::boolean: return "bool";
    case Scalar::i32: return "i32";
    case Scalar::i64: return "i64";
    case Scalar::f32: return "f32";
    case Scalar::f64: return "f64";
  }
  return "?";
}

std::string name_of(Type type) { return type.lanes == 1 ? name_of(type.scalar) : fmt::format("{}x{}", name_of(type.scalar), type.lanes); }

const char* name_of(Prefetch what) {
  switch (what) {
    case Prefetch::l1: return "prefetch";
    case Prefetch::l2: return "prefetch to second cache";
    case Prefetch::store: return "prefetch for store";
  }
  return "?";
}

const char* name_of(UnaryOp op) {
  switch (op) {
    case UnaryOp::negate: return "-";
    case UnaryOp::absolute: return "abs";
    case UnaryOp::floor: return "floor";
    case UnaryOp::round_even: return "round_even";
    case UnaryOp::sqrt: return "sqrt";
    case UnaryOp::reciprocal_sqrt: return "rsqrt";
    case UnaryOp::exp: return "exp";
    case UnaryOp::log: return "log";
    case UnaryOp::log1p: return "log1p";
    case UnaryOp::tanh: return "tanh";
    case UnaryOp::sigmoid: return "sigmoid";
    case UnaryOp::erf: return "erf";
    case UnaryOp::logical_not: return "not ";
  }
  return "?";
}

// How an operation is written, and how tightly it binds: 0 for function calls.
struct Spelling {
  const char* text;
  int precedence;
};
Spelling spelling_of(BinaryOp op) {
  switch (op) {
    case BinaryOp::add: return {"+", 5};
    case BinaryOp::subtract: return {"-", 5};
    case BinaryOp::multiply: return {"*", 6};
    case BinaryOp::divide: return {"/", 6};
    case BinaryOp::modulo: return {"%", 6};
    case BinaryOp::minimum: return {"min", 0};
    case BinaryOp::maximum: return {"max", 0};
    case BinaryOp::less: return {"<", 3};
    case BinaryOp::less_equal: return {"<=", 3};
    case BinaryOp::equal: return {"==", 3};
    case BinaryOp::not_equal: return {"!=", 3};
    case BinaryOp::logical_and: return {"and", 2};
    case BinaryOp::logical_or: return {"or", 1};
    case BinaryOp::bit_and: return {"bit_and", 0};
    case BinaryOp::bit_or: return {"bit_or", 0};
    case BinaryOp::bit_xor: return {"bit_xor", 0};
    case BinaryOp::shift_left: return {"<<", 4};
    case BinaryOp::shift_right_logical: return {">>", 4};
  }
  return {"?", 0};
}
constexpr int unary_precedence = 7;

std::string number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", static_cast<float>(value) == value ? static_cast<double>(static_cast<float>(value)) : value);
  if (static_cast<float>(value) == value) text = fmt::format("{}", static_cast<float>(value));
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

class Printer {
 public:
  explicit Printer(const Program* program) : program_(program) {}

  std::string expression(const Expr& x, int outer = 0) const {
    switch (x->kind) {
      case ExprKind::integer:
        if (x->type.scalar == Scalar::boolean) return x->integer_value ? "true" : "false";
        return x->type.scalar == Scalar::i32 ? fmt::format("i32({})", x->integer_value) : fmt::format("{}", x->integer_value);
      case ExprKind::real: return x->type.scalar == Scalar::f64 ? fmt::format("f64({})", number(x->real_value)) : number(x->real_value);
      case ExprKind::variable: return x->name;
      case ExprKind::unary: return unary(*x, outer);
      case ExprKind::binary: return binary(*x, outer);
      case ExprKind::fma: return fmt::format("fma({}, {}, {})", expression(x->args[0]), expression(x->args[1]), expression(x->args[2]));
      case ExprKind::select:
        return fmt::format("select({}, {}, {})", expression(x->args[0]), expression(x->args[1]), expression(x->args[2]));
      case ExprKind::cast: return fmt::format("{}({})", name_of(x->type.scalar), expression(x->args[0]));
      case ExprKind::load: return place(buffer(x->buffer), x->args[0], x->args.size() > 1 ? x->args[1] : Expr());
      case ExprKind::ramp: return fmt::format("ramp({}, {}, {})", expression(x->args[0]), x->integer_value, x->type.lanes);
      case ExprKind::broadcast: return fmt::format("broadcast({}, {})", expression(x->args[0]), x->type.lanes);
      case ExprKind::read_register: return place(x->name, x->args[0], {});
      case ExprKind::reduce_lanes:
        return fmt::format("reduce_{}({})", x->binary_op == BinaryOp::add ? "add" : spelling_of(x->binary_op).text, expression(x->args[0]));
    }
    return "?";
  }

  void statement(const Stmt& s, int depth) {
    switch (s->kind) {
      case StmtKind::block:
        for (const Stmt& inner : s->body) statement(inner, depth);
        break;
      case StmtKind::loop: {
        std::string step = s->step == 1 ? "" : fmt::format(" step {}", s->step);
        line(depth, fmt::format("{} {} in {}..{}{} {{", s->loop_kind == LoopKind::unrolled ? "unrolled" : "for", s->name,
                                expression(s->begin), expression(s->end), step));
        body(s->body, depth);
        break;
      }
      case StmtKind::store:
        line(depth, fmt::format("{}{} = {}", s->streamed ? "stream " : "", place(buffer(s->buffer), s->index, s->predicate),
                                expression(s->value)));
        break;
      case StmtKind::let: line(depth, fmt::format("let {} = {}", s->name, expression(s->value))); break;
      case StmtKind::declare_registers: line(depth, fmt::format("registers {}: {}[{}]", s->name, name_of(s->type), s->count)); break;
      case StmtKind::write_register: line(depth, fmt::format("{} = {}", place(s->name, s->index, {}), expression(s->value))); break;
      case StmtKind::conditional:
        line(depth, fmt::format("if{} {} {{", s->frequency == Frequency::rare ? " rarely" : "", expression(s->predicate)));
        body(s->body, depth);
        break;
      case StmtKind::prefetch: line(depth, fmt::format("{} {}", name_of(s->prefetch), place(buffer(s->buffer), s->index, {}))); break;
    }
  }

  void program(const Program& p) {
    line(0, p.batch ? fmt::format("program {} (N = {})", p.name, *p.batch) : fmt::format("program {}", p.name));
    for (const Buffer& b : p.buffers) line(1, declaration(b));
    for (const Kernel& k : p.kernels) kernel(k);
    if (p.arena_bytes || p.arena_bytes_per_example) line(1, "arena: " + placement(p.arena_bytes, p.arena_bytes_per_example) + " bytes");
    if (p.scratch_bytes) line(1, fmt::format("scratch: {} bytes a thread", p.scratch_bytes));
  }

  std::string take() { return std::move(text_); }

 private:
  std::string unary(const ExprNode& x, int outer) const {
    bool prefix = x.unary_op == UnaryOp::negate || x.unary_op == UnaryOp::logical_not;
    if (!prefix) return fmt::format("{}({})", name_of(x.unary_op), expression(x.args[0]));
    std::string text = name_of(x.unary_op) + expression(x.args[0], unary_precedence);
    return outer >= unary_precedence ? "(" + text + ")" : text;
  }

  std::string binary(const ExprNode& x, int outer) const {
    auto [name, precedence] = spelling_of(x.binary_op);
    if (precedence == 0) return fmt::format("{}({}, {})", name, expression(x.args[0]), expression(x.args[1]));
    auto negative = x.binary_op == BinaryOp::add && x.args[1]->type.scalar == Scalar::i64 && x.args[1]->kind == ExprKind::integer &&
                    x.args[1]->integer_value < 0;
    std::string text = negative ? fmt::format("{} - {}", expression(x.args[0], precedence - 1), -x.args[1]->integer_value)
                                : fmt::format("{} {} {}", expression(x.args[0], precedence - 1), name, expression(x.args[1], precedence));
    return outer >= precedence ? "(" + text + ")" : text;
  }

  std::string place(const std::string& target, const Expr& index, const Expr& predicate) const {
    if (!predicate) return fmt::format("{}[{}]", target, expression(index));
    return fmt::format("{}[{} where {}]", target, expression(index), expression(predicate));
  }

  std::string buffer(int id) const {
    bool known = program_ && id >= 0 && id < static_cast<int>(program_->buffers.size());
    return known ? program_->buffers[id].name : fmt::format("buffer{}", id);
  }

  static std::string placement(int64_t fixed, int64_t per_example) {
    if (!per_example) return fmt::format("{}", fixed);
    return fixed ? fmt::format("{} + {}*N", fixed, per_example) : fmt::format("{}*N", per_example);
  }

  static std::string declaration(const Buffer& b) {
    std::string elements = !b.elements.batch        ? fmt::format("{}", b.elements.factor)
                           : b.elements.factor == 1 ? "N"
                                                    : fmt::format("{}*N", b.elements.factor);
    std::string where;
    switch (b.kind) {
      case BufferKind::argument: where = fmt::format("argument {}", b.argument); break;
      case BufferKind::constant: where = "constant"; break;
      case BufferKind::arena: where = "arena at " + placement(b.offset, b.batch_offset); break;
      case BufferKind::scratch: where = fmt::format("scratch at {}", b.offset); break;
    }
    return fmt::format("buffer {}: {}[{}], {}", b.name, name_of(b.scalar), elements, where);
  }

  void kernel(const Kernel& k) {
    auto names = [&](const std::vector<int>& ids) {
      std::string text;
      for (int id : ids) text += (text.empty() ? "" : ", ") + buffer(id);
      return text.empty() ? "nothing" : text;
    };
    line(1, fmt::format("kernel {} reads {} writes {}", k.name, names(k.reads), names(k.writes)));
    const std::string run = k.first_task_variable.empty() ? "" : fmt::format(", in runs from {}", k.first_task_variable);
    line(2, fmt::format("task {} in 0..{}{} {{", k.task_variable, expression(k.tasks), run));
    statement(k.body, 3);
    line(2, "}");
  }

  void body(const std::vector<Stmt>& statements, int depth) {
    for (const Stmt& s : statements) statement(s, depth + 1);
    line(depth, "}");
  }

  void line(int depth, const std::string& text) { text_ += std::string(2 * depth, ' ') + text + "\n"; }

  const Program* program_;
  std::string text_;
};

}  // namespace

std::string to_string(const Expr& x, const Program* program) { return Printer(program).expression(x); }

std::string to_string(const Program& program) {
  Printer printer(&program);
  printer.program(program);
  return printer.take();
}

}  // namespace bnc::loops
