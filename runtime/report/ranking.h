// How well scores tell two classes apart, whatever the threshold.
#pragma once

#include <span>
#include <utility>

#include "runtime/report/answers.h"

namespace bnc {

struct ScoredExample {
  double rank = 0;         // a number that grows with the probability, and differs also where that is rounded to 0 or 1
  float probability = 0;   // of the second class
  bool positive = false;   // of the second class
};

// The curves have at most a few hundred points. An example counts as of the second class where its probability is above the threshold.
Ranking ranking_of(std::vector<ScoredExample> examples);

}  // namespace bnc
