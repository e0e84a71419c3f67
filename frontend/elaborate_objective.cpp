// What a train section says of its network: the loss and the metrics, expressions over outputs, inputs, parameters and targets by name.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "ir/hints.h"

namespace bnc {

using namespace ast;
using Kind = Expression::Kind;

namespace {

Strings names_of(OpCategory category) {
  Strings names;
  for (const OpDefinition& op : all_ops())
    if (op.category == category) names.push_back(op.name);
  return names;
}

Strings output_names(const Graph& network) {
  Strings names;
  for (const Output& output : network.outputs) names.push_back(output.name);
  return names;
}

// A prediction a row of the batch, and as many numbers, or for metrics of classes a label for each row of scores.
bool is_told_by(const MetricDefinition& metric, const TensorType& prediction, const TensorType& target) {
  if (prediction.dtype != DType::f32 || prediction.rank() == 0 || prediction.shape[0] != Dim{1, true}) return false;
  if (target.shape == prediction.shape) return true;
  const Shape rows(prediction.shape.begin(), prediction.shape.end() - 1);
  return metric.of_classes && prediction.rank() > 1 && target.dtype == DType::i32 && target.shape == rows;
}

}  // namespace

// The expression that computes a value of the train section.
Formula Elaborator::formula_of(const Value& value) const {
  const Node& node = *value.node;
  if (const auto leaf = leaves_.find({&node, value.index}); leaf != leaves_.end()) return leaf->second;
  if (value.index != 0) fail_at(node.range, fmt::format("a train section takes the first result of `{}` only", node.op->name));
  Formula formula(Formula::Kind::call, node.op->name);
  formula.range = node.range;
  formula.balanced = balanced_.contains(&node);
  if (formula.balanced) formula.attributes[class_weights] = NumberList{};
  for (size_t k = 0; k < node.operands.size(); ++k) {
    Formula operand = node.operands[k] ? formula_of(node.operands[k]) : Formula();
    const bool may_go_unsaid = k == 0 && node.op->target_type;   // the prediction of a loss
    if (operand.kind == Formula::Kind::first_output && !may_go_unsaid) operand = called_by_name(operand);
    formula.operands.push_back(std::move(operand));
  }
  while (!formula.operands.empty() && formula.operands.back().kind == Formula::Kind::absent) formula.operands.pop_back();
  for (const AttributeSpec& spec : node.op->attributes) {
    if (spec.layer_only || (spec.fallback && node.attribute(spec.name) == *spec.fallback)) continue;
    formula.attributes[spec.name] = node.attribute(spec.name);
  }
  return formula;
}

Formula Elaborator::called_by_name(const Formula& output) const {
  Formula name(Formula::Kind::name, name_in(graph_, output));
  name.range = output.range;
  return name;
}

// A tensor of the network, or a target, as the formula calls it.
Value Elaborator::leaf(const Value& value, Formula name, const SourceRange& range) {
  name.range = range;
  leaves_.emplace(std::pair(value.node, value.index), std::move(name));
  return value;
}

// A tensor of the network under a name that a train section may use: its outputs come before its inputs, parameters and states.
std::optional<Term> Elaborator::look_up_in_network(const std::string& name, const SourceRange& range) {
  const Formula formula(Formula::Kind::name, name);
  const Value value = value_of_name(graph_, formula);
  if (!value) return std::nullopt;
  return Term{leaf(value, formula, range)};
}

bool Elaborator::is_target(const Expression& expression) {
  return trained_ && !scope_->caller && expression.kind == Kind::name && !look_up(expression.text, expression.range);
}

// An operand of a loss whose type is known: a name that is nothing else is a target.
void Elaborator::make_target(const Expression& expression, const TensorType& type) {
  if (!is_target(expression)) return;
  if (targets_known_) refuse_target(expression.text, expression.range);
  Formula name(Formula::Kind::name, expression.text);
  name.range = expression.range;
  scope_->variables[expression.text] = Term{leaf(add_target(graph_, name, type), name, expression.range)};
}

// Metrics read what the loss reads.
void Elaborator::refuse_target(const std::string& name, const SourceRange& range) const {
  Strings known;
  for (const auto& [variable, term] : scope_->variables) known.push_back(variable);
  fail_at(range, fmt::format("the loss takes no target `{}`, so no data have it", name),
          suggestion_or_list(name, known, "its targets are"));
}

Value Elaborator::first_output_of_network(const SourceRange& range) {
  const Formula formula(Formula::Kind::first_output, "");
  const Value value = value_of_name(graph_, formula);
  if (!value) fail_at(range, fmt::format("network `{}` returns nothing to take a loss of", trained_->name), "end it with `return VALUE`");
  return leaf(value, formula, range);
}

// What is said of a name that is neither a tensor of the network nor a place for a target.
void Elaborator::refuse_prediction(const Expression& expression) {
  if (!is_target(expression)) return;
  const Strings outputs = output_names(*trained_);
  const std::string near = suggestion(expression.text, outputs);
  fail_at(expression.range, fmt::format("a loss of `{}`, which is no output of network `{}`", expression.text, trained_->name),
          near.empty() ? fmt::format("it returns {}; a loss takes one of its outputs, then a target", quoted_list(outputs, "and")) : near);
}

// One number: the loss, or a metric that is an expression.
Formula Elaborator::formula(const Expression& value, const char* what) {
  if (value.kind == Kind::name && find_op(value.text) && !look_up(value.text, value.range)) {   // a loss by its name alone
    Expression call{Kind::call, value.range, value.text};
    return formula(call, what);
  }
  const Term term = evaluate(value);
  const Value* tensor = term.get_if<Value>();
  if (!tensor) {
    fail_at(value.range, fmt::format("{} is an expression of tensors, but this is {}", what, describe(term, graph_.batch_symbol)),
            "for example `softmax_cross_entropy(labels)`");
  }
  if (tensor->type() != TensorType{}) {
    fail_at(value.range, fmt::format("{} is one number, f32[], but this is {}", what, to_string(tensor->type(), graph_.batch_symbol)),
            "`reduce_mean(...)` makes one number of all");
  }
  const Formula result = formula_of(*tensor);
  return result.kind == Formula::Kind::first_output ? called_by_name(result) : result;
}

Formula Elaborator::loss(const Expression& value) {
  if (value.kind == Kind::call || value.kind == Kind::name) {
    const Strings losses = names_of(OpCategory::loss);
    const bool known = find_op(value.text) || find_block(value.text) || look_up(value.text, value.range);
    SourceRange name = value.range;
    name.length = static_cast<int>(value.text.size());
    if (!known)
      fail_at(name, fmt::format("unknown loss `{}`", value.text),
              hint_or(Hint::Place::loss, value.text, suggestion_or_list(value.text, losses, "the losses are")));
  }
  return formula(value, "a loss");
}

// NAME(prediction, target, k=K), of which the first output and the default target may be left out.
Formula Elaborator::metric_of_classes_or_numbers(const MetricDefinition& metric, const Expression& value) {
  Formula formula(Formula::Kind::call, metric.name);
  formula.range = value.range;
  Strings names;
  for (const Argument& argument : value.arguments) {
    if (argument.name.empty()) {
      if (argument.value->kind != Kind::name || names.size() == 2)
        fail_at(argument.value->range, fmt::format("`{}` takes the name of an output and that of a target", metric.name));
      names.push_back(argument.value->text);
      continue;
    }
    const Term term = evaluate(*argument.value);
    const int64_t* number = term.get_if<int64_t>();
    if (argument.name != "k" || !metric.has_k)
      fail_at(argument.name_range, fmt::format("`{}` has no argument `{}`", metric.name, argument.name));
    if (!number || *number < 1) fail_at(argument.value->range, "`k` is an integer of at least 1");
    formula.attributes["k"] = *number;
  }
  const auto is_output = [&](const std::string& name) { return trained_->output(Output::Role::output, name) != nullptr; };
  Formula prediction(Formula::Kind::first_output, ""), target(Formula::Kind::name, target_name_);
  if (names.size() == 2 || (names.size() == 1 && is_output(names[0]))) prediction = Formula(Formula::Kind::name, names[0]);
  if (names.size() == 2 || (names.size() == 1 && !is_output(names[0]))) target.name = names.back();
  if (prediction.kind == Formula::Kind::name && !is_output(prediction.name)) {
    fail_at(value.range, fmt::format("`{}` of `{}`, which is no output of network `{}`", metric.name, prediction.name, trained_->name),
            suggestion_or_list(prediction.name, output_names(*trained_), "it returns"));
  }
  const std::optional<Term> known = look_up(target.name, value.range);
  const Value* told = known ? known->get_if<Value>() : nullptr;
  if (!told || !told->node->is("input")) refuse_target(target.name, value.range);
  const TensorType& type = value_of_name(graph_, prediction).type();
  if (!is_told_by(metric, type, told->type())) {
    fail_at(value.range,
            fmt::format("`{}` does not compare `{}`, {}, with `{}`, {}", metric.name, name_in(graph_, prediction),
                        to_string(type, graph_.batch_symbol), target.name, to_string(told->type(), graph_.batch_symbol)),
            metric.of_classes ? "it takes scores [.., classes] and a label for each row, or as many numbers as the output has"
                              : "it takes as many numbers as the output has, a row an example");
  }
  formula.operands = {prediction, target};
  return formula;
}

Metric Elaborator::metric(const Expression& value) {
  if (value.kind != Kind::name && value.kind != Kind::call) return {"", formula(value, "a metric")};
  if (const MetricDefinition* metric = find_metric(value.text)) return {value.text, metric_of_classes_or_numbers(*metric, value)};
  if (!find_op(value.text) && !look_up(value.text, value.range)) {
    Strings names;
    for (const MetricDefinition& each : all_metrics()) names.push_back(each.name);
    for (const std::string& loss : names_of(OpCategory::loss)) names.push_back(loss);
    fail_at(value.range, fmt::format("unknown metric `{}`", value.text), suggestion_or_list(value.text, names, "the metrics are"));
  }
  return {value.text, formula(value, "a metric")};
}

// A list of them. Where two would have one name, an output's or target's is added, or a number.
std::vector<Metric> Elaborator::metrics(const Expression& value) {
  std::vector<Metric> found;
  if (value.kind != Kind::list) found.push_back(metric(value));
  for (const ExpressionPtr& child : value.children)
    if (value.kind == Kind::list) found.push_back(metric(*child));
  Strings stems;
  for (const Metric& each : found) stems.push_back(each.name.empty() ? "metric" : each.name);
  for (size_t k = 0; k < found.size(); ++k) {
    found[k].name = stems[k];
    const Formula* of = found[k].formula.operands.empty() ? nullptr : &found[k].formula.operands.front();
    const Output* first = trained_->output(Output::Role::output);
    const bool is_of_another = stems[k] == "accuracy" && of && of->kind == Formula::Kind::name && first && of->name != first->name;
    if (!is_of_another && std::count(stems.begin(), stems.end(), stems[k]) == 1) continue;
    if (of && !of->name.empty()) found[k].name += "/" + of->name;
    for (size_t before = 0; before < k; ++before)
      if (found[before].name == found[k].name) found[k].name = fmt::format("{}/{}", stems[k], k + 1);
  }
  return found;
}

}  // namespace bnc
