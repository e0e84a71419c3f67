// The number of training steps done: the state `training.step: i32[]`, from which dropout, bias corrections and schedules of
// the learning rate follow.
#pragma once

#include "ir/graph.h"

namespace bnc {

struct StepCounter {
  Value done, next;   // before this step and behind it
};

// The graph's counter; made at its end, or before `position`, where there is none.
StepCounter step_counter(Graph& graph, const Node* position = nullptr);

}  // namespace bnc
