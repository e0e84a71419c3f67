#include "passes/optimizers/optimizer.h"

namespace bnc {

// RMSProp (Hinton, "Neural networks for machine learning", lecture 6e, 2012) in PyTorch's form: s is the moving average of
// g^2, d = g/(sqrt(s) + epsilon); w = w - rate*d, or with a momentum v = momentum*v + d; w = w - rate*v.
OptimizerDefinition rmsprop() {
  return {.name = "rmsprop",
          .arguments = {{.name = "smoothing", .fallback = 0.99, .range = decay_range},
                        {.name = "momentum", .range = below_one},
                        {.name = "epsilon", .fallback = 1e-8}},
          .update = [](ParameterUpdate& step, Value gradient) {
            GraphBuilder& b = step.builder;
            const double momentum = step.settings.number("momentum");
            const Value g = with_penalty(step, gradient);
            const Value square = step.average("square", step.settings.number("smoothing"), b.mul(g, g));
            Value direction = over_deviation(b, g, b.value("sqrt", {square}), step.settings.number("epsilon"));
            if (momentum != 0) {
              direction = b.add(b.scale(step.state("velocity"), momentum), direction);
              step.keep("velocity", direction);
            }
            return b.sub(step.parameter, b.mul(direction, step.scalars.rate()));
          }};
}

}  // namespace bnc
