// What an output of a network answers about an example: a class with its probability, or numbers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/metadata.h"
#include "runtime/objective.h"

namespace bnc {

struct AnswerKind {
  // What the output's numbers are. `probabilities`, `logits`: a score for each class, which a softmax makes of logits. `logit`: each before
  // a sigmoid. `number`: as they are. Where two classes are told apart by one number, it is the score of the second.
  enum class Scores { probabilities, logits, logit, number };

  std::string output, target;   // their names
  bool classes = false;         // else numbers
  Scores scores = Scores::probabilities;
  int64_t width = 1;            // numbers a label; where they are no classes, numbers an example
  std::vector<int64_t> ignore = {};   // labels that count for nothing
  std::vector<std::string> names = {};   // of the classes or of the numbers; empty where they are not known

  bool of_pair() const { return classes && width == 1; }
  int64_t class_count() const { return of_pair() ? 2 : width; }
  // The number that a raw output stands for: its sigmoid where it is a logit.
  float number_of(float raw) const;
  // Adds the probability of every class to `to`, of one row.
  void add_probabilities(std::span<const float> row, std::vector<float>& to) const;
};

// How an output answers that is held against this target, given what the targets were in training.
AnswerKind answer_kind(const Objective& objective, const Objective::Comparison& comparison, const ModelMetadata& model);

}  // namespace bnc
