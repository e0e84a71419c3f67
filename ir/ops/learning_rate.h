// What attach-optimizer needs to know of schedules of the learning rate.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/attribute.h"

namespace bnc::ops {

// What is wrong with a schedule, which constraint of learning_rate it breaks, and what would help; the argument to blame, if it is one.
struct ScheduleProblem {
  int constraint = 0;
  std::string text, help, argument;
};
std::optional<ScheduleProblem> check_schedule(const Symbol& schedule);

// Whether a schedule of that name ends, so that its argument `steps` must be known.
bool schedule_has_length(const std::string& schedule);
// The arguments that count steps, of any schedule.
const std::vector<std::string>& schedule_counts();

// The rate of a step before which `done` others were done, of a schedule in which nothing is wrong.
double scheduled_rate(const Symbol& schedule, int64_t done);

}  // namespace bnc::ops
