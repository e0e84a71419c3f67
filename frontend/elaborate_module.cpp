// The whole file: declarations, networks with their inputs and outputs, types.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "frontend/frontend.h"
#include "frontend/parser.h"
#include "ir/hints.h"
#include "ir/shape_limits.h"

namespace bnc {

using namespace ast;

namespace {

const char* const inside_help = "inside of a network every tensor has its channels last";

// The dimensions of a channels-last tensor in the order of that layout.
IntList permutation_of(const ast::Layout& layout, const TensorType& type, const std::string& batch_symbol) {
  static const std::map<std::string, IntList> layouts = {{"nchw", {0, 3, 1, 2}}, {"ncw", {0, 2, 1}}};
  auto found = layouts.find(layout.text);
  if (found == layouts.end())
    fail_at(layout.range, fmt::format("unknown layout `{}`", layout.text),
            layout.text == "nhwc" || layout.text == "nwc" ? "channels last is what a network has without it"
                                                          : suggestion_or_list(layout.text, {"nchw", "ncw"}, "the layouts are"));
  if (type.rank() != static_cast<int>(found->second.size()))
    fail_at(layout.range, fmt::format("layout `{}` has {} dimensions, but this is {}", layout.text, found->second.size(),
                                      to_string(type, batch_symbol)));
  return found->second;
}

// Names declared once, at the top level or in one parameter list.
class Declared {
 public:
  explicit Declared(Reporter& reporter) : reporter_(reporter) {}

  void add(const std::string& name, const SourceRange& range, const std::string& what) {
    auto [earlier, is_new] = places_.emplace(name, range);
    if (is_new) return;
    Diagnostic diagnostic{Severity::error, range, fmt::format("a second {} named `{}`", what, name), {}};
    diagnostic.note("the first one", earlier->second);
    reporter_.add(CompileError(std::move(diagnostic)));
  }

 private:
  Reporter& reporter_;
  std::map<std::string, SourceRange> places_;
};

void error_at(Reporter& reporter, const SourceRange& range, const std::string& text, const std::string& help = "") {
  Diagnostic diagnostic{Severity::error, range, text, {}};
  if (!help.empty()) diagnostic.help(help);
  reporter.add(CompileError(std::move(diagnostic)));
}

void check_declarations(const ast::Module& module, const std::shared_ptr<const SourceFile>& source, Reporter& reporter) {
  if (module.networks.empty()) {
    bool empty = module.blocks.empty() && module.trains.empty();
    error_at(reporter, {source, 1, 1, 1}, empty ? "the file is empty" : "the file has no network",
             "a network is written `network NAME(x: f32[N, 784]) { return ... }`");
  }
  Declared functions(reporter);
  auto parameters = [&](const ast::Function& function) {
    Declared names(reporter);
    bool defaults = false;
    for (const Name& parameter : function.parameters) {
      names.add(parameter.text, parameter.range, "parameter");
      if (parameter.text == "name")
        error_at(reporter, parameter.range, "a parameter cannot be called `name`", "`name=...` in a call names the layer");
      if (defaults && !parameter.fallback)
        error_at(reporter, parameter.range, fmt::format("`{}` needs a default, because a parameter before it has one", parameter.text));
      defaults |= parameter.fallback != nullptr;
    }
  };
  for (const ast::Function& block : module.blocks) {
    functions.add(block.name, block.range, "block");
    if (find_op(block.name))
      error_at(reporter, block.range, fmt::format("there is already an op named `{}`", block.name), "choose another name");
    parameters(block);
    for (const Name& parameter : block.parameters)
      if (parameter.layout) error_at(reporter, parameter.layout->range, "only the inputs of a network have a layout", inside_help);
  }
  for (const ast::Function& network : module.networks) {
    functions.add(network.name, network.range, "block or network");
    parameters(network);
  }
  if (module.trains.size() > 1) {
    Diagnostic diagnostic{Severity::error, module.trains[1].range, "a second train section", {}};
    diagnostic.note("the first one", module.trains[0].range);
    reporter.add(CompileError(std::move(diagnostic)));
  }
}

// The names in a dimension that no variable has.
void open_names(const Expression& expression, const std::map<std::string, Term>& variables, std::vector<const Expression*>& names) {
  if (expression.kind == Expression::Kind::name && !variables.contains(expression.text)) names.push_back(&expression);
  for (const ExpressionPtr& child : expression.children) open_names(*child, variables, names);
}

}  // namespace

bnc::Module parse_module(const std::shared_ptr<const SourceFile>& source, BlockPaths* blocks) {
  ast::Module syntax = parse_syntax(source);
  Reporter reporter;
  check_declarations(syntax, source, reporter);
  bnc::Module module;
  for (const ast::Function& network : syntax.networks)
    if (!reporter.full()) module.networks.push_back(Elaborator(syntax, reporter, blocks).network(network));
  if (!syntax.trains.empty() && !reporter.full()) {
    const ast::Train& train = syntax.trains[0];
    const auto named = std::find_if(module.networks.begin(), module.networks.end(),
                                    [&](const Graph& network) { return network.name == train.network; });
    const bool whole = named != module.networks.end() && reporter.empty();
    module.train = Elaborator(syntax, reporter).train(train, whole ? &*named : nullptr);
  }
  reporter.finish();
  return module;
}

Elaborator::Elaborator(const ast::Module& module, Reporter& reporter, BlockPaths* blocks)
    : module_(module), reporter_(reporter), builder_(graph_), blocks_(blocks) {
  for (const OpDefinition& op : all_ops())
    for (const AttributeSpec& spec : op.attributes) symbols_.insert(spec.choices.begin(), spec.choices.end());
}

Graph Elaborator::network(const ast::Function& network) {
  graph_.name = network.name;
  graph_.range = network.range;
  Scope scope;
  scope.function = &network;
  scope_ = &scope;
  try {
    inputs(network);
    execute(network.body);
    finish_outputs(network);
  } catch (const Stop&) {
  }
  scope_ = nullptr;
  return std::move(graph_);
}

// Parameters with a tensor type are inputs; those with only a default are compile-time values.
void Elaborator::inputs(const ast::Function& network) {
  std::vector<std::pair<const Name*, Value>> in_other_layouts;
  for (const Name& parameter : network.parameters) {
    try {
      if (!parameter.type && parameter.fallback) {
        scope_->variables[parameter.text] = evaluate_symbol(*parameter.fallback, {});
        continue;
      }
      if (!parameter.type)
        fail_at(parameter.range, fmt::format("input `{}` needs a type", parameter.text),
                fmt::format("for example `{}: f32[N, 784]`", parameter.text));
      if (parameter.fallback) fail_at(parameter.fallback->range, "an input has no default");
      std::vector<const Expression*> names;
      for (const ExpressionPtr& dim : parameter.type->dims) open_names(*dim, scope_->variables, names);
      for (const Expression* name : names) {
        bool known = scope_->variables.contains(graph_.batch_symbol);
        if (known && graph_.batch_symbol != name->text)
          fail_at(name->range,
                  fmt::format("unknown dimension `{}`: a network has one symbolic dimension, its batch size, which is `{}` here",
                              name->text, graph_.batch_symbol));
        graph_.batch_symbol = name->text;
        scope_->variables[name->text] = Term{Dim{1, true}};
      }
      builder_.at(parameter.range);
      TensorType type = tensor_type(*parameter.type);
      if (graph_.find(parameter.text)) throw Abandon{};  // reported as a duplicate
      Value input = builder_.input(parameter.text, type);
      scope_->variables[parameter.text] = Term{input};
      if (parameter.layout) in_other_layouts.emplace_back(&parameter, input);
      continue;
    } catch (const CompileError& error) {
      report(error);
    } catch (const Abandon&) {
    }
    scope_->variables[parameter.text] = Term{};
  }
  for (const auto& [parameter, input] : in_other_layouts) {   // behind all inputs, whose names are taken first
    try {
      scope_->variables[parameter->text] = Term{change_layout(input, *parameter->layout, Edge::input)};
    } catch (const CompileError& error) {
      report(error);
      scope_->variables[parameter->text] = Term{};
    }
  }
}

void Elaborator::finish_outputs(const ast::Function& network) {
  bool any = graph_.output(Output::Role::output) || graph_.output(Output::Role::loss);
  if (any || scope_->failed || scope_->returned) return;
  Diagnostic diagnostic{Severity::error, network.range, fmt::format("network `{}` returns nothing", network.name), {}};
  diagnostic.note("it ends here", network.end);
  diagnostic.help("end it with `return VALUE`");
  report(CompileError(std::move(diagnostic)));
}

// An input brought from its caller's layout to channels last, or an output the other way round.
Value Elaborator::change_layout(Value value, const Layout& layout, Edge edge) {
  IntList permutation = permutation_of(layout, value.type(), graph_.batch_symbol);
  if (edge == Edge::input) {
    IntList outside = permutation;
    for (size_t k = 0; k < outside.size(); ++k) permutation[outside[k]] = static_cast<int64_t>(k);
  }
  builder_.at(layout.range);
  builder_.named(value.name());
  return builder_.value("transpose", {value}, {{"permutation", permutation}});
}

DType Elaborator::element_type(const ast::Type& type) {
  if (type.name == "f32") return DType::f32;
  if (type.name == "i32") return DType::i32;
  fail_at(type.range, fmt::format("unknown type `{}`", type.name),
          hint_or(Hint::Place::type, type.name, suggestion_or_list(type.name, {"f32", "i32"}, "the element types are")));
}

TensorType Elaborator::tensor_type(const ast::Type& type) {
  TensorType result{element_type(type), {}};
  if (!type.has_shape) fail_at(type.range, fmt::format("`{}` needs a shape", type.name), fmt::format("one number is `{}[]`", type.name));
  for (const ExpressionPtr& dim : type.dims) result.shape.push_back(dimension(*dim));
  check_size(result.shape, type.range);
  return result;
}

Dim Elaborator::dimension(const Expression& expression) {
  Term term = evaluate(expression);
  if (const Dim* dim = term.get_if<Dim>()) return *dim;
  const int64_t* value = term.get_if<int64_t>();
  if (!value) fail_at(expression.range, fmt::format("a dimension is an integer, but this is {}", describe(term, graph_.batch_symbol)));
  if (*value <= 0)
    fail_at(expression.range, fmt::format("a dimension is at least 1, but this is {}", *value),
            *value == -1 ? "the batch size is a name, as in `f32[N, 784]`" : "");
  return {*value, false};
}

void Elaborator::check_size(const Shape& shape, const SourceRange& range) {
  if (const std::string why = why_impossible(shape, graph_.batch_symbol); !why.empty()) fail_at(range, why);
}

}  // namespace bnc
