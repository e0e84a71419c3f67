// Loss and accuracy of an inference session over a data set.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "bnc/bnc.h"
#include "runtime/objective.h"

namespace bnc {

// Called when the session has run on examples [first, first + count), which `batch` holds.
using BatchVisitor = std::function<void(int64_t first, int64_t count, const Batch& batch)>;

// What a session that has run knows of its batch.
Objective::Run run_of(const Session& session, const WeightStore& weights);

// Runs the session, which takes any batch size, on those examples; `batch` then holds them.
void run_examples(Session& session, const Objective& objective, const Dataset& data, std::span<const int64_t> indices,
                  const BatchShape& shape, Batch& batch);

struct EvaluationHooks {
  std::function<void(const Progress&)> on_progress = {};
  std::function<bool()> stop = {};   // polled between batches
  BatchVisitor visit = {};
};

// In batches in order, of a session with those weights, the last one smaller where the count asks for it. The session takes any batch size.
// Nothing where `stop` returned true.
std::optional<EvaluationResult> evaluate_session(Session& session, const Objective& objective, const WeightStore& weights,
                                                 const Dataset& data, int64_t batch, const EvaluationHooks& hooks = {});

}  // namespace bnc
