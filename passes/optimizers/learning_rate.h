// The learning rate's schedule, as a train section writes it and as the op learning_rate takes it.
#pragma once

#include "passes/pass.h"

namespace bnc {

// The schedule that `rate=...` of the optimizer names; null where the rate is a number.
const Symbol* schedule_of(const TrainSection& train);
// Whether the schedule ends where the run does, because it does not say how many steps it takes.
bool follows_run_length(const TrainSection& train);
// The schedule with everything counted in steps, as long as the run where it does not say how long. CompileError where
// that is not known, and where something is wrong with the schedule, at what is wrong.
Symbol complete_schedule(const TrainSection& train, const PassContext& context);

// The learning rate of a step before which `done` others were done. CompileError as above.
double rate_of_step(const TrainSection& train, const PassContext& context, int64_t done);

}  // namespace bnc
