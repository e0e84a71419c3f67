// What the updates of all optimizers are built with.
#include <fmt/format.h>

#include "passes/graph/rewrite.h"
#include "passes/optimizers/learning_rate.h"
#include "passes/optimizers/optimizer.h"
#include "passes/optimizers/step_counter.h"

namespace bnc {

Value StepScalars::rate() {
  if (rate_) return rate_;
  GraphBuilder builder(graph_);
  const TrainSection& train = settings_.train();
  builder.at(train.optimizer_range);
  rate_ = schedule_of(train) ? builder.value("learning_rate", {step_counter(graph_)}, {{"schedule", complete_schedule(train, context_)}})
                             : builder.constant(settings_.number("rate"));
  return rate_;
}

Value StepScalars::correction(double decay) {
  GraphBuilder builder(graph_);
  Value& correction = corrections_[decay];
  if (correction) return correction;
  return correction = decay == 0 ? builder.constant(1)
                                 : builder.value("one_minus_power", {step_counter(graph_)}, {{"decay", decay}, {"offset", 1}});
}

bool ParameterUpdate::is_excluded() const { return parameter.type().rank() <= 1 && !settings.flag("decay_all"); }

std::string ParameterUpdate::state_name(const std::string& kind) const { return fmt::format("optimizer.{}.{}", parameter.name(), kind); }

Value ParameterUpdate::state(const std::string& kind) {
  return GraphBuilder::after(builder.graph(), parameter.node).state(state_name(kind), parameter.type(), Symbol{"zeros", {}});
}

void ParameterUpdate::keep(const std::string& kind, Value next) {
  builder.graph().outputs.push_back({Output::Role::update, state_name(kind), next});
}

// A long average takes a step towards the sample: the step's weight, rounded, keeps all its digits, and two multiply-adds
// do it. A short one would keep rounding errors of what it forgets.
Value ParameterUpdate::average(const std::string& kind, double decay, Value sample) {
  if (decay == 0) return sample;
  const double weight = rest_of(decay);
  const Value old = state(kind);
  const Value base = decay < 0.5 ? builder.scale(old, decay) : old, towards = decay < 0.5 ? sample : builder.sub(sample, old);
  const Value next = builder.add(base, builder.scale(towards, weight));
  keep(kind, next);
  return next;
}

Value over_deviation(GraphBuilder& b, Value mean, Value deviation, double epsilon) {
  if (static_cast<float>(epsilon) > 0) return b.div(mean, b.add(deviation, b.constant(epsilon)));
  constexpr double large = 1e30;   // takes the root of the smallest f32 beyond 1
  const Value deviates = b.value("clip", {b.scale(deviation, large)}, {{"low", 0.0}, {"high", 1.0}});   // 1 or 0
  return b.div(b.mul(mean, deviates), b.add(deviation, b.sub(b.constant(1), deviates)));
}

Value with_penalty(ParameterUpdate& step, Value gradient) {
  if (!step.decays()) return gradient;
  return step.builder.add(gradient, step.builder.scale(step.parameter, step.settings.number("weight_decay")));
}

}  // namespace bnc
