#include "passes/optimizers/learning_rate.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "ir/ops/learning_rate.h"

namespace bnc {

namespace {

// At that argument of the schedule, or at all of it where none is given.
[[noreturn]] void fail(const TrainSection& train, const std::string& argument, const std::string& text, const std::string& help) {
  Diagnostic diagnostic{Severity::error, train.place_of(argument.empty() ? "rate" : "rate." + argument), text, {}};
  diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

// `count` epochs as steps; what is no count is left to the op to refuse.
Attribute in_steps(const Attribute& count, int64_t steps_an_epoch) {
  const auto scaled = [&](int64_t number) {
    int64_t product = 0;
    return __builtin_mul_overflow(number, steps_an_epoch, &product) ? std::numeric_limits<int64_t>::max() : product;
  };
  if (const int64_t* number = count.get_if<int64_t>()) return scaled(*number);
  const IntList* list = count.get_if<IntList>();
  if (!list) return count;
  IntList steps;
  for (int64_t number : *list) steps.push_back(scaled(number));
  return steps;
}

// Takes the flag `in_epochs` out of the schedule.
bool take_epochs(Symbol& schedule, const TrainSection& train) {
  const auto flag = std::find_if(schedule.arguments.begin(), schedule.arguments.end(),
                                 [](const auto& argument) { return argument.first == "in_epochs"; });
  if (flag == schedule.arguments.end()) return false;
  const bool* value = flag->second.get_if<bool>();
  if (!value)
    fail(train, "in_epochs", fmt::format("`in_epochs` of `{}` is {}", schedule.name, to_string(flag->second)), "it is true or false");
  const bool in_epochs = *value;
  schedule.arguments.erase(flag);
  return in_epochs;
}

}  // namespace

const Symbol* schedule_of(const TrainSection& train) {
  const Attribute* rate = train.optimizer.find("rate");
  return rate ? rate->get_if<Symbol>() : nullptr;
}

bool follows_run_length(const TrainSection& train) {
  const Symbol* schedule = schedule_of(train);
  return schedule && ops::schedule_has_length(schedule->name) && !schedule->find("steps");
}

Symbol complete_schedule(const TrainSection& train, const PassContext& context) {
  Symbol schedule = *schedule_of(train);
  if (take_epochs(schedule, train)) {
    if (!context.steps_an_epoch)
      fail(train, "in_epochs", fmt::format("`{}` counts epochs, but how many steps an epoch takes is not known here", schedule.name),
           "`bnc train` knows it from the data; elsewhere count steps");
    for (auto& [name, value] : schedule.arguments) {
      const auto& counts = ops::schedule_counts();
      if (std::find(counts.begin(), counts.end(), name) != counts.end()) value = in_steps(value, *context.steps_an_epoch);
    }
  }
  if (follows_run_length(train)) {
    const std::optional<int64_t> steps = context.run_steps ? context.run_steps : train.steps;
    if (!steps)
      fail(train, "", fmt::format("`{}` runs over the whole training, but how many steps that takes is not known here", schedule.name),
           fmt::format("`bnc train` knows it; elsewhere write {}(..., steps=10000), or `steps = 10000` in the train section",
                       schedule.name));
    schedule.arguments.emplace_back("steps", *steps);
  }
  if (const auto problem = ops::check_schedule(schedule)) fail(train, problem->argument, problem->text, problem->help);
  return schedule;
}

double rate_of_step(const TrainSection& train, const PassContext& context, int64_t done) {
  return schedule_of(train) ? ops::scheduled_rate(complete_schedule(train, context), done) : train.optimizer.number("rate", 0);
}

}  // namespace bnc
