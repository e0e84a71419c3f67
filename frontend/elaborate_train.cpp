// The train section: which network, what loss, which optimizer, for how long.
#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborator.h"
#include "ir/hints.h"

namespace bnc {

using namespace ast;

namespace {

const Strings keys = {"loss", "target", "metrics", "watch", "optimizer", "batch", "steps", "epochs", "patience", "augment", "seed"};

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

CompileError diagnose(const SourceRange& range, const std::string& text, const std::string& help) {
  Diagnostic diagnostic{Severity::error, range, text, {}};
  if (!help.empty()) diagnostic.help(help);
  return CompileError(std::move(diagnostic));
}

}  // namespace

TrainSection Elaborator::train(const ast::Train& train, const Graph* network) {
  TrainSection section;
  trained_ = network;
  if (network) graph_ = network->clone();
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
  // What is called a target is known before the loss, and its targets before metrics.
  std::vector<const Argument*> settings;
  for (const Argument& setting : train.settings) settings.push_back(&setting);
  const auto rank = [](const Argument* setting) { return setting->name == "target" ? 0 : setting->name == "loss" ? 1 : 2; };
  std::stable_sort(settings.begin(), settings.end(), [&](const Argument* a, const Argument* b) { return rank(a) < rank(b); });
  for (const Argument* each : settings) {
    const Argument& setting = *each;
    try {
      train_setting(setting, given, section);
    } catch (const CompileError& error) {
      report(error);
    } catch (const Abandon&) {
    }
  }
  auto complain = [&](const SourceRange& range, const std::string& text, const std::string& help) {
    report(diagnose(range, text, help));
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
  else if (given.contains("watch") && errors_ == 0)
    check_watch(section, *given["watch"]);
}

void Elaborator::train_setting(const Argument& setting, std::map<std::string, const Argument*>& given, TrainSection& section) {
  const std::string& key = setting.name;
  const Expression& value = *setting.value;
  if (std::find(keys.begin(), keys.end(), key) == keys.end())
    fail_at(setting.name_range, fmt::format("unknown setting `{}`", key),
            hint_or(Hint::Place::setting, key, suggestion_or_list(key, keys, "the settings are")));
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
    section.loss_range = value.range;
    if (trained_) section.loss = loss(value);
    targets_known_ = true;
  } else if (key == "metrics") {
    if (trained_ && targets_known_) section.metrics = metrics(value);   // else the loss is wrong, or missing
  } else if (key == "watch" || key == "target") {
    if (value.kind != Expression::Kind::name) fail_at(value.range, fmt::format("`{}` is a name", key));
    (key == "watch" ? section.watch : target_name_) = value.text;
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

// `watch` is `loss` or one of the metrics, of which there is accuracy without being named.
void Elaborator::check_watch(const TrainSection& section, const Argument& setting) {
  Strings names = {"loss", "accuracy"};
  for (const Metric& metric : section.metrics) names.push_back(metric.name);
  if (std::find(names.begin(), names.end(), section.watch) != names.end()) return;
  report(diagnose(setting.value->range, fmt::format("`watch` is `loss` or a metric, but there is no `{}`", section.watch),
                  suggestion_or_list(section.watch, names, "there are")));
}

}  // namespace bnc
