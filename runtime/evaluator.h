// Loss and accuracy of an inference session over a data set.
#pragma once

#include <functional>

#include "bnc/bnc.h"
#include "runtime/objective.h"

namespace bnc {

// Called with the predictions for examples [first, first + count).
using PredictionVisitor = std::function<void(int64_t first, int64_t count, std::span<const float> predictions)>;

// In batches in order, the last one smaller where the count asks for it. The session takes any batch size.
EvaluationResult evaluate_session(Session& session, const Objective& objective, const Dataset& data, int64_t batch,
                                  const std::function<void(const Progress&)>& on_progress = {}, const PredictionVisitor& visit = {});

}  // namespace bnc
