// Work in forked processes, so that one which crashes or hangs is told and the rest goes on.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/check.h"

namespace bnc::fuzz {

// What became of one network.
struct Report {
  uint64_t seed = 0;
  std::string kind;     // of the failure; empty where there is none
  std::string text;     // what failed, and where
  std::string phase;    // what was being done
  Outcome outcome;
  bool failed() const { return !kind.empty(); }
};

// Tells the parent what this process is doing, in case it is the last thing it does.
void tell_phase(const std::string& phase);

using Work = std::function<Outcome(uint64_t seed)>;

// Runs `work` for seeds as `next` gives them, in `jobs` processes at a time, and hands out what became of each, in any order.
// A process that needs more than `limit_seconds` for one seed is killed. Stops where `next` gives nothing more, or `report` says false.
void run_children(int jobs, double limit_seconds, const std::function<std::optional<uint64_t>()>& next, const Work& work,
                  const std::function<bool(const Report&)>& report);

// One piece of work in a process of its own.
Report run_child(double limit_seconds, const Work& work);

}  // namespace bnc::fuzz
