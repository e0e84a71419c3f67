// What the updates of all optimizers are built with.
#include <fmt/format.h>

#include "passes/optimizers/optimizer.h"
#include "passes/step_counter.h"

namespace bnc {

Value StepScalars::rate() {
  if (!rate_) rate_ = GraphBuilder(graph_).constant(settings_.number("rate"));
  return rate_;
}

Value StepScalars::correction(double decay) {
  GraphBuilder builder(graph_);
  Value& correction = corrections_[decay];
  if (!correction) correction = decay == 0 ? builder.constant(1) : builder.value("one_minus_power", {step_counter(graph_).next}, {{"decay", decay}});
  return correction;
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
  const double weight = std::stod(fmt::format("{:.15g}", 1 - decay));   // 0.1, not 0.09999999999999998
  const Value old = state(kind);
  const Value next = decay < 0.5 ? builder.add(builder.scale(old, decay), builder.scale(sample, weight))
                                 : builder.add(old, builder.scale(builder.sub(sample, old), weight));
  keep(kind, next);
  return next;
}

Value with_penalty(ParameterUpdate& step, Value gradient) {
  if (!step.decays()) return gradient;
  return step.builder.add(gradient, step.builder.scale(step.parameter, step.settings.number("weight_decay")));
}

}  // namespace bnc
