// The answers of a network over a data set, for its report.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/answer_kind.h"
#include "runtime/report/answers.h"

namespace bnc {

// The true answers for a batch; one of them is filled.
struct Truths {
  std::span<const int32_t> labels;   // as many as rows of the output; those that are no class are left out
  std::span<const float> numbers;
};

// Collects the answers that one output gives.
class AnswerCollector {
 public:
  virtual ~AnswerCollector() = default;
  // The output's numbers for examples [first, first + count).
  virtual void add(int64_t first, int64_t count, std::span<const float> predictions, const Truths& truths) = 0;
  // What came of them all, with pictures of examples that are images.
  virtual OutputAnswers answers(const Dataset& data) const = 0;
};

std::unique_ptr<AnswerCollector> collector_of(const AnswerKind& kind);

// An example as a PNG data URI, of every k-th pixel where it is large; empty where it is no grey or RGB image.
std::string image_of(const Dataset& data, int64_t example);

}  // namespace bnc
