// Adam (Kingma & Ba, 2015), AMSGrad (Reddi, Kale & Kumar, "On the convergence of Adam and beyond", 2018) and AdamW
// (Loshchilov & Hutter, "Decoupled weight decay regularization", 2019), in PyTorch's form.
#include "passes/optimizers/optimizer.h"

namespace bnc {

namespace {

using Arguments = std::vector<OptimizerArgument>;

Arguments moments() {
  return {{.name = "beta1", .fallback = 0.9, .range = decay_range},
          {.name = "beta2", .fallback = 0.999, .range = decay_range},
          {.name = "epsilon", .fallback = 1e-8}};
}

Arguments with(Arguments arguments, OptimizerArgument more) {
  arguments.push_back(std::move(more));
  return arguments;
}

const OptimizerArgument amsgrad_flag = {.name = "amsgrad", .kind = OptimizerArgument::Kind::flag};

// m and s are the moving averages of g and g^2, c1 = 1 - beta1^t and c2 = 1 - beta2^t; AMSGrad takes the greatest s so far:
// from - rate/c1 * m/(sqrt(s/c2) + epsilon).
Value adam_step(ParameterUpdate& step, Value g, Value from, bool amsgrad) {
  GraphBuilder& b = step.builder;
  const double beta1 = step.settings.number("beta1"), beta2 = step.settings.number("beta2");
  const Value mean = step.average("mean", beta1, g);
  Value square = step.average("square", beta2, b.mul(g, g));
  if (amsgrad) {
    square = b.value("maximum", {step.state("greatest_square"), square});
    step.keep("greatest_square", square);
  }
  const Value rate = step.scalars.rate(), c1 = step.scalars.correction(beta1), c2 = step.scalars.correction(beta2);
  const Value length = b.div(rate, c1), scale = b.value("rsqrt", {c2});
  const Value deviation = b.mul(b.value("sqrt", {square}), scale);
  return b.sub(from, b.mul(over_deviation(b, mean, deviation, step.settings.number("epsilon")), length));
}

}  // namespace

OptimizerDefinition adam() {
  return {.name = "adam", .arguments = with(moments(), amsgrad_flag), .update = [](ParameterUpdate& step, Value gradient) {
            return adam_step(step, with_penalty(step, gradient), step.parameter, step.settings.flag("amsgrad"));
          }};
}

OptimizerDefinition amsgrad() {
  return {.name = "amsgrad", .arguments = moments(), .update = [](ParameterUpdate& step, Value gradient) {
            return adam_step(step, with_penalty(step, gradient), step.parameter, true);
          }};
}

// The decay is no part of the gradient: it takes the share rate*weight_decay of the parameter itself.
OptimizerDefinition adamw() {
  const Arguments arguments = with(with(moments(), amsgrad_flag), {.name = "weight_decay", .fallback = 0.01});
  return {.name = "adamw", .arguments = arguments, .update = [](ParameterUpdate& step, Value gradient) {
            GraphBuilder& b = step.builder;
            Value from = step.parameter;
            if (step.decays()) {
              const Value share = b.scale(step.scalars.rate(), step.settings.number("weight_decay")), one = b.constant(1);
              from = b.mul(from, b.sub(one, share));
            }
            return adam_step(step, gradient, from, step.settings.flag("amsgrad"));
          }};
}

}  // namespace bnc
