// Which tensor of a training step is the first that is not finite.
#pragma once

#include <optional>
#include <string>

#include "bnc/bnc.h"
#include "ir/diagnostic.h"
#include "runtime/objective.h"

namespace bnc {

struct NotFiniteTensor {
  std::string name;    // `dense_2`, `relu`, `loss`, `grad/dense_1.weight`
  std::string what;    // "the result of `dense_2`, f32[16, 3]: 48 of its 48 numbers"
  SourceRange range;
};

// A training step that is about to be taken.
struct PendingStep {
  const WeightStore& weights;
  const NamedArrays& hidden_state;
  const Batch& batch;
  TargetKind targets;
};

// In the order in which a step computes them: results of the network's layers, the loss, gradients from the last parameter to the
// first. Nothing where all of them are finite. `options` are those of the training session.
std::optional<NotFiniteTensor> first_not_finite(const Network& network, const Objective& objective, CompileOptions options,
                                                const PendingStep& step);

}  // namespace bnc
