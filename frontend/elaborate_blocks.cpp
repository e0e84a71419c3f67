// Uses of blocks: the body is elaborated again in a scope of its own, whose layers are named after this use.
#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "ir/hints.h"

namespace bnc {

using namespace ast;

Term::List Elaborator::call_block(const ast::Function& block, const Expression& call, const Strings& stems) {
  for (Scope* scope = scope_; scope; scope = scope->caller) {
    if (scope->function != &block) continue;
    Diagnostic diagnostic{Severity::error, call.range, fmt::format("block `{}` uses itself", block.name), {}};
    diagnostic.help("to stack blocks, use `repeat`");
    throw CompileError(std::move(diagnostic));
  }
  DepthGuard guard(*this, call.range);
  Scope inside;
  inside.function = &block;
  inside.use = call.range;
  inside.stems = stems;
  std::map<std::string, SourceRange> places;
  const Argument* name = bind_arguments(block, call, inside, places);
  std::string stem = block.name + (std::isdigit(static_cast<unsigned char>(block.name.back())) ? "_" : "");
  inside.prefix = instance(stem, name, call.range) + ".";
  inside.caller = scope_;
  scope_ = &inside;
  // Defaults may speak of the parameters before them, so they are computed inside.
  struct Leave {
    Scope*& scope;
    ~Leave() { scope = scope->caller; }
  } leave{scope_};
  for (const Name& parameter : block.parameters) {
    bool given = inside.variables.contains(parameter.text);
    if (!given) inside.variables[parameter.text] = evaluate_symbol(*parameter.fallback, {});
    check_parameter(block, parameter, inside.variables[parameter.text], given ? places[parameter.text] : parameter.fallback->range);
  }
  const size_t before = graph_.nodes().size();
  execute(block.body);
  note_block(inside.prefix, before);
  if (!inside.returned) {
    if (inside.failed) throw Abandon{};
    Diagnostic diagnostic{Severity::error, block.range, fmt::format("block `{}` returns nothing", block.name), {}};
    diagnostic.help("end it with `return VALUE`");
    throw CompileError(std::move(diagnostic));
  }
  return std::move(*inside.returned);
}

// Notes that this use of a block wrote the nodes appended since `before`. Those of blocks used within it are noted already, and stay so.
void Elaborator::note_block(const std::string& prefix, size_t before) {
  if (!blocks_) return;
  auto node = graph_.nodes().rbegin();
  for (size_t k = graph_.nodes().size(); k > before; --k, ++node) blocks_->emplace(node->get(), prefix.substr(0, prefix.size() - 1));
}

// Puts what the call gives into the variables of the block, and where it stands into `places`; returns the argument `name`, if any.
const Argument* Elaborator::bind_arguments(const ast::Function& block, const Expression& call, Scope& inside,
                                           std::map<std::string, SourceRange>& places) {
  const Argument* instance_name = nullptr;
  Strings names;
  for (const Name& parameter : block.parameters) names.push_back(parameter.text);
  auto fail = [&](const SourceRange& range, const std::string& text, const std::string& help = "") {
    Diagnostic diagnostic{Severity::error, range, text, {}};
    if (!help.empty()) diagnostic.help(help);
    diagnostic.note(fmt::format("block `{}` stands here", block.name), block.range);
    throw CompileError(std::move(diagnostic));
  };
  size_t next = 0;
  bool by_name = false;
  for (const Argument& argument : call.arguments) {
    if (argument.name.empty() && by_name)
      fail_at(argument.value->range, "an argument without a name stands behind one with a name", "put the arguments with names last");
    by_name = !argument.name.empty();
    if (!by_name && next >= names.size())
      fail(argument.value->range, fmt::format("block `{}` takes {}, but more are given", block.name, counted(names.size(), "argument")));
    const std::string& name = by_name ? argument.name : names[next++];
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      if (name != "name")
        fail(argument.name_range, fmt::format("block `{}` has no parameter `{}`", block.name, name),
             suggestion_or_list(name, names, "it has"));
      instance_name = &argument;
      continue;
    }
    if (inside.variables.contains(name))
      fail(by_name ? argument.name_range : argument.value->range, fmt::format("`{}` of block `{}` is given twice", name, block.name));
    inside.variables[name] = evaluate_symbol(*argument.value, {});
    places[name] = argument.value->range;
  }
  for (const Name& parameter : block.parameters)
    if (!parameter.fallback && !inside.variables.contains(parameter.text))
      fail(call.range, fmt::format("block `{}` needs `{}`", block.name, parameter.text));
  return instance_name;
}

// Holds an argument against the declared type of its parameter.
void Elaborator::check_parameter(const ast::Function& block, const Name& parameter, const Term& term, const SourceRange& range) {
  if (!parameter.type) return;
  const std::string& wanted = parameter.type->name;
  bool fits = true;
  if (wanted == "tensor") fits = term.is<Value>();
  else if (wanted == "integer") fits = term.is<int64_t>() || term.is<Dim>();
  else if (wanted == "number") fits = term.is_number();
  else if (wanted == "boolean") fits = term.is<bool>();
  else if (wanted == "symbol") fits = term.is<Symbol>();
  else if (wanted == "list") fits = term.is<Term::List>();
  else if (const std::string help = hint(Hint::Place::parameter_type, wanted); !help.empty())
    fail_at(parameter.type->range, fmt::format("unknown type `{}`", wanted), help);
  else return match_type(parameter, tensor(term, range, fmt::format("`{}` of block `{}`", parameter.text, block.name)), range);
  if (parameter.type->has_shape) fail_at(parameter.type->range, fmt::format("`{}` has no shape", wanted));
  if (fits) return;
  Diagnostic diagnostic{Severity::error,
                        range,
                        fmt::format("`{}` of block `{}` is {} {}, but this is {}", parameter.text, block.name,
                                    wanted == "integer" ? "an" : "a", wanted, describe(term, graph_.batch_symbol)),
                        {}};
  diagnostic.note("declared here", parameter.range);
  throw CompileError(std::move(diagnostic));
}

// `x: f32[N, H, W, C]` in the head of a block: a name that is new stands for the dimension found there, a known one or
// an expression must equal it. `x: f32` leaves the shape open.
void Elaborator::match_type(const Name& parameter, const Value& value, const SourceRange& range) {
  const ast::Type& type = *parameter.type;
  const TensorType& given = value.type();
  auto mismatch = [&](const std::string& why) {
    Diagnostic diagnostic{Severity::error,
                          range,
                          fmt::format("`{}` of block `{}` is {} here: {}", parameter.text, scope_->function->name,
                                      to_string(given, graph_.batch_symbol), why),
                          {}};
    diagnostic.note("declared here", type.range);
    diagnostic.note("the tensor comes from here", value.node->range);
    throw CompileError(std::move(diagnostic));
  };
  if (element_type(type) != given.dtype) mismatch(fmt::format("expected {}", type.name));
  if (!type.has_shape) return;
  if (type.dims.size() != given.shape.size()) mismatch(fmt::format("expected {}", counted(type.dims.size(), "dimension")));
  for (size_t k = 0; k < type.dims.size(); ++k) {
    const Expression& dim = *type.dims[k];
    if (dim.kind == Expression::Kind::name && !look_up(dim.text, dim.range)) {
      scope_->variables[dim.text] = Term::of(given.shape[k]);
    } else if (Dim wanted = dimension(dim); wanted != given.shape[k]) {
      mismatch(fmt::format("dimension {} should be {}", k, describe(Term::of(wanted), graph_.batch_symbol)));
    }
  }
}

}  // namespace bnc
