// The train section: which network, what loss, which optimizer, for how long.
#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborator.h"

namespace bnc {

using namespace ast;

namespace {

const Strings keys = {"loss", "optimizer", "batch", "steps", "epochs", "patience", "augment", "seed"};

// Where the arguments of a call stand, `name=value`; those of a call within it behind its own name and a point.
void find_arguments(const Expression& call, const std::string& prefix, std::map<std::string, SourceRange>& places) {
  for (const Argument& argument : call.arguments) {
    const Expression& value = *argument.value;
    SourceRange place = argument.name.empty() ? value.range : argument.name_range;
    if (place.line == value.range.line) place.length = value.range.column + value.range.length - place.column;
    const std::string name = prefix + (argument.name.empty() ? value.text : argument.name);
    places[name] = place;
    find_arguments(value, name + ".", places);
  }
}

}  // namespace

TrainSection Elaborator::train(const ast::Train& train) {
  TrainSection section;
  section.network = train.network;
  section.range = train.range;
  Scope scope;
  scope_ = &scope;
  try {
    settings(train, section);
  } catch (const Stop&) {
  }
  scope_ = nullptr;
  return section;
}

void Elaborator::settings(const ast::Train& train, TrainSection& section) {
  std::map<std::string, const Argument*> given;
  for (const Argument& setting : train.settings) {
    try {
      train_setting(setting, given, section);
    } catch (const CompileError& error) {
      report(error);
    } catch (const Abandon&) {
    }
  }
  auto complain = [&](const SourceRange& range, const std::string& text, const std::string& help) {
    Diagnostic diagnostic{Severity::error, range, text, {}};
    if (!help.empty()) diagnostic.help(help);
    report(CompileError(std::move(diagnostic)));
  };
  Strings networks;
  for (const ast::Function& network : module_.networks) networks.push_back(network.name);
  if (std::find(networks.begin(), networks.end(), train.network) == networks.end())
    complain(train.range, fmt::format("there is no network `{}` to train", train.network),
             suggestion_or_list(train.network, networks, "the networks of this file:"));
  else if (!given.contains("loss"))
    complain(train.range, "the train section has no `loss`", "for example `loss = softmax_cross_entropy(labels)`");
  else if (!given.contains("optimizer"))
    complain(train.range, "the train section has no `optimizer`", "for example `optimizer = sgd(rate=0.01)`");
}

void Elaborator::train_setting(const Argument& setting, std::map<std::string, const Argument*>& given, TrainSection& section) {
  const std::string& key = setting.name;
  const Expression& value = *setting.value;
  if (std::find(keys.begin(), keys.end(), key) == keys.end())
    fail_at(setting.name_range, fmt::format("unknown setting `{}`", key), suggestion_or_list(key, keys, "the settings are"));
  auto clash = [&](const std::string& other, const std::string& text) {
    if (!given.contains(other)) return;
    Diagnostic diagnostic{Severity::error, setting.name_range, text, {}};
    diagnostic.note("the other one", given[other]->name_range);
    throw CompileError(std::move(diagnostic));
  };
  clash(key, fmt::format("`{}` is set twice", key));
  if (key == "steps" || key == "epochs")
    clash(key == "steps" ? "epochs" : "steps", "a run is measured in `steps` or in `epochs`, not in both");
  given[key] = &setting;
  if (key == "loss") {
    section.loss = loss(value);
    section.loss_range = value.range;
  } else if (key == "optimizer") {
    section.optimizer = symbol(value);
    section.optimizer_range = value.range;
    find_arguments(value, "", section.optimizer_arguments);
  } else if (key == "augment") {
    section.augment = augment(value);
    section.augment_range = value.range;
  } else {
    Term term = evaluate(value);
    const int64_t* number = term.get_if<int64_t>();
    int64_t least = key == "seed" ? 0 : 1;
    if (!number || *number < least)
      fail_at(value.range,
              fmt::format("`{}` is an integer of at least {}, but this is {}", key, least, describe(term, graph_.batch_symbol)));
    if (key == "batch") section.batch = *number;
    if (key == "seed") section.seed = *number;
    if (key == "steps") section.steps = *number;
    if (key == "epochs") section.epochs = *number;
    if (key == "patience") section.patience = *number;
  }
}

// An op of the category loss with its attributes, and at most one bare name: what the targets are called.
Symbol Elaborator::loss(const Expression& value) {
  Strings losses;
  for (const OpDefinition& op : all_ops())
    if (op.category == OpCategory::loss) losses.push_back(op.name);
  if (value.kind != Expression::Kind::name && value.kind != Expression::Kind::call)
    fail_at(value.range, "expected a loss such as `softmax_cross_entropy(labels)`");
  SourceRange name = value.range;
  name.length = static_cast<int>(value.text.size());
  if (std::find(losses.begin(), losses.end(), value.text) == losses.end())
    fail_at(name, fmt::format("unknown loss `{}`", value.text), suggestion_or_list(value.text, losses, "the losses are"));
  const OpDefinition& op = *find_op(value.text);
  Symbol result{op.name, {}};
  Strings names;
  for (const AttributeSpec& each : op.attributes) names.push_back(each.name);
  bool target = false;
  for (const Argument& argument : value.arguments) {
    const Expression& given = *argument.value;
    if (argument.name.empty()) {
      if (given.kind != Expression::Kind::name)
        fail_at(given.range, "expected a name for the input that holds the targets, as in `softmax_cross_entropy(labels)`");
      if (std::exchange(target, true)) fail_at(given.range, "a loss has one input for the targets, but this is a second name");
      result.arguments.emplace_back(given.text, true);
      continue;
    }
    const AttributeSpec* spec = op.attribute(argument.name);
    if (!spec)
      fail_at(argument.name_range, fmt::format("`{}` has no attribute `{}`", op.name, argument.name),
              suggestion_or_list(argument.name, names, "it has"));
    if (result.find(argument.name)) fail_at(argument.name_range, fmt::format("`{}` is given twice", argument.name));
    result.arguments.emplace_back(argument.name, attribute(op, *spec, evaluate_symbol(given, spec->choices), given.range));
  }
  return result;
}

}  // namespace bnc
