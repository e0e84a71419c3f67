// What a call calls, and the names of the layers and blocks that it makes.
#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "ir/hints.h"

namespace bnc {

using namespace ast;

constexpr size_t longest_layer_path = 3000;  // of a layer

Term::List Elaborator::call(const Expression& call, const Strings& stems) {
  std::string callee = call.text;
  std::optional<Term> variable = find_op(callee) || find_block(callee) ? std::nullopt : look_up(callee, call.range);
  if (variable) {  // one that holds the name of an op or block
    const Symbol* symbol = variable->get_if<Symbol>();
    if (!symbol) fail_at(call.range, fmt::format("`{}` is {} and cannot be called", callee, describe(*variable, graph_.batch_symbol)));
    callee = symbol->name;
  }
  if (const ast::Function* block = find_block(callee)) return call_block(*block, call, stems);
  const OpDefinition* op = find_op(callee);
  SourceRange name = call.range;
  name.length = static_cast<int>(call.text.size());
  if (!op) {
    for (const ast::Function& network : module_.networks)
      if (network.name == callee)
        fail_at(name, fmt::format("`{}` is a network; only ops and blocks can be called", callee),
                "what several networks share belongs in a block");
    fail_at(name, fmt::format("unknown op or block `{}`", callee), callable_help(callee));
  }
  if (op->category == OpCategory::source && op->operands.empty() && !op->infer)
    fail_at(name, fmt::format("`{}` cannot be called", callee),
            callee == "input" ? "inputs stand in the network's head: `network f(x: f32[N, 784])`"
                              : fmt::format("it is declared: `{} w: f32[10] = zeros`", callee));
  return call_op(*op, call, stems);
}

const ast::Function* Elaborator::find_block(const std::string& name) const {
  for (const ast::Function& block : module_.blocks)
    if (block.name == name) return &block;
  return nullptr;
}

// What to write for a name that cannot be called.
std::string Elaborator::callable_help(const std::string& callee) const {
  if (callee.starts_with("self.")) return hint(Hint::Place::value, "self");
  for (const ast::Function& block : module_.blocks)
    if (without_spelling(block.name) == without_spelling(callee)) return fmt::format("did you mean `{}`?", block.name);
  for (const auto place : {Hint::Place::layer, Hint::Place::loss})
    if (std::string help = hint(place, callee); !help.empty()) return help;
  if (const std::string op = op_like(callee); !op.empty())
    return fmt::format("write `{}(...)`, with the tensor as its first argument", op);
  return suggestion(callee, callable_names());
}

Strings Elaborator::callable_names() const {
  Strings names;
  for (const OpDefinition& op : all_ops()) names.push_back(op.name);
  for (const ast::Function& block : module_.blocks) names.push_back(block.name);
  return names;
}

// The path of a layer or block in this scope: named by the caller, else by stem and count.
std::string Elaborator::instance(const std::string& stem, const Argument* name, const SourceRange& place) {
  auto taken = [&](const std::string& chosen) {
    std::string inside = scope_->prefix + chosen + ".";
    auto parameter = parameters_.lower_bound(inside);
    return scope_->instances.contains(chosen) || (parameter != parameters_.end() && parameter->first.starts_with(inside));
  };
  std::string chosen;
  if (!name) {
    do chosen = fmt::format("{}{}", stem, ++scope_->counts[stem]);
    while (taken(chosen));
  } else {
    const Expression& value = *name->value;
    if (value.kind != Expression::Kind::name || value.text.find('.') != std::string::npos)
      fail_at(value.range, "`name` is a plain name: `name=first`");
    chosen = value.text;
    if (taken(chosen)) {
      Diagnostic diagnostic{Severity::error, value.range, fmt::format("a second layer named `{}`", chosen), {}};
      bool layer = scope_->instances.contains(chosen);
      if (!layer) diagnostic.text = fmt::format("there are already parameters named `{}.*`", chosen);
      diagnostic.note("the first one",
                      layer ? scope_->instances[chosen] : parameters_.lower_bound(scope_->prefix + chosen + ".")->second.node->range);
      if (!repeats_.empty()) diagnostic.help("inside `repeat`, leave `name` out: layers are numbered");
      throw CompileError(std::move(diagnostic));
    }
  }
  if (scope_->prefix.size() + chosen.size() > longest_layer_path)
    fail_at(place, fmt::format("the path of this layer's parameters is longer than {} characters", longest_layer_path),
            "use shorter names for the blocks around it");
  scope_->instances[chosen] = place;
  return scope_->prefix + chosen;
}

}  // namespace bnc
