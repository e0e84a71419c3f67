// Optimizers: one definition each, in a file of its own, in the table of passes/optimizers/registry.cpp.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/number_range.h"
#include "passes/pass.h"

namespace bnc {

// What an optimizer can be given, `momentum=0.9`, and what it is where it is not given.
struct OptimizerArgument {
  enum class Kind { number, flag, rate };   // a rate is a number or a schedule
  std::string name;
  Kind kind = Kind::number;
  double fallback = 0;
  NumberRange range = not_negative;
};

// The optimizer of a train section, with its arguments checked. CompileError with advice for an unknown
// name, an unknown or missing argument, and one of the wrong kind or out of its range, at what is wrong.
class OptimizerSettings {
 public:
  explicit OptimizerSettings(const TrainSection& train);

  const struct OptimizerDefinition& definition() const { return *definition_; }
  const TrainSection& train() const { return train_; }
  double number(const std::string& argument) const { return values_.at(argument); }
  bool flag(const std::string& argument) const { return values_.at(argument) != 0; }
  // At that argument, or at the whole optimizer where it was not given.
  [[noreturn]] void fail(const std::string& argument, const std::string& text, const std::string& help) const;

 private:
  void set(const OptimizerArgument& argument, const Attribute& value);

  const TrainSection& train_;
  const OptimizerDefinition* definition_ = nullptr;
  std::map<std::string, double> values_;
};

// Numbers that all parameters share, computed once a step.
class StepScalars {
 public:
  StepScalars(Graph& graph, const OptimizerSettings& settings, const PassContext& context)
      : graph_(graph), settings_(settings), context_(context) {}

  // The learning rate of this step.
  Value rate();
  // 1 - decay^t behind step t = 1, 2 ...: what a moving average that began at 0 is divided by.
  Value correction(double decay);

 private:
  Graph& graph_;
  const OptimizerSettings& settings_;
  const PassContext& context_;
  Value rate_;
  std::map<double, Value> corrections_;
};

// Builds the update of one parameter.
class ParameterUpdate {
 public:
  ParameterUpdate(Graph& graph, const OptimizerSettings& settings, StepScalars& scalars, Value parameter)
      : builder(graph), settings(settings), scalars(scalars), parameter(parameter) {}

  GraphBuilder builder;
  const OptimizerSettings& settings;
  StepScalars& scalars;
  const Value parameter;

  // Weight decay leaves out what has at most one dimension, gamma, beta and biases, unless `decay_all` is given.
  bool is_excluded() const;
  // Whether there is a weight decay, and not for others only.
  bool decays() const { return settings.number("weight_decay") != 0 && !is_excluded(); }
  // A state like the parameter, zeros at first, named `optimizer.PARAMETER.KIND`, and its value behind the step.
  Value state(const std::string& kind);
  void keep(const std::string& kind, Value next);
  // The moving average decay*s + (1 - decay)*sample in a state s, behind the step.
  Value average(const std::string& kind, double decay, Value sample);

 private:
  std::string state_name(const std::string& kind) const;
};

struct OptimizerDefinition {
  std::string name;
  std::vector<OptimizerArgument> arguments;   // beside or in place of those that every optimizer has
  // The parameter behind the step, from its gradient.
  Value (*update)(ParameterUpdate& step, Value gradient) = nullptr;
  // What no range can say, where there is such a thing.
  void (*check)(const OptimizerSettings& settings) = nullptr;
};

const std::vector<OptimizerDefinition>& all_optimizers();
// Its own and those that every optimizer has; `rate` has no fallback, it must be given.
std::vector<OptimizerArgument> arguments_of(const OptimizerDefinition& definition);

OptimizerDefinition sgd();
OptimizerDefinition rmsprop();
OptimizerDefinition adam();
OptimizerDefinition adamw();
OptimizerDefinition amsgrad();
OptimizerDefinition lamb();

// mean/(deviation + epsilon). Where epsilon is 0 as f32, what has no deviation takes no step: 0/0 counts as 0.
Value over_deviation(GraphBuilder& b, Value mean, Value deviation, double epsilon);

// The gradients of all parameters cut off at +-clip_value, then scaled down to a common norm of at most clip_norm, where
// these are given.
std::vector<Value> clip_gradients(Graph& graph, const OptimizerSettings& settings, std::vector<Value> gradients);

// gradient + weight_decay*parameter (an L2 penalty), where the parameter decays.
Value with_penalty(ParameterUpdate& step, Value gradient);

}  // namespace bnc
