// Expressions: compile-time values are computed, operators on tensors become nodes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "ir/hints.h"
#include "ir/number_range.h"

namespace bnc {

using namespace ast;
using Kind = Expression::Kind;

namespace {

const Strings functions = {"floor", "length", "max", "min"};

// The statement that gives `name` a value somewhere in these statements, or null.
const Name* assignment_of(const std::string& name, const std::vector<Statement>& statements) {
  for (const Statement& statement : statements) {
    for (const Name& each : statement.names)
      if (each.text == name && (statement.kind == Statement::Kind::assign || statement.kind == Statement::Kind::declare)) return &each;
    if (const Name* found = assignment_of(name, statement.body)) return found;
    if (const Name* found = assignment_of(name, statement.otherwise)) return found;
  }
  return nullptr;
}

}  // namespace

Term Elaborator::evaluate(const Expression& expression, const Strings& stems) {
  DepthGuard guard(*this, expression.range);
  Term term = compute_value(expression, stems);
  if (!term.is<Term::List>()) return term;
  const int64_t size = term.size();
  if (size > max_list) fail_at(expression.range, fmt::format("this list has more than {} elements", max_list));
  spend(expression.range, size);
  return term;
}

Term Elaborator::compute_value(const Expression& expression, const Strings& stems) {
  switch (expression.kind) {
    case Kind::boolean: return {expression.boolean};
    case Kind::integer: return {expression.integer};
    case Kind::number: return {expression.number};
    case Kind::name: return evaluate_name(expression);
    case Kind::call: return evaluate_call(expression, stems);
    case Kind::list: return evaluate_list(expression);
    case Kind::unary: return evaluate_unary(expression, stems);
    case Kind::binary: return evaluate_binary(expression, stems);
    case Kind::index: return evaluate_index(expression);
    case Kind::conditional: return evaluate_conditional(expression, stems);
  }
  throw Abandon{};
}

Term Elaborator::evaluate_list(const Expression& expression) {
  Term::List list;
  for (const ExpressionPtr& child : expression.children) list.push_back(evaluate(*child));
  return {std::move(list)};
}

Term Elaborator::evaluate_unary(const Expression& expression, const Strings& stems) {
  const Expression& operand = *expression.children[0];
  if (expression.text == "not") return {!condition(operand, "not")};
  Term term = evaluate(operand);
  if (const Value* value = term.get_if<Value>()) return {apply("neg", {*value}, expression.range, stems)};
  return negate(term, expression.range, graph_.batch_symbol);
}

Term Elaborator::evaluate_binary(const Expression& expression, const Strings& stems) {
  const Expression &first = *expression.children[0], &second = *expression.children[1];
  const std::string& op = expression.text;
  if (op == "and") return {condition(first, op) && condition(second, op)};
  if (op == "or") return {condition(first, op) || condition(second, op)};
  bool compares = op == "==" || op == "!=";
  // A target beside a tensor has its type.
  for (const auto& [target, other] : {std::pair(&first, &second), std::pair(&second, &first)})
    if (!compares && is_target(*target) && !is_target(*other))
      if (const Term term = evaluate(*other); const Value* value = term.get_if<Value>()) make_target(*target, value->type());
  Term left = compares ? evaluate_symbol(first, {}) : evaluate(first), right = compares ? evaluate_symbol(second, {}) : evaluate(second);
  if (!left.is<Value>() && !right.is<Value>()) return compute(op, left, right, expression.range, graph_.batch_symbol);
  static const std::map<std::string, std::string> ops = {{"+", "add"}, {"-", "sub"}, {"*", "mul"}, {"/", "div"}};
  auto found = ops.find(op);
  if (found == ops.end()) fail_at(expression.range, fmt::format("`{}` works on compile-time values, not on tensors", op));
  auto operand = [&](const Term& term, const Expression& source) {
    if (const Value* value = term.get_if<Value>()) return *value;
    if (!term.is_number())
      fail_at(source.range,
              fmt::format("`{}` of a tensor needs a tensor or a number, but this is {}", op, describe(term, graph_.batch_symbol)));
    if (overflows_f32(term.number()))
      fail_at(source.range, fmt::format("this number beside a tensor is {}", as_computed_with(term.number())),
              "write `inf` where infinity is meant");
    builder_.at(source.range);
    const Value& other = left.is<Value>() ? *left.get_if<Value>() : *right.get_if<Value>();
    bool integer = other.type().dtype == DType::i32 && term.is<int64_t>();
    return builder_.constant(term.number(), {integer ? DType::i32 : DType::f32, {}});
  };
  Value a = operand(left, first), b = operand(right, second);
  return {apply(found->second, {a, b}, expression.range, stems)};
}

Term Elaborator::evaluate_index(const Expression& expression) {
  const Expression &of = *expression.children[0], &at = *expression.children[1];
  Term term = evaluate(of), index = evaluate(at);
  const Term::List* list = term.get_if<Term::List>();
  if (!list) {
    fail_at(of.range, fmt::format("only lists can be indexed, but this is {}", describe(term, graph_.batch_symbol)),
            term.is<Value>() ? "`slice` cuts a tensor; `x.shape[0]` is its first dimension" : "");
  }
  const int64_t* position = index.get_if<int64_t>();
  if (!position) fail_at(at.range, fmt::format("an index is an integer, but this is {}", describe(index, graph_.batch_symbol)));
  int64_t size = static_cast<int64_t>(list->size());
  if (*position < -size || *position >= size) {
    fail_at(at.range, fmt::format("index {} is out of range: the list has {}", *position, counted(list->size(), "element")),
            size == 0 ? "" : fmt::format("an index is between {} and {}", -size, size - 1));
  }
  return (*list)[*position < 0 ? *position + size : *position];
}

Term Elaborator::evaluate_conditional(const Expression& expression, const Strings& stems) {
  return evaluate(*expression.children[condition(*expression.children[0], "if") ? 1 : 2], stems);
}

Term Elaborator::evaluate_call(const Expression& call, const Strings& stems) {
  if (std::find(functions.begin(), functions.end(), call.text) != functions.end()) return call_function(call);
  Term::List values = this->call(call, stems);
  const ast::Function* block = find_block(call.text);
  if (block && values.size() != 1) {
    Diagnostic diagnostic{
        Severity::error,
        call.range,
        fmt::format("block `{}` returns {}; give each a name: `a, b = {}(...)`", call.text, counted(values.size(), "value"), call.text),
        {}};
    diagnostic.note("the block stands here", block->range);
    throw CompileError(std::move(diagnostic));
  }
  if (values.empty() || values[0].is<Term::Unknown>()) throw Abandon{};
  return std::move(values[0]);
}

// floor(number), length(list), and min and max of numbers
Term Elaborator::call_function(const Expression& call) {
  Term::List terms;
  for (const Argument& argument : call.arguments) {
    if (!argument.name.empty()) fail_at(argument.name_range, fmt::format("`{}` has no argument `{}`", call.text, argument.name));
    terms.push_back(evaluate(*argument.value));
  }
  bool one = call.text == "floor" || call.text == "length";
  if (one ? terms.size() != 1 : terms.empty())
    fail_at(call.range, fmt::format("`{}` takes {}", call.text, one ? "one argument" : "at least one argument"));
  if (call.text == "length") {
    if (const Term::List* list = terms[0].get_if<Term::List>()) return {static_cast<int64_t>(list->size())};
    fail_at(call.range, fmt::format("`length` is that of a list, but this is {}", describe(terms[0], graph_.batch_symbol)));
  }
  for (size_t k = 0; k < terms.size(); ++k)
    if (!terms[k].is_number())
      fail_at(call.arguments[k].value->range,
              fmt::format("`{}` works on numbers, but this is {}", call.text, describe(terms[k], graph_.batch_symbol)));
  if (call.text == "floor") {
    if (terms[0].is<int64_t>()) return terms[0];
    double floor = std::floor(terms[0].number());
    if (!(std::abs(floor) < 9.2e18)) fail_at(call.range, "the result does not fit in a 64-bit integer");
    return {static_cast<int64_t>(floor)};
  }
  auto less = [](const Term& a, const Term& b) { return a.number() < b.number(); };
  return call.text == "min" ? *std::min_element(terms.begin(), terms.end(), less) : *std::max_element(terms.begin(), terms.end(), less);
}

std::optional<Term> Elaborator::look_up(const std::string& name, const SourceRange& range) {
  if (auto found = scope_->variables.find(name); found != scope_->variables.end()) {
    if (found->second.is<Term::Unknown>()) throw Abandon{};
    if (found->second.is<Term::List>()) spend(range, found->second.size());
    return found->second;
  }
  if (auto found = parameters_.find(scope_->prefix + name); found != parameters_.end()) return Term{found->second};
  return trained_ && !scope_->caller ? look_up_in_network(name, range) : std::nullopt;
}

Term Elaborator::evaluate_name(const Expression& expression) {
  const std::string& name = expression.text;
  if (std::optional<Term> term = look_up(name, expression.range)) return *term;
  if (name.ends_with(".shape")) {
    std::string of = name.substr(0, name.size() - 6);
    std::optional<Term> term = look_up(of, expression.range);
    if (const Value* value = term ? term->get_if<Value>() : nullptr) return Term::of(value->type().shape);
    if (term) fail_at(expression.range, fmt::format("only tensors have a shape, but `{}` is {}", of, describe(*term, graph_.batch_symbol)));
  }
  if (name == "inf") return {std::numeric_limits<double>::infinity()};
  if (name == "nan") return {std::numeric_limits<double>::quiet_NaN()};
  if (symbols_.contains(name) || find_op(name) || find_block(name)) return {Symbol{name, {}}};
  unknown_name(expression);
}

void Elaborator::unknown_name(const Expression& expression) {
  const std::string& name = expression.text;
  Diagnostic diagnostic{Severity::error, expression.range, fmt::format("unknown name `{}`", name), {}};
  const Name* later = scope_->function ? assignment_of(name, scope_->function->body) : nullptr;
  if (later) {
    diagnostic.text = fmt::format("`{}` has no value yet", name);
    diagnostic.note("it gets one here", later->range);
    throw CompileError(std::move(diagnostic));
  }
  Strings known;
  for (const auto& [variable, term] : scope_->variables) known.push_back(variable);
  for (const auto& [path, value] : parameters_)
    if (path.starts_with(scope_->prefix)) known.push_back(path.substr(scope_->prefix.size()));
  std::string help = hint_or(Hint::Place::value, name.starts_with("self.") ? "self" : name, suggestion(name, known));
  if (help.empty()) help = suggestion(name, Strings(symbols_.begin(), symbols_.end()));
  if (help.empty() && trained_)
    help =
        "a target's type follows where it goes into a loss op, or stands beside a tensor in + - * /; else make it an input of the network";
  if (!help.empty()) diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

bool Elaborator::condition(const Expression& expression, const std::string& of) {
  Term term = evaluate(expression);
  if (const bool* value = term.get_if<bool>()) return *value;
  fail_at(expression.range, fmt::format("`{}` needs true or false, but this is {}", of, describe(term, graph_.batch_symbol)),
          term.is<Value>() ? "conditions are decided at compile time; tensors have their values only at run time" : "");
}

Value Elaborator::tensor(const Term& term, const SourceRange& range, const std::string& what) {
  if (const Value* value = term.get_if<Value>()) return *value;
  if (term.is<Term::Unknown>()) throw Abandon{};
  const Symbol* symbol = term.get_if<Symbol>();
  fail_at(range, fmt::format("{} must be a tensor, but this is {}", what, describe(term, graph_.batch_symbol)),
          symbol && find_op(symbol->name) ? fmt::format("to apply the op, write `{}(...)`", symbol->name)
          : term.is_number()              ? "a number becomes a tensor by `constant(...)`"
                                          : "");
}

Term Elaborator::evaluate_symbol(const Expression& expression, const Strings& choices) {
  bool chosen = std::find(choices.begin(), choices.end(), expression.text) != choices.end();
  if (expression.kind == Kind::call && (chosen || (!choices.empty() && !find_op(expression.text) && !find_block(expression.text) &&
                                                   !look_up(expression.text, expression.range) &&
                                                   std::find(functions.begin(), functions.end(), expression.text) == functions.end())))
    return {symbol(expression)};
  if (expression.kind != Kind::name) return evaluate(expression);
  std::optional<Term> variable = look_up(expression.text, expression.range);
  if (variable && (!chosen || variable->is<Symbol>())) return *variable;
  if (!variable && !chosen && find_hint(Hint::Place::value, expression.text)) unknown_name(expression);
  if (chosen || (!choices.empty() && !expression.text.ends_with(".shape"))) return {Symbol{expression.text, {}}};
  return evaluate(expression);
}

// NAME or NAME(flag, argument=value): flags are arguments whose value is true.
Symbol Elaborator::symbol(const Expression& expression) {
  if (expression.kind != Kind::name && expression.kind != Kind::call)
    fail_at(expression.range, "expected a name, or a name with arguments");
  Symbol result{expression.text, {}};
  for (const Argument& argument : expression.arguments) {
    const Expression& value = *argument.value;
    if (argument.name.empty() && value.kind != Kind::name)
      fail_at(value.range, fmt::format("the arguments of `{}` have names", expression.text),
              "write `name=value`, or a name alone for a flag");
    const std::string& name = argument.name.empty() ? value.text : argument.name;
    const SourceRange& place = argument.name.empty() ? value.range : argument.name_range;
    if (result.find(name)) fail_at(place, fmt::format("`{}` is given twice", name));
    if (argument.name.empty()) {
      result.arguments.emplace_back(name, true);
      continue;
    }
    Term term = value.kind == Kind::call && !look_up(value.text, value.range) ? Term{symbol(value)} : evaluate(value);
    std::optional<Attribute> attribute = to_attribute(term);
    if (!attribute)
      fail_at(value.range, fmt::format("`{}` of `{}` cannot be {}", name, expression.text, describe(term, graph_.batch_symbol)));
    result.arguments.emplace_back(name, std::move(*attribute));
  }
  return result;
}

Value Elaborator::apply(const std::string& op, std::vector<Value> operands, const SourceRange& range, const Strings& stems) {
  builder_.at(range);
  builder_.named(stems);
  return builder_.value(op, std::move(operands));
}

}  // namespace bnc
