// Progress of long work: a bar redrawn in place on a terminal, plain lines now and then otherwise; both on stderr.
#pragma once

#include <chrono>
#include <string>

#include "bnc/bnc.h"

namespace bnc::tools {

class ProgressDisplay {
 public:
  explicit ProgressDisplay(std::string title);
  ~ProgressDisplay() { finish(); }
  ProgressDisplay(const ProgressDisplay&) = delete;

  void update(const Progress& progress);
  // Leaves the bar behind and goes on in a new line.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  std::string title_;
  bool terminal_;
  bool drawn_ = false;
  int64_t epoch_ = 0;
  Clock::time_point last_;
};

}  // namespace bnc::tools
