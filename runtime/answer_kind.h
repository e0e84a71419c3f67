// What an output of a network answers about an example: a class with its probability, or numbers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/metadata.h"
#include "runtime/objective.h"

namespace bnc {

struct AnswerKind {
  // What the output's numbers are: scores of all classes, as probabilities or before a softmax; or numbers that stand for themselves or
  // before a sigmoid, among them the score of the second one of two classes.
  enum class Scores { probabilities, logits, logit, number };

  std::string output, target;   // their names
  bool classes = false;         // else numbers
  Scores scores = Scores::probabilities;
  int64_t width = 1;            // of a row of the output

  bool of_pair() const { return classes && (scores == Scores::logit || scores == Scores::number); }
  int64_t class_count() const { return of_pair() ? 2 : width; }
  // A number as it is answered: a share of what stands before a sigmoid.
  float number_of(float raw) const;
  // Adds the probability of every class to `to`, of one row.
  void add_probabilities(std::span<const float> row, std::vector<float>& to) const;
};

// Of the prediction that the loss is of, by what the network's targets were in training.
AnswerKind answer_kind(const Objective& objective, const ModelMetadata& model);

}  // namespace bnc
