#include "passes/optimizers/optimizer.h"

namespace bnc {

namespace {

Value norm(GraphBuilder& b, Value x) { return b.value("sqrt", {b.value("reduce_sum", {b.mul(x, x)})}); }

}  // namespace

// LAMB (You et al., "Large batch optimization for deep learning", 2020, algorithm 2): Adam's direction with bias
// corrections, u = m/c1/(sqrt(s/c2) + epsilon) + weight_decay*w, and a step as long as the layer's weights allow:
// w = w - rate*|w|/|u|*u. As in the authors' code, what weight decay leaves out takes the step rate*u.
OptimizerDefinition lamb() {
  return {.name = "lamb",
          .arguments = {{.name = "beta1", .fallback = 0.9, .range = decay_range},
                        {.name = "beta2", .fallback = 0.999, .range = decay_range},
                        {.name = "epsilon", .fallback = 1e-6}},
          .update = [](ParameterUpdate& step, Value g) {
            GraphBuilder& b = step.builder;
            const double beta1 = step.settings.number("beta1"), beta2 = step.settings.number("beta2");
            const Value rate = step.scalars.rate(), c1 = step.scalars.correction(beta1), c2 = step.scalars.correction(beta2);
            const Value mean = step.average("mean", beta1, g), square = step.average("square", beta2, b.mul(g, g));
            const Value deviation = b.mul(b.value("sqrt", {square}), b.value("rsqrt", {c2}));
            Value u = b.div(over_deviation(b, mean, deviation, step.settings.number("epsilon")), c1);
            Value length = rate;
            if (!step.is_excluded()) {
              u = with_penalty(step, u);
              const Value weights = norm(b, step.parameter), direction = norm(b, u);
              length = b.mul(rate, b.value("trust_ratio", {weights, direction}));
            }
            return b.sub(step.parameter, b.mul(u, length));
          }};
}

}  // namespace bnc
