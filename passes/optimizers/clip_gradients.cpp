#include "passes/optimizers/optimizer.h"

namespace bnc {

namespace {

constexpr double clip_epsilon = 1e-6;   // PyTorch's, beside the norm

// min(1, clip_norm/(norm + epsilon)), of the norm of all gradients together. NaN where the norm is.
Value norm_factor(GraphBuilder& b, const std::vector<Value>& gradients, double clip_norm) {
  Value squares;
  for (Value gradient : gradients) {
    const Value sum = b.value("reduce_sum", {b.mul(gradient, gradient)});
    squares = squares ? b.add(squares, sum) : sum;
  }
  const Value limit = b.constant(clip_norm), epsilon = b.constant(clip_epsilon), norm = b.add(b.value("sqrt", {squares}), epsilon);
  return b.value("clip", {b.div(limit, norm)}, {{"low", 0.0}, {"high", 1.0}});
}

}  // namespace

std::vector<Value> clip_gradients(Graph& graph, const OptimizerSettings& settings, std::vector<Value> gradients) {
  GraphBuilder b(graph);
  if (const double limit = settings.number("clip_value"); limit > 0) {
    for (Value& gradient : gradients) gradient = b.value("clip", {gradient}, {{"low", -limit}, {"high", limit}});
  }
  if (const double limit = settings.number("clip_norm"); limit > 0 && !gradients.empty()) {
    const Value factor = norm_factor(b, gradients, limit);
    for (Value& gradient : gradients) gradient = b.mul(gradient, factor);
  }
  return gradients;
}

}  // namespace bnc
