// Progress of long work: a bar redrawn in place on a terminal, plain lines now and then otherwise; both on stderr.
#pragma once

#include <chrono>
#include <string>

#include "bnc/bnc.h"

namespace bnc::tools {

class ProgressDisplay {
 public:
  // Without `figures` the work has neither loss nor accuracy to show.
  explicit ProgressDisplay(std::string title, bool figures = true);
  ~ProgressDisplay() { finish(); }
  ProgressDisplay(const ProgressDisplay&) = delete;

  // Draws the bar anew where that is due. The result of a test of a training run gets a line of its own, which stays.
  void update(const Progress& progress);
  // Leaves the bar behind, as it was while the work went on, and goes on in a new line.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  std::string time_of(const Progress& progress) const;
  void draw(const Progress& progress);

  std::string title_;
  bool figures_, terminal_;
  bool drawn_ = false;
  Progress latest_;   // that was drawn
  int64_t epoch_ = 0, tested_step_ = 0;
  bool begun_ = false;
  const Clock::time_point start_;
  Clock::time_point last_;
};

}  // namespace bnc::tools
