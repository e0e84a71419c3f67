#include "passes/optimizers/optimizer.h"

namespace bnc {

// Stochastic gradient descent in PyTorch's form: v = momentum*v + g; w = w - rate*v, or with Nesterov's look-ahead
// w = w - rate*(g + momentum*v).
OptimizerDefinition sgd() {
  return {.name = "sgd",
          .arguments = {{.name = "momentum", .range = below_one}, {.name = "nesterov", .kind = OptimizerArgument::Kind::flag}},
          .update =
              [](ParameterUpdate& step, Value gradient) {
                GraphBuilder& b = step.builder;
                const double momentum = step.settings.number("momentum");
                const Value g = with_penalty(step, gradient);
                Value direction = g;
                if (momentum != 0) {
                  const Value velocity = b.add(b.scale(step.state("velocity"), momentum), g);
                  step.keep("velocity", velocity);
                  direction = step.settings.flag("nesterov") ? b.add(g, b.scale(velocity, momentum)) : velocity;
                }
                return b.sub(step.parameter, b.mul(direction, step.scalars.rate()));
              },
          .check =
              [](const OptimizerSettings& settings) {
                if (settings.flag("nesterov") && settings.number("momentum") == 0)
                  settings.fail("nesterov", "nesterov needs a momentum", "write sgd(rate=..., momentum=0.9, nesterov)");
              }};
}

}  // namespace bnc
