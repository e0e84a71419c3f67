// Checks of loop programs: types, lanes, scopes, buffer numbers, declared reads and writes.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <unordered_set>
#include <utility>

#include "ir/diagnostic.h"
#include "ir/loops.h"
#include "ir/loops_values.h"

namespace bnc::loops {

namespace {

class Verifier {
 public:
  Verifier(const Program& program, const Kernel& kernel) : program_(program), kernel_(kernel) {}

  void run() {
    lists();
    variables_[batch_variable] = {Type{Scalar::i64, 1}, program_.batch.has_value(),
                                  program_.batch ? share(Progression{*program_.batch, {}}) : nullptr};
    require(kernel_.tasks && kernel_.tasks->type == Type{Scalar::i64, 1}, "the number of tasks is an i64");
    expression(kernel_.tasks);
    variables_[kernel_.task_variable] = {Type{Scalar::i64, 1}, false, counted(Expr(0), kernel_.tasks, 1)};
    if (!kernel_.first_task_variable.empty()) variables_[kernel_.first_task_variable] = {Type{Scalar::i64, 1}, false};
    require(kernel_.body != nullptr, "it has a body");
    statement(kernel_.body);
    for (int id : streamed_)
      require(!read_often_.contains(id), "what it streams past the caches it reads in rare branches alone, so not '{}'", buffer(id).name);
  }

  // Scratch is of constant size and belongs to one kernel.
  void scratch(std::map<int, const Kernel*>& owners) const {
    for (const std::vector<int>* ids : {&kernel_.reads, &kernel_.writes}) {
      for (int id : *ids) {
        const Buffer& listed = buffer(id);
        if (listed.kind != BufferKind::scratch) continue;
        require(!listed.elements.batch, "the scratch buffer '{}' is of constant size", listed.name);
        require(owners.emplace(id, &kernel_).first->second == &kernel_, "the scratch buffer '{}' belongs to one kernel", listed.name);
      }
    }
  }

 private:
  using SharedProgression = std::shared_ptr<const Progression>;
  static SharedProgression share(std::optional<Progression> x) { return x ? std::make_shared<const Progression>(std::move(*x)) : nullptr; }

  // `fixed`: the value is known once loops are unrolled. `values`: those it takes, where that is certain.
  struct Variable {
    Type type;
    bool fixed;
    SharedProgression values = {};
  };
  struct Registers {
    Type type;
    int64_t count;
    int number;   // of the declaration
  };

  // The message is put together only where the rule is broken.
  template <typename... Values>
  void require(bool condition, fmt::format_string<Values...> rule, Values&&... values) const {
    if (condition) return;
    throw InternalError(fmt::format("loop program '{}', kernel '{}': {}{}", program_.name, kernel_.name,
                                    fmt::format(rule, std::forward<Values>(values)...), place()));
  }

  std::string place() const { return stored_ < 0 ? "" : fmt::format(" (store to '{}')", program_.buffers[stored_].name); }

  // What it reads and writes, before anybody looks it up.
  void lists() const {
    for (const std::vector<int>* ids : {&kernel_.reads, &kernel_.writes}) {
      for (int id : *ids) buffer(id);
    }
  }

  std::optional<Progression> values_of(const Expr& x) const {
    return progression_of(x, [&](const std::string& name) {
      auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.values.get();
    });
  }

  // The values of a variable that counts from `begin` to below `end`, where it takes the same number of steps each time.
  SharedProgression counted(const Expr& begin, const Expr& end, int64_t step) {
    const auto first = values_of(begin), length = difference(values_of(end), first);
    if (!length || !length->is_constant() || length->constant <= 0) return nullptr;
    return share(counters_.count(*first, step, (length->constant - 1) / step));
  }

  void statements(const std::vector<Stmt>& body) {
    auto variables = variables_;
    auto registers = registers_;
    for (const Stmt& s : body) statement(s);
    variables_ = std::move(variables);
    registers_ = std::move(registers);
  }

  void declare(const std::string& name, Variable variable) {
    require(!name.empty() && !variables_.contains(name), "variable '{}' is declared once", name);
    variables_[name] = variable;
  }

  void statement(const Stmt& s) {
    require(s != nullptr, "no statement is empty");
    checked_.clear();
    switch (s->kind) {
      case StmtKind::block: statements(s->body); break;
      case StmtKind::loop: loop(*s); break;
      case StmtKind::store: store(*s); break;
      case StmtKind::let:
        expression(s->value);
        declare(s->name, {s->value->type, fixed(s->value), share(values_of(s->value))});
        break;
      case StmtKind::declare_registers:
        require(!registers_.contains(s->name) && s->count > 0 && s->type.lanes > 0, "register array '{}' is declared once and not empty",
                s->name);
        registers_[s->name] = {s->type, s->count, declarations_++};
        break;
      case StmtKind::write_register:
        expression(s->value);
        register_element(s->name, s->index, s->value->type);
        written_.insert(registers_.at(s->name).number);
        break;
      case StmtKind::conditional:
        expression(s->predicate);
        require(s->predicate->type == Type{Scalar::boolean, 1}, "a condition is one boolean");
        rare_ += s->frequency == Frequency::rare;
        perhaps(s->body);
        rare_ -= s->frequency == Frequency::rare;
        break;
      case StmtKind::prefetch: prefetch(*s); break;
    }
  }

  void loop(const StmtNode& s) {
    expression(s.begin);
    expression(s.end);
    require(s.begin->type == Type{Scalar::i64, 1} && s.end->type == Type{Scalar::i64, 1}, "the bounds of loop '{}' are of type i64",
            s.name);
    require(s.step > 0, "the step of loop '{}' is positive", s.name);
    bool unrolled = s.loop_kind == LoopKind::unrolled;
    require(!unrolled || (fixed(s.begin) && fixed(s.end)), "the unrolled loop '{}' has constant bounds", s.name);
    auto outer = variables_;
    const SharedProgression values = counted(s.begin, s.end, s.step);
    declare(s.name, {Type{Scalar::i64, 1}, unrolled, values});
    if (values) statements(s.body);
    else perhaps(s.body);
    variables_ = std::move(outer);
  }

  // What may never be run.
  void perhaps(const std::vector<Stmt>& body) {
    const bool outside = std::exchange(certain_, false);
    statements(body);
    certain_ = outside;
  }

  // Only where it is certain that the access is made with all values of the index.
  void extent(const Expr& index, const Expr& predicate, const Buffer& accessed) const {
    if (!certain_ || predicate || (accessed.elements.batch && !program_.batch)) return;
    const bool vector = index->kind == ExprKind::ramp || index->kind == ExprKind::broadcast;
    const auto values = values_of(vector ? index->args[0] : index);
    const auto ends = values ? counters_.ends(*values) : std::nullopt;
    if (!ends) return;
    const int64_t reach = index->kind == ExprKind::ramp ? index->integer_value * (index->type.lanes - 1) : 0;
    const int64_t low = ends->first + std::min<int64_t>(reach, 0), high = ends->second + std::max<int64_t>(reach, 0),
                  elements = accessed.elements.at(program_.batch.value_or(1));
    require(low >= 0 && high < elements, "the index {} into '{}' lies inside: it goes from {} to {} of {} elements",
            to_string(index, &program_), accessed.name, low, high, elements);
  }

  void store(const StmtNode& s) {
    const Buffer& target = buffer(s.buffer);
    stored_ = s.buffer;
    expression(s.index);
    expression(s.value);
    require(target.kind != BufferKind::constant, "constants are never written");
    require(std::ranges::count(kernel_.writes, s.buffer) > 0, "it lists every buffer it writes");
    if (s.streamed) streamed_.insert(s.buffer);
    require(s.index->type.scalar == Scalar::i64 || s.index->type.scalar == Scalar::i32, "an index is an integer");
    require(s.value->type == Type{target.scalar, s.index->type.lanes},
            "a stored value has the buffer's type and as many lanes as the index");
    if (s.predicate) {
      expression(s.predicate);
      require(s.predicate->type == Type{Scalar::boolean, s.index->type.lanes}, "a predicate has a boolean for each lane");
    }
    extent(s.index, s.predicate, target);
    stored_ = -1;
  }

  void prefetch(const StmtNode& s) {
    buffer(s.buffer);
    expression(s.index);
    require(s.index->type == Type{Scalar::i64, 1}, "a prefetch asks for one element");
    const std::vector<int>& list = s.prefetch == Prefetch::store ? kernel_.writes : kernel_.reads;
    require(std::ranges::count(list, s.buffer) > 0, "a buffer that is prefetched is one that is used");
  }

  const Buffer& buffer(int id) const {
    require(id >= 0 && id < static_cast<int>(program_.buffers.size()), "buffer {} exists", id);
    return program_.buffers[id];
  }

  void register_element(const std::string& name, const Expr& index, Type type) {
    auto found = registers_.find(name);
    require(found != registers_.end(), "register array '{}' is declared before its use", name);
    require(found->second.type == type, "elements of register array '{}' keep its type", name);
    expression(index);
    if (!fixed(index)) require(false, "the index {} into register array '{}' is constant once unrolled", to_string(index), name);
    if (auto value = as_integer(index))
      require(*value >= 0 && *value < found->second.count, "index {} lies in register array '{}'", *value, name);
  }

  bool fixed(const Expr& x) const {
    std::unordered_set<const ExprNode*> seen;
    return fixed(x, seen);
  }

  bool fixed(const Expr& x, std::unordered_set<const ExprNode*>& seen) const {
    if (!seen.insert(x.get()).second) return true;  // decided, and not against it
    if (x->kind == ExprKind::variable) {
      auto found = variables_.find(x->name);
      return found != variables_.end() && found->second.fixed;
    }
    if (x->kind == ExprKind::load || x->kind == ExprKind::read_register) return false;
    return std::ranges::all_of(x->args, [&](const Expr& arg) { return fixed(arg, seen); });
  }

  void expression(const Expr& x) {
    require(static_cast<bool>(x), "no expression is empty");
    if (!checked_.insert(x.get()).second) return;
    for (const Expr& arg : x->args) {
      if (x->kind != ExprKind::read_register) expression(arg);
    }
    const auto [least, most] = operands_of(x->kind);
    require(x->args.size() >= least && x->args.size() <= most, "an expression has its operands: {} of kind {}", x->args.size(),
            static_cast<int>(x->kind));
    auto arg = [&](size_t i) { return x->args[i]->type; };
    auto rule = [&](bool condition, const char* text) {
      if (!condition) require(false, "{}: {}", text, to_string(x, &program_));
    };
    Type type = x->type;
    rule(type.lanes >= 1, "a value has at least one lane");
    switch (x->kind) {
      case ExprKind::integer: rule(!type.is_float() && type.lanes == 1, "an integer constant is a scalar integer"); break;
      case ExprKind::real: rule(type.is_float() && type.lanes == 1, "a real constant is a scalar float"); break;
      case ExprKind::variable: {
        auto found = variables_.find(x->name);
        require(found != variables_.end(), "variable '{}' is declared before its use", x->name);
        rule(found->second.type == type, "a variable keeps its type");
        break;
      }
      case ExprKind::unary: unary(*x); break;
      case ExprKind::binary: binary(*x); break;
      case ExprKind::fma:
        rule(type.is_float() && arg(0) == type && arg(1) == type && arg(2) == type, "fma takes floats of its own type");
        break;
      case ExprKind::select:
        rule(arg(0) == type.with_lanes(type.lanes) || (arg(0).scalar == Scalar::boolean && arg(0).lanes == type.lanes),
             "a select has a boolean for each lane");
        rule(arg(1) == type && arg(2) == type, "both values of a select have its type");
        break;
      case ExprKind::cast: rule(arg(0).lanes == type.lanes, "a cast keeps the lanes"); break;
      case ExprKind::load: load(*x); break;
      case ExprKind::ramp:
        rule(arg(0) == type.with_lanes(1) && !type.is_float() && type.lanes > 1, "a ramp counts up from a scalar integer");
        break;
      case ExprKind::broadcast: rule(arg(0) == type.with_lanes(1), "a broadcast repeats a scalar"); break;
      case ExprKind::read_register:
        register_element(x->name, x->args[0], type);
        require(written_.contains(registers_.at(x->name).number), "register array '{}' is written before it is read", x->name);
        break;
      case ExprKind::reduce_lanes:
        rule(arg(0).scalar == type.scalar && type.lanes == 1, "a reduction over lanes gives a scalar");
        rule(x->binary_op == BinaryOp::add || x->binary_op == BinaryOp::minimum || x->binary_op == BinaryOp::maximum,
             "a reduction adds, or finds an extremum");
        break;
    }
  }

  // The least and the greatest number of operands.
  static std::pair<size_t, size_t> operands_of(ExprKind kind) {
    switch (kind) {
      case ExprKind::integer: case ExprKind::real: case ExprKind::variable: return {0, 0};
      case ExprKind::binary: return {2, 2};
      case ExprKind::fma: case ExprKind::select: return {3, 3};
      case ExprKind::load: return {1, 2};
      default: return {1, 1};
    }
  }

  void unary(const ExprNode& x) {
    Type type = x.args.at(0)->type;
    require(type == x.type, "a unary operation keeps its type");
    bool any = x.unary_op == UnaryOp::negate || x.unary_op == UnaryOp::absolute;
    if (x.unary_op == UnaryOp::logical_not) require(type.scalar == Scalar::boolean, "'not' takes booleans");
    else require(type.is_float() || (any && type.scalar != Scalar::boolean), "a floating-point function takes floats");
  }

  void binary(const ExprNode& x) {
    Type a = x.args.at(0)->type;
    require(a == x.args.at(1)->type, "operands have one type");
    bool comparison = is_comparison(x.binary_op);
    require(x.type == (comparison ? Type{Scalar::boolean, a.lanes} : a), "the result of a binary operation has the type of its operands");
    const bool divides = x.binary_op == BinaryOp::modulo || (x.binary_op == BinaryOp::divide && !a.is_float());
    const auto divisor = divides ? as_integer(x.args[1]) : std::nullopt;
    require(!divisor || *divisor > 0, "a divisor is positive, not {}", divisor.value_or(0));
    switch (x.binary_op) {
      case BinaryOp::logical_and: case BinaryOp::logical_or: require(a.scalar == Scalar::boolean, "'and' and 'or' take booleans"); break;
      case BinaryOp::modulo:
      case BinaryOp::bit_and:
      case BinaryOp::bit_or:
      case BinaryOp::bit_xor:
      case BinaryOp::shift_left:
      case BinaryOp::shift_right_logical:
        require(!a.is_float() && a.scalar != Scalar::boolean, "modulo, shifts and bitwise operations take integers");
        break;
      default: require(comparison || a.scalar != Scalar::boolean, "arithmetic takes numbers");
    }
  }

  void load(const ExprNode& x) {
    const Buffer& source = buffer(x.buffer);
    require(x.type.scalar == source.scalar, "a load from '{}' has its element type", source.name);
    require(source.kind == BufferKind::constant ||
                std::ranges::count(kernel_.reads, x.buffer) + std::ranges::count(kernel_.writes, x.buffer) > 0,
            "it lists every buffer it reads, so also '{}'", source.name);
    if (rare_ == 0) read_often_.insert(x.buffer);
    Type index = x.args.at(0)->type;
    require((index.scalar == Scalar::i64 || index.scalar == Scalar::i32) && index.lanes == x.type.lanes,
            "the index into '{}' is an integer for each lane", source.name);
    if (x.args.size() > 1) require(x.args[1]->type == Type{Scalar::boolean, x.type.lanes}, "a predicate has a boolean for each lane");
    require(source.kind != BufferKind::constant || source.data.size() == static_cast<size_t>(source.elements.factor),
            "the constant '{}' has {} numbers, not {}", source.name, source.elements.factor, source.data.size());
    extent(x.args[0], x.args.size() > 1 ? x.args[1] : Expr(), source);
  }

  const Program& program_;
  const Kernel& kernel_;
  std::map<std::string, Variable> variables_;
  std::map<std::string, Registers> registers_;
  Counters counters_;
  bool certain_ = true;         // what is looked at is run by every task
  int declarations_ = 0;        // of register arrays
  std::unordered_set<int> written_;   // those of them, up to here
  int stored_ = -1;  // the buffer of the store that is looked at
  std::set<int> streamed_, read_often_;   // buffers stored past the caches, and read outside of rare branches
  int rare_ = 0;     // of the conditionals around
  std::unordered_set<const ExprNode*> checked_;  // in this statement
};

void verify_buffers(const Program& program) {
  std::unordered_set<int> arguments;
  const auto require = [&](bool condition, const Buffer& buffer, const char* rule) {
    if (!condition) throw InternalError(fmt::format("loop program '{}': buffer '{}' {}", program.name, buffer.name, rule));
  };
  for (const Buffer& buffer : program.buffers) {
    require(buffer.elements.factor >= 0, buffer, "has no negative number of elements");
    const bool is_argument = buffer.kind == BufferKind::argument, is_constant = buffer.kind == BufferKind::constant;
    require(!is_argument || (buffer.argument >= 0 && arguments.insert(buffer.argument).second), buffer,
            "has a place of its own among the arguments");
    require(!is_constant || !buffer.elements.batch, buffer, "is a constant of constant size");
    require(!is_constant || buffer.scalar == Scalar::f32 || buffer.scalar == Scalar::i32, buffer, "is a constant of f32 or i32");
  }
}

}  // namespace

void verify(const Program& program) {
  verify_buffers(program);
  std::map<int, const Kernel*> owners;  // of scratch
  for (const Kernel& kernel : program.kernels) {
    Verifier verifier(program, kernel);
    verifier.run();
    verifier.scratch(owners);
  }
}

}  // namespace bnc::loops
