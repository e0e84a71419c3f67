// The number of training steps done: the state `training.step: i32[]`, from which dropout, bias corrections and schedules of
// the learning rate follow.
#pragma once

#include "ir/graph.h"

namespace bnc {

// The graph's counter before the step, which adds one; made at the graph's end, or before `position`, where there is none.
Value step_counter(Graph& graph, const Node* position = nullptr);

}  // namespace bnc
