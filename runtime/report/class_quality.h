// How well each class is told from the others.
#pragma once

#include <span>
#include <vector>

#include "runtime/report/answers.h"

namespace bnc {

struct ClassQuality {
  double precision = 0;   // the share of right ones among the answers of this class; NaN where there is none
  double recall = 0;      // the share of right answers among its examples; NaN where there is none
  double f1 = 0;          // the harmonic mean of both; NaN where there is neither
  int64_t examples = 0;
};

std::vector<ClassQuality> qualities_of(const ClassAnswers& answers);
// Over the classes that occur, in examples or answers, each with the same weight or with that of its examples. What a class has none of
// counts as 0.
ClassQuality mean_quality(std::span<const ClassQuality> classes, bool by_examples);

}  // namespace bnc
