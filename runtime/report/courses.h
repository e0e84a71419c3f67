// The figures of a run's history, as curves.
#pragma once

#include <string>
#include <vector>

#include "runtime/report/record.h"

namespace bnc {

// A figure over the training steps, and over those behind which there was a test. Points may be NaN.
struct FigureCourse {
  std::string name;      // "loss"
  std::string meaning;   // "loss an example"
  bool logarithmic = false;
  Points training, tests;
};

// One for each figure of the history, in its order.
std::vector<FigureCourse> courses_of(const RunRecord& run);
Points rates_of(const RunRecord& run);

std::string capitalized(std::string text);

}  // namespace bnc
