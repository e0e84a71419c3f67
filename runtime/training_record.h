// How a model was trained, as its weights file tells it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bnc/bnc.h"

namespace bnc {

struct TrainingRecord {
  std::string data, test, weights;   // specifications; the file it began with; empty where there was none
  double validate = 0;               // the share of the training examples held out
  std::string loss, optimizer;       // of the train section
  uint64_t seed = 0;
  int64_t batch = 0, steps = 0;
  double epochs = 0;
  bool restat = false;               // the statistics were estimated again
  // The figures at the end, of what is in the file: of the last epoch's training examples, of those held out, of the test.
  std::optional<EvaluationResult> train, validation, test_result;

  // As JSON, for the metadata of a weights file.
  std::string to_text() const;
  // Nothing where the text is damaged.
  static std::optional<TrainingRecord> parse(const std::string& text);
  // "on fashion-mnist for 10000 steps".
  std::string describe() const;
};

}  // namespace bnc
