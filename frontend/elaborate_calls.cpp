// Calls of ops, generic over their definitions: arguments are matched with operands and attributes, and parameters that
// were left out are made by their rules.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "ir/evaluate.h"
#include "ir/hints.h"
#include "ir/number_range.h"

namespace bnc {

using namespace ast;

// One call of one op, while its arguments are being sorted.
class OpCall {
 public:
  OpCall(Elaborator& elaborator, const OpDefinition& op, const Expression& call)
      : elaborator_(elaborator), op_(op), call_(call), slots_(op.operands.size()) {}

  Term::List run(const Strings& stems) {
    const bool is_objective = op_.target_type && elaborator_.trained_;
    if (is_objective) take_first_output();
    for (const Argument& argument : call_.arguments) {
      if (is_objective) make_target(argument);
      argument.name.empty() ? positional(argument) : keyword(argument);
    }
    if (is_objective) take_default_target();
    complete_attributes();
    complete_operands();
    check_layer_only();
    AttributeMap attributes = attributes_;
    for (const AttributeSpec& spec : op_.attributes)
      if (spec.layer_only) attributes.erase(spec.name);
    elaborator_.builder_.at(call_.range);
    elaborator_.builder_.named(stems);
    Node* node = elaborator_.builder_.create(op_.name, operands_, std::move(attributes));
    node->kernel = kernel_;
    if (balanced_) elaborator_.balanced_.insert(node);
    Term::List results;
    for (size_t k = 0; k < node->results.size(); ++k) results.emplace_back().data = node->result(static_cast<int>(k));
    return results;
  }

 private:
  // What the caller said of one operand.
  struct OperandSlot {
    std::vector<Value> values;             // several for the variadic operand
    std::optional<Symbol> initializer;
    bool absent = false;
    const Argument* argument = nullptr;
    bool given() const { return argument != nullptr; }
  };

  std::string show(const Term& term) const { return describe(term, elaborator_.graph_.batch_symbol); }

  // A variable comes before a symbol of the same name, because a tensor may be called `sum` or `normal`.
  Term evaluate(const Argument& argument, const Strings& choices) const {
    const Expression& value = *argument.value;
    std::optional<Term> variable = value.kind == Expression::Kind::name ? elaborator_.look_up(value.text, value.range) : std::nullopt;
    return variable ? *variable : elaborator_.evaluate_symbol(value, choices);
  }

  // In a train section a loss without a prediction is of the network's first output: one name alone is the target's, unless it is that of
  // an output.
  void take_first_output() {
    std::vector<const Expression*> alone;
    for (const Argument& argument : call_.arguments) {
      if (argument.name.empty()) alone.push_back(argument.value.get());
      if (argument.name == op_.operands[0].name) return;
    }
    const bool given = alone.size() > 1 || (alone.size() == 1 && (alone[0]->kind != Expression::Kind::name ||
                                                                  elaborator_.trained_->output(Output::Role::output, alone[0]->text)));
    if (given) return;
    slots_[0].values.push_back(elaborator_.first_output_of_network(call_.range));
    next_operand_ = 1;
  }

  void make_target(const Argument& argument) {
    const size_t operand = argument.name.empty() ? next_operand_ : static_cast<size_t>(std::max(0, op_.operand_index(argument.name)));
    if (operand == 0 && argument.name.empty()) elaborator_.refuse_prediction(*argument.value);
    if (operand == 0 || operand >= slots_.size() || slots_[0].values.empty()) return;
    if (const auto type = type_of_unknown(op_, operand, slots_[0].values)) elaborator_.make_target(*argument.value, *type);
  }

  void take_default_target() {
    if (slots_[0].values.empty() || slots_[1].given()) return;
    const Expression name{Expression::Kind::name, call_.range, elaborator_.target_name_};
    elaborator_.make_target(name, op_.target_type(slots_[0].values[0].type()));
    slots_[1].values.push_back(*elaborator_.look_up(name.text, name.range)->get_if<Value>());
  }

  void positional(const Argument& argument) {
    if (by_name_)
      fail_at(argument.value->range, "an argument without a name stands behind one with a name", "put the arguments with names last");
    const AttributeSpec* open = next_attribute();
    Term term = evaluate(argument, open ? open->choices : Strings{});
    if (const Value* value = term.get_if<Value>()) return positional_tensor(*value, argument);
    if (const Term::List* list = tensors(term)) {
      for (const Term& each : *list) positional_tensor(*each.get_if<Value>(), argument);
      return;
    }
    bool needs_tensor =
        next_operand_ < op_.operands.size() && !op_.operands[next_operand_].optional && !op_.operands[next_operand_].parameter;
    if (needs_tensor && (!open || (term.is<Symbol>() && open->choices.empty())))
      elaborator_.tensor(term, argument.value->range, fmt::format("`{}` of `{}`", op_.operands[next_operand_].name, op_.name));
    if (!open) {
      fail_at(argument.value->range, fmt::format("`{}` has no attribute for {}", op_.name, show(term)),
              term.is<int64_t>() && !op_.attributes.empty() && op_.attributes[0].layer_only
                  ? fmt::format("the size of the input is known; {}", takes())
                  : takes());
    }
    set_attribute(*open, term, argument);
  }

  void positional_tensor(const Value& value, const Argument& argument) {
    if (next_operand_ >= op_.operands.size()) {
      const AttributeSpec* open = next_attribute();
      if (open)
        fail_at(argument.value->range,
                fmt::format("`{}` of `{}` is {}, but this is {}", open->name, op_.name, describe(open->kind), show(Term{value})));
      fail_at(argument.value->range,
              fmt::format("`{}` takes {}, but more tensors are given", op_.name, counted(op_.operands.size(), "operand")), takes());
    }
    OperandSlot& slot = slots_[next_operand_];
    slot.argument = &argument;
    slot.values.push_back(value);
    if (!op_.operands[next_operand_].variadic) ++next_operand_;
  }

  // The tensors of a list for the variadic operand; null for any other value.
  const Term::List* tensors(const Term& term) const {
    const Term::List* list = term.get_if<Term::List>();
    bool variadic = next_operand_ < op_.operands.size() && op_.operands[next_operand_].variadic;
    if (!list || list->empty() || !variadic) return nullptr;
    return std::all_of(list->begin(), list->end(), [](const Term& each) { return each.is<Value>(); }) ? list : nullptr;
  }

  const AttributeSpec* next_attribute() const {
    for (const AttributeSpec& spec : op_.attributes)
      if (!places_.contains(spec.name)) return &spec;
    return nullptr;
  }

  void keyword(const Argument& argument) {
    by_name_ = true;
    if (auto earlier = places_.find(argument.name); earlier != places_.end()) twice(argument, earlier->second);
    int index = op_.operand_index(argument.name);
    const AttributeSpec* spec = op_.attribute(argument.name);
    if (index >= 0) {
      keyword_operand(index, argument);
    } else if (spec && spec->name == class_weights && argument.value->kind == Expression::Kind::name &&
               argument.value->text == "balanced") {
      if (!elaborator_.trained_)
        fail_at(argument.value->range, "only a train section has data to balance classes by", "give a list of weights");
      balanced_ = true;
    } else if (spec) {
      set_attribute(*spec, elaborator_.evaluate_symbol(*argument.value, spec->choices), argument);
    } else if (argument.name == "name") {
      name_ = &argument;
    } else if (argument.name == "in_kernel") {
      Term term = elaborator_.evaluate(*argument.value);
      const int64_t* kernel = term.get_if<int64_t>();
      if (!kernel || *kernel < 0 || *kernel > 1'000'000) fail_at(argument.value->range, "`in_kernel` is the number of a fused kernel");
      kernel_ = static_cast<int>(*kernel);
    } else {
      unknown_argument(argument);
    }
    places_.emplace(argument.name, argument.name_range);
  }

  void keyword_operand(int index, const Argument& argument) {
    const OperandSpec& spec = op_.operands[index];
    OperandSlot& slot = slots_[index];
    if (slot.given()) twice(argument, slot.argument->value->range);
    slot.argument = &argument;
    const Strings initializers = spec.parameter ? find_op("parameter")->attribute("initializer")->choices : Strings{};
    Term term = evaluate(argument, initializers);
    if (const bool* wanted = term.get_if<bool>()) {
      if (!spec.optional) fail_at(argument.value->range, fmt::format("`{}` of `{}` cannot be left out", spec.name, op_.name));
      slot.absent = !*wanted;
    } else if (const Symbol* initializer = term.get_if<Symbol>(); initializer && spec.parameter) {
      check_initializer(*initializer, argument.value->range);
      slot.initializer = *initializer;
    } else if (const Term::List* list = term.get_if<Term::List>(); list && spec.variadic) {
      for (const Term& each : *list)
        slot.values.push_back(elaborator_.tensor(each, argument.value->range, fmt::format("each of `{}`", spec.name)));
    } else {
      slot.values.push_back(elaborator_.tensor(term, argument.value->range, fmt::format("`{}` of `{}`", spec.name, op_.name)));
    }
  }

  void set_attribute(const AttributeSpec& spec, const Term& term, const Argument& argument) {
    const SourceRange& range = argument.value->range;
    attributes_[spec.name] = elaborator_.attribute(op_, spec, term, range);
    places_.emplace(spec.name, argument.name.empty() ? range : argument.name_range);
  }

  [[noreturn]] void twice(const Argument& argument, const SourceRange& earlier) const {
    Diagnostic diagnostic{Severity::error, argument.name_range, fmt::format("`{}` of `{}` is given twice", argument.name, op_.name), {}};
    diagnostic.note("first here", earlier);
    throw CompileError(std::move(diagnostic));
  }

  Strings argument_names() const {
    Strings names;
    for (const OperandSpec& spec : op_.operands) names.push_back(spec.name);
    for (const AttributeSpec& spec : op_.attributes) names.push_back(spec.name);
    return names;
  }

  [[noreturn]] void unknown_argument(const Argument& argument) const {
    const std::string help = hint_or(Hint::Place::argument, argument.name, suggestion(argument.name, argument_names()), op_.name);
    fail_at(argument.name_range, fmt::format("`{}` has no operand or attribute `{}`", op_.name, argument.name),
            help.empty() ? takes() : help);
  }

  std::string takes() const {
    Strings names = argument_names();
    return names.empty() ? "" : fmt::format("`{}` takes {}", op_.name, quoted_list(names, "and"));
  }

  void complete_attributes() {
    for (const AttributeSpec& spec : op_.attributes) {
      if (attributes_.contains(spec.name)) continue;
      if (spec.fallback) {
        attributes_[spec.name] = *spec.fallback;
      } else if (!spec.layer_only || makes_first_parameter()) {
        fail_at(call_.range, fmt::format("`{}` needs `{}`: {}", op_.name, spec.name, spec.doc),
                fmt::format("give it as `{}=...`", spec.name));
      }
    }
  }

  // Whether the op's first parameter (the weight) is to be made, for which the layer-only attributes are there.
  bool makes_first_parameter() const {
    for (size_t k = 0; k < op_.operands.size(); ++k)
      if (op_.operands[k].parameter) return slots_[k].values.empty();
    return false;
  }

  void complete_operands() {
    for (size_t k = 0; k < op_.operands.size(); ++k) {
      const OperandSpec& spec = op_.operands[k];
      if (!slots_[k].values.empty() || spec.optional || spec.parameter) continue;
      fail_at(call_.range, fmt::format("`{}` needs the operand `{}`: {}", op_.name, spec.name, spec.doc));
    }
    for (size_t k = 0; k < op_.operands.size(); ++k) {
      const OperandSpec& spec = op_.operands[k];
      const OperandSlot& slot = slots_[k];
      if (!slot.values.empty()) operands_.insert(operands_.end(), slot.values.begin(), slot.values.end());
      else operands_.push_back(spec.parameter && !slot.absent ? make(spec, slot) : Value{});
    }
    if (name_ && instance_.empty())
      fail_at(name_->name_range, fmt::format("this `{}` makes no parameters that a name could be for", op_.name));
  }

  // The facts that parameter rules may look at: the operands up to here.
  InferContext facts(std::vector<Value>& operands) const {
    return InferContext(op_, operands, attributes_, call_.range, elaborator_.graph_.batch_symbol);
  }

  Value make(const OperandSpec& spec, const OperandSlot& slot) {
    std::vector<Value> before = operands_;
    before.resize(op_.operands.size());
    const ParameterRule& rule = *spec.parameter;
    if (!slot.given() && rule.wanted && !rule.wanted(facts(before))) return {};
    TensorType type = rule.type(facts(before));
    elaborator_.check_size(type.shape, call_.range);
    if (instance_.empty()) instance_ = elaborator_.instance((op_.layer_name.empty() ? op_.name : op_.layer_name) + "_", name_, call_.range);
    std::string path = instance_ + "." + spec.name;
    if (elaborator_.graph_.fresh_name(path) != path) fail_at(call_.range, fmt::format("the name `{}` is already taken", path));
    const Symbol& initializer = slot.initializer ? *slot.initializer : rule.initializer;
    GraphBuilder& builder = elaborator_.builder_;
    builder.at(call_.range);
    Value value =
        rule.kind == ParameterRule::Kind::state ? builder.state(path, type, initializer) : builder.parameter(path, type, initializer);
    elaborator_.parameters_[path] = value;
    return value;
  }

  // A tensor given for a parameter must be what the layer would have made by attributes that only shape parameters.
  void check_layer_only() {
    for (const AttributeSpec& spec : op_.attributes)
      if (spec.layer_only && !attributes_.contains(spec.name)) return;
    // Those left out say nothing: what the tensor is follows from it alone.
    bool shapes = std::any_of(op_.attributes.begin(), op_.attributes.end(),
                              [this](const AttributeSpec& spec) { return spec.layer_only && places_.contains(spec.name); });
    for (size_t k = 0; shapes && k < op_.operands.size(); ++k) {
      if (!op_.operands[k].parameter || slots_[k].values.empty()) continue;
      std::vector<Value> before = operands_;
      std::fill(before.begin() + static_cast<std::ptrdiff_t>(k), before.end(), Value{});
      TensorType wanted = op_.operands[k].parameter->type(facts(before));
      const Value& value = operands_[k];
      if (value.type() == wanted) continue;
      const std::string& batch = elaborator_.graph_.batch_symbol;
      Diagnostic diagnostic{Severity::error,
                            slots_[k].argument->value->range,
                            fmt::format("`{}` of `{}` is {} here, but this is {}", op_.operands[k].name, op_.name, to_string(wanted, batch),
                                        to_string(value.type(), batch)),
                            {}};
      diagnostic.note("it comes from here", value.node->range);
      throw CompileError(std::move(diagnostic));
    }
  }

  Elaborator& elaborator_;
  const OpDefinition& op_;
  const Expression& call_;
  std::vector<OperandSlot> slots_;
  std::vector<Value> operands_;
  AttributeMap attributes_;
  std::map<std::string, SourceRange> places_;  // where each attribute and keyword was given
  const Argument* name_ = nullptr;
  std::string instance_;
  size_t next_operand_ = 0;
  int kernel_ = -1;
  bool by_name_ = false;
  bool balanced_ = false;   // the class weights
};

// Holds the arguments of a choice against the kinds the op expects; one it does not know is left to the op's own rule.
static void check_arguments(const OpDefinition& op, const AttributeSpec& spec, const Symbol& symbol, const SourceRange& range) {
  if (symbol.arguments.empty()) return;
  auto choice = spec.arguments.find(symbol.name);
  if (choice == spec.arguments.end())
    fail_at(range, fmt::format("`{}` takes no arguments as `{}` of `{}`", symbol.name, spec.name, op.name));
  for (const auto& [name, value] : symbol.arguments) {
    auto known = choice->second.find(name);
    if (known == choice->second.end()) continue;
    bool boolean = value.get_if<bool>(), number = value.get_if<int64_t>() || value.get_if<double>();
    if (known->second == AttributeKind::boolean ? !boolean : !number)
      fail_at(range, fmt::format("`{}` of `{}` is {}, but this is {}", name, symbol.name, describe(known->second), to_string(value)));
  }
}

// Code computes in f32. A constant in the flat form may be infinite there, as what a pass has computed.
static void check_overflow(const OpDefinition& op, const AttributeSpec& spec, const Attribute& attribute, const SourceRange& range) {
  const auto check = [&](const std::string& name, const Attribute& value) {
    NumberList numbers;
    if (value.get_if<double>() || value.get_if<NumberList>()) numbers = value.numbers();
    for (const double number : numbers)
      if (overflows_f32(number))
        fail_at(range, fmt::format("`{}` of `{}` is {}", name, op.name, as_computed_with(number)), "write `inf` where infinity is meant");
  };
  if (op.category == OpCategory::source) return;
  check(spec.name, attribute);
  if (const Symbol* symbol = attribute.get_if<Symbol>())
    for (const auto& [name, value] : symbol->arguments) check(name, value);
}

Attribute Elaborator::attribute(const OpDefinition& op, const AttributeSpec& spec, const Term& term, const SourceRange& range) const {
  std::optional<Attribute> attribute = to_attribute(term, spec.kind);
  const Term::List* list = term.get_if<Term::List>();
  for (size_t k = 0; !attribute && list && k < list->size(); ++k)
    if (!to_attribute((*list)[k], spec.kind))
      fail_at(range, fmt::format("`{}` of `{}` is {}, but element {} is {}", spec.name, op.name, describe(spec.kind), k,
                                 describe((*list)[k], graph_.batch_symbol)));
  if (!attribute) {
    fail_at(range,
            fmt::format("`{}` of `{}` is {}, but this is {}", spec.name, op.name, describe(spec.kind), describe(term, graph_.batch_symbol)),
            term.is<Value>() ? "it has to be known at compile time" : "");
  }
  const Symbol* symbol = attribute->get_if<Symbol>();
  if (symbol && !spec.choices.empty() && std::find(spec.choices.begin(), spec.choices.end(), symbol->name) == spec.choices.end())
    fail_at(range, fmt::format("`{}` of `{}` cannot be `{}`", spec.name, op.name, symbol->name),
            suggestion_or_list(symbol->name, spec.choices, "the choices are"));
  if (symbol && !spec.choices.empty()) check_arguments(op, spec, *symbol, range);
  check_overflow(op, spec, *attribute, range);
  return std::move(*attribute);
}

Term::List Elaborator::call_op(const OpDefinition& op, const Expression& call, const Strings& stems) {
  return OpCall(*this, op, call).run(stems);
}

}  // namespace bnc
