// How well scores tell two classes apart, whatever the threshold.
#pragma once

#include <span>
#include <utility>

#include "runtime/report/answers.h"

namespace bnc {

struct ScoredExample {
  float score = 0;        // of the second class
  bool second = false;    // what it is
};

// The curves have at most a few hundred points. An example counts as of the second class where its score is above the threshold.
Ranking ranking_of(std::vector<ScoredExample> examples);

}  // namespace bnc
