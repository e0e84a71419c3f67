// Every optimizer, in the order of the documentation; the arguments that all of them have; how arguments are checked.
#include <algorithm>
#include <fmt/format.h>

#include "ir/hints.h"
#include "passes/optimizers/optimizer.h"

namespace bnc {

namespace {

template <class T> std::vector<std::string> names_of(const std::vector<T>& list) {
  std::vector<std::string> names;
  for (const T& each : list) names.push_back(each.name);
  return names;
}

}  // namespace

std::vector<OptimizerArgument> arguments_of(const OptimizerDefinition& definition) {
  std::vector<OptimizerArgument> arguments = {{.name = "rate", .kind = OptimizerArgument::Kind::rate}};
  arguments.insert(arguments.end(), definition.arguments.begin(), definition.arguments.end());
  const std::vector<OptimizerArgument> common = {{.name = "weight_decay"},
                                                 {.name = "decay_all", .kind = OptimizerArgument::Kind::flag},
                                                 {.name = "clip_norm", .range = positive},
                                                 {.name = "clip_value", .range = positive}};
  for (const OptimizerArgument& each : common) {
    const auto same = [&](const OptimizerArgument& own) { return own.name == each.name; };
    if (std::none_of(arguments.begin(), arguments.end(), same)) arguments.push_back(each);
  }
  return arguments;
}

const std::vector<OptimizerDefinition>& all_optimizers() {
  static const std::vector<OptimizerDefinition> optimizers = {sgd(), rmsprop(), adam(), adamw(), amsgrad(), lamb()};
  return optimizers;
}

OptimizerSettings::OptimizerSettings(const TrainSection& train) : train_(train) {
  const Symbol& optimizer = train.optimizer;
  for (const OptimizerDefinition& each : all_optimizers())
    if (each.name == optimizer.name) definition_ = &each;
  if (!definition_)
    fail("", fmt::format("unknown optimizer `{}`", optimizer.name),
         hint_or(Hint::Place::optimizer, optimizer.name, did_you_mean(optimizer.name, names_of(all_optimizers()))));
  const std::vector<OptimizerArgument> arguments = arguments_of(*definition_);
  for (const OptimizerArgument& argument : arguments) values_[argument.name] = argument.fallback;
  for (const auto& [name, value] : optimizer.arguments) {
    const auto argument = std::find_if(arguments.begin(), arguments.end(),
                                       [&](const OptimizerArgument& each) { return each.name == name; });
    if (argument == arguments.end())
      fail(name, fmt::format("{} has no argument `{}`", optimizer.name, name),
           hint_or(Hint::Place::optimizer_argument, name, did_you_mean(name, names_of(arguments)), optimizer.name));
    set(*argument, value);
  }
  if (!optimizer.find("rate"))
    fail("", fmt::format("{} needs a learning rate", optimizer.name), fmt::format("write `{}(rate=0.01)`", optimizer.name));
  if (definition_->check) definition_->check(*this);
}

void OptimizerSettings::set(const OptimizerArgument& argument, const Attribute& value) {
  const auto refuse = [&](const std::string& help) {
    const double* number = value.get_if<double>();
    const std::string found = number ? as_computed_with(*number) : to_string(value);
    fail(argument.name, fmt::format("`{}` of {} is {}", argument.name, train_.optimizer.name, found), help);
  };
  if (argument.kind == OptimizerArgument::Kind::flag) {
    if (!value.get_if<bool>()) refuse("it is true or false");
    values_[argument.name] = value.boolean();
    return;
  }
  if (argument.kind == OptimizerArgument::Kind::rate && value.get_if<Symbol>()) return;   // complete_schedule() checks it
  const bool is_number = value.get_if<double>() || value.get_if<int64_t>();
  if (!is_number || !argument.range.holds(value.number())) refuse("it is " + argument.range.text());
  values_[argument.name] = value.number();
}

void OptimizerSettings::fail(const std::string& argument, const std::string& text, const std::string& help) const {
  Diagnostic diagnostic{Severity::error, train_.place_of(argument), text, {}};
  diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

}  // namespace bnc
