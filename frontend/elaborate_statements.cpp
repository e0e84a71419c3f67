// Statements: they give names to values, declare parameters, unroll, choose, return.
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "ir/evaluate.h"

namespace bnc {

using namespace ast;

namespace {

constexpr size_t max_nodes = 100'000;
constexpr int max_statements = 1'000'000, max_depth = 400, max_uses = 8;
constexpr int64_t max_elements = 10'000'000;

}  // namespace

DepthGuard::DepthGuard(Elaborator& elaborator, const SourceRange& range) : elaborator_(elaborator) {
  if (elaborator_.depth_ >= max_depth) fail_at(range, "blocks and expressions are nested too deeply here");
  ++elaborator_.depth_;
}

// Records an error, with a note for each block on the way to its place.
void Elaborator::report(const CompileError& error) {
  std::vector<Diagnostic> diagnostics = error.diagnostics();
  int uses = 0;
  for (Scope* scope = scope_; scope; scope = scope->caller) {
    scope->failed = true;
    if (!scope->caller || ++uses > max_uses) continue;
    for (Diagnostic& diagnostic : diagnostics) diagnostic.note(fmt::format("in this use of block `{}`", scope->function->name), scope->use);
  }
  if (uses > max_uses)
    for (Diagnostic& diagnostic : diagnostics) diagnostic.note(fmt::format("in {} more blocks around it", uses - max_uses));
  ++errors_;
  reporter_.add(CompileError(std::move(diagnostics)));
  if (reporter_.full()) throw Stop{};
}

// Bounds the work that a few characters can ask for: another statement, or a list of so many elements.
void Elaborator::spend(const SourceRange& range, int64_t elements) {
  if (elements == 0) ++statements_;
  elements_ += elements;
  const bool few_operations = statements_ <= max_statements && graph_.nodes().size() <= max_nodes;
  if (few_operations && elements_ <= max_elements) return;
  const SourceRange& place = repeats_.empty() ? range : repeats_.front();
  const std::string what = few_operations ? fmt::format("all lists together have more than {} elements", max_elements)
                                          : fmt::format("the network grows beyond {} operations", max_nodes);
  Diagnostic diagnostic{Severity::error, place, what, {}};
  if (!repeats_.empty()) diagnostic.help("repeat less often");
  report(CompileError(std::move(diagnostic)));
  throw Stop{};
}

void Elaborator::execute(const std::vector<Statement>& statements) {
  for (const Statement& statement : statements) {
    if (scope_->returned) {
      // Only what stands directly behind a `return` is in error: an `if` around the return may be false elsewhere.
      if (&statement != &statements.front() && (&statement - 1)->kind == Statement::Kind::result) {
        Diagnostic diagnostic{Severity::error,
                              statement.range,
                              statement.kind == Statement::Kind::result ? "a second `return`" : "this statement is never reached",
                              {}};
        diagnostic.note("the body ends with this `return`", (&statement - 1)->range);
        report(CompileError(std::move(diagnostic)));
      }
      return;
    }
    try {
      spend(statement.range);
      DepthGuard guard(*this, statement.range);
      execute(statement);
      continue;
    } catch (const CompileError& error) {
      report(error);
    } catch (const Abandon&) {
    }
    forget(statement);
    if (statement.kind == Statement::Kind::result) scope_->returned = Term::List(statement.results.size());
  }
}

void Elaborator::execute(const Statement& statement) {
  switch (statement.kind) {
    case Statement::Kind::assign: return assign(statement);
    case Statement::Kind::declare: return declare(statement);
    case Statement::Kind::objective: return objective(statement);
    case Statement::Kind::derivative: return derivative(statement);
    case Statement::Kind::repeat: return repeat(statement);
    case Statement::Kind::conditional: return conditional(statement);
    case Statement::Kind::result: return result(statement);
  }
}

// After an error: what the statement would have named is unknown, and nothing more is said about it.
void Elaborator::forget(const Statement& statement) {
  for (const Name& name : statement.names)
    if (statement.kind == Statement::Kind::assign || statement.kind == Statement::Kind::declare) scope_->variables[name.text] = Term{};
  for (const auto* statements : {&statement.body, &statement.otherwise})
    for (const Statement& inner : *statements) forget(inner);
}

void Elaborator::assign(const Statement& statement) {
  Strings stems;
  for (const Name& name : statement.names) stems.push_back(name.text);
  const Expression& value = *statement.value;
  if (statement.names.size() == 1) return bind(statement.names[0], evaluate(value, stems));
  for (size_t k = 1; k < stems.size(); ++k)
    for (size_t earlier = 0; earlier < k; ++earlier)
      if (stems[k] == stems[earlier]) fail_at(statement.names[k].range, fmt::format("`{}` is assigned twice in one statement", stems[k]));
  Term::List values;
  if (value.kind == Expression::Kind::call) {
    values = call(value, stems);
  } else {
    Term term = evaluate(value);
    const Term::List* list = term.get_if<Term::List>();
    if (!list) fail_at(value.range, fmt::format("this gives one value, but {} names stand before the `=`", stems.size()));
    values = *list;
  }
  if (values.size() != stems.size()) {
    fail_at(value.range, fmt::format("this gives {}, but {} before the `=`", counted(values.size(), "value"),
                                     stems.size() == 1 ? "1 name stands" : fmt::format("{} names stand", stems.size())));
  }
  for (size_t k = 0; k < values.size(); ++k) bind(statement.names[k], std::move(values[k]));
}

void Elaborator::bind(const Name& name, Term term) {
  if (term.is<Term::Unknown>()) throw Abandon{};
  if (name.type) {
    TensorType declared = tensor_type(*name.type);
    const Value* value = term.get_if<Value>();
    if (!value)
      fail_at(name.type->range,
              fmt::format("`{}` has the type of a tensor, but its value is {}", name.text, describe(term, graph_.batch_symbol)));
    if (value->type() != declared) {
      Diagnostic diagnostic{Severity::error,
                            name.type->range,
                            fmt::format("`{}` is declared as {}, but its value is {}", name.text, to_string(declared, graph_.batch_symbol),
                                        to_string(value->type(), graph_.batch_symbol)),
                            {}};
      diagnostic.note("the value comes from here", value->node->range);
      throw CompileError(std::move(diagnostic));
    }
  }
  if (auto parameter = parameters_.find(scope_->prefix + name.text); parameter != parameters_.end()) {
    Diagnostic diagnostic{
        Severity::error, name.range, fmt::format("`{}` is a {} and cannot be assigned", name.text, parameter->second.node->op->name), {}};
    diagnostic.note("it is declared here", parameter->second.node->range);
    throw CompileError(std::move(diagnostic));
  }
  scope_->variables[name.text] = std::move(term);
}

// parameter NAME: TYPE = INITIALIZER, and the same for states
void Elaborator::declare(const Statement& statement) {
  const Name& name = statement.names[0];
  std::string path = scope_->prefix + name.text;
  auto refuse = [&](const SourceRange& earlier) {
    Diagnostic diagnostic{Severity::error, name.range, fmt::format("the name `{}` is already taken", name.text), {}};
    diagnostic.note("by this", earlier);
    throw CompileError(std::move(diagnostic));
  };
  if (auto same = parameters_.find(path); same != parameters_.end()) refuse(same->second.node->range);
  if (graph_.fresh_name(path) != path) refuse(graph_.find(path).node->range);
  TensorType type = tensor_type(*name.type);
  for (const Dim& dim : type.shape)
    if (dim.batch) fail_at(name.type->range, fmt::format("a {} cannot depend on the batch size", statement.word));
  const OpDefinition& op = *find_op(statement.word);
  Term term = evaluate_symbol(*statement.value, op.attribute("initializer")->choices);
  const Symbol* initializer = term.get_if<Symbol>();
  if (!initializer)
    fail_at(statement.value->range, fmt::format("expected an initializer, found {}", describe(term, graph_.batch_symbol)),
            "for example `zeros` or `normal(deviation=0.1)`");
  check_initializer(*initializer, statement.value->range);
  builder_.at(name.range);
  Value value = statement.word == "state" ? builder_.state(path, type, *initializer) : builder_.parameter(path, type, *initializer);
  parameters_[path] = value;
}

void Elaborator::objective(const Statement& statement) {
  if (scope_->caller) fail_at(statement.range, "`objective` belongs in a network, not in a block");
  if (const Output* earlier = graph_.output(Output::Role::loss)) {
    Diagnostic diagnostic{Severity::error, statement.range, "a second `objective`", {}};
    diagnostic.note("the network already minimizes this", earlier->value.node->range);
    throw CompileError(std::move(diagnostic));
  }
  const Name& name = statement.names[0];
  Expression expression{Expression::Kind::name, name.range, name.text};
  Value value = tensor(evaluate(expression), name.range, "the objective");
  if (value.type() != TensorType{})
    fail_at(name.range,
            fmt::format("the objective is one number f32[], but `{}` is {}", name.text, to_string(value.type(), graph_.batch_symbol)));
  graph_.outputs.push_back({Output::Role::loss, "loss", value});
}

// gradient NAME = VALUE, update NAME = VALUE
void Elaborator::derivative(const Statement& statement) {
  if (scope_->caller) fail_at(statement.range, fmt::format("`{}` belongs in a network, not in a block", statement.word));
  bool update = statement.word == "update";
  const Name& name = statement.names[0];
  Value target = tensor(evaluate(Expression{Expression::Kind::name, name.range, name.text}), name.range,
                        fmt::format("what `{}` names", statement.word));
  bool fits = target.node->is("parameter") || target.node->is(update ? "state" : "input");
  if (!fits) fail_at(name.range, fmt::format("`{}` is not {}", name.text, update ? "a parameter or state" : "a parameter or input"));
  Output::Role role = update ? Output::Role::update : Output::Role::gradient;
  if (graph_.output(role, target.name())) fail_at(name.range, fmt::format("a second `{}` of `{}`", statement.word, name.text));
  Value value = tensor(evaluate(*statement.value), statement.value->range, fmt::format("the {}", statement.word));
  if (value.type() != target.type()) {
    Diagnostic diagnostic{
        Severity::error,
        statement.value->range,
        fmt::format("the {} of `{}` is {}, but `{}` is {}", statement.word, name.text, to_string(value.type(), graph_.batch_symbol),
                    name.text, to_string(target.type(), graph_.batch_symbol)),
        {}};
    diagnostic.note(fmt::format("`{}` stands here", name.text), target.node->range);
    throw CompileError(std::move(diagnostic));
  }
  graph_.outputs.push_back({role, target.name(), value});
}

void Elaborator::repeat(const Statement& statement) {
  Term count = evaluate(*statement.value);
  const int64_t* times = count.get_if<int64_t>();
  const Term::List* list = count.get_if<Term::List>();
  if (statement.names.empty()) {
    if (!times)
      fail_at(statement.value->range, fmt::format("`repeat` needs a count, but this is {}", describe(count, graph_.batch_symbol)),
              "to go through a list: `repeat item in [..] { }`");
    if (*times < 0) fail_at(statement.value->range, fmt::format("cannot repeat {} times", *times));
  } else if (!list) {
    fail_at(statement.value->range,
            fmt::format("`repeat ... in` goes through a list or a range, but this is {}", describe(count, graph_.batch_symbol)),
            times ? fmt::format("a range is written 0..{}", *times) : "");
  }
  std::map<std::string, std::optional<Term>> hidden;
  for (const Name& name : statement.names)
    hidden[name.text] = scope_->variables.contains(name.text) ? std::optional(scope_->variables[name.text]) : std::nullopt;
  repeats_.push_back(statement.range);
  int64_t rounds = list ? static_cast<int64_t>(list->size()) : *times;
  int errors = errors_;
  for (int64_t k = 0; k < rounds && !scope_->returned && errors == errors_; ++k) {
    spend(statement.range);
    if (list) bind_loop_variables(statement, (*list)[k]);
    execute(statement.body);
  }
  repeats_.pop_back();
  for (auto& [name, term] : hidden) {
    if (term) scope_->variables[name] = std::move(*term);
    else scope_->variables.erase(name);
  }
}

void Elaborator::bind_loop_variables(const Statement& statement, const Term& item) {
  if (statement.names.size() == 1) return bind(statement.names[0], item);
  const Term::List* items = item.get_if<Term::List>();
  if (!items || items->size() != statement.names.size())
    fail_at(statement.value->range, fmt::format("each element must be a list of {} for the {} loop variables, but one is {}",
                                                statement.names.size(), statement.names.size(), describe(item, graph_.batch_symbol)));
  for (size_t k = 0; k < items->size(); ++k) bind(statement.names[k], (*items)[k]);
}

void Elaborator::conditional(const Statement& statement) {
  execute(condition(*statement.value, "if") ? statement.body : statement.otherwise);
}

void Elaborator::result(const Statement& statement) {
  Term::List values;
  for (size_t k = 0; k < statement.results.size(); ++k) {
    const Argument& argument = statement.results[k];
    if (!scope_->caller) {
      return_output(argument, k);
      continue;
    }
    if (!argument.name.empty())
      fail_at(argument.name_range, "only the outputs of a network have names; a block returns values by position");
    if (argument.layout) fail_at(argument.layout->range, "only the outputs of a network have a layout");
    Strings stems;
    if (k < scope_->stems.size()) stems.push_back(scope_->stems[k]);
    values.push_back(evaluate(*argument.value, stems));
  }
  scope_->returned = std::move(values);
}

// An output is called what the statement says, else what its variable is called, else `y`, `y_2` ...
void Elaborator::return_output(const Argument& argument, size_t index) {
  std::string name = argument.name;
  if (name.empty() && argument.value->kind == Expression::Kind::name) name = argument.value->text;
  if (name.empty()) name = index == 0 ? "y" : fmt::format("y_{}", index + 1);
  Value value = tensor(evaluate(*argument.value, {name}), argument.value->range, "what a network returns");
  if (graph_.output(Output::Role::output, name)) {
    fail_at(argument.name.empty() ? argument.value->range : argument.name_range, fmt::format("two outputs are named `{}`", name),
            "name them: `return first = a, second = b`");
  }
  if (argument.layout) value = change_layout(value, *argument.layout, Edge::output);
  graph_.outputs.push_back({Output::Role::output, name, value});
}

}  // namespace bnc
