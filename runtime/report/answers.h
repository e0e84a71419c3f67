// How a network answered the examples of a data set: what the report of a run shows of one output.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/distributions.h"

namespace bnc {

// The network's answer to one example, of classes.
struct Prediction {
  int64_t example = 0;
  int32_t truth = 0, answer = 0;                   // an answer of -1: the network's numbers were not finite
  double probability = 0, truth_probability = 0;   // that the network gave its answer, and the right one
  std::string image;                               // a data URI; empty where the example is no image
};

using Points = std::vector<std::pair<double, double>>;

// How well the score of the second of two classes tells them apart.
struct Ranking {
  int64_t examples = 0;        // that the curves are of
  double auc = 0;              // the area under `roc`; NaN where one of the classes has no example
  Points roc;                  // false positive rate, true positive rate
  Points precision, recall;    // over the threshold
};

// How often a class, the first one, is answered by another or itself; pairs that do not occur are left out.
using Confusion = std::map<std::pair<size_t, size_t>, int64_t>;

struct ClassAnswers {
  size_t classes = 0;
  std::vector<std::string> names;                  // empty where they are not known
  int64_t count = 0, mistakes = 0;
  Confusion confusion;
  std::vector<int64_t> unanswered;                 // of each class: the network's numbers were not finite
  std::vector<Prediction> predictions;             // mistakes first, the most certain ones at the top; then right answers
  std::optional<Ranking> ranking;                  // of two classes

  int64_t confused(size_t truth, size_t answer) const {
    const auto found = confusion.find({truth, answer});
    return found == confusion.end() ? 0 : found->second;
  }
  std::string name(size_t label) const { return label < names.size() ? names[label] : std::to_string(label); }
};

// An example that a network answered with a number far from the true one.
struct WorstExample {
  int64_t example = 0;
  double truth = 0, prediction = 0;   // NaN where the answer is many numbers
  double error = 0;                   // its size; of many numbers the root of the mean square
  std::string image;
};

// A column of numbers that a network predicts; where there are very many, all of them in one.
struct NumberAnswers {
  std::string name;
  int64_t count = 0, not_finite = 0;               // predictions; those that are not finite are no part of the rest
  double mean_absolute_error = 0, root_mean_square_error = 0;
  double r_squared = 0;                            // 1 - (mean square error) / (variance of the truths); NaN where that is 0
  Points points;                                   // truth and prediction, of some of them where there are many
  Histogram residuals;                             // prediction - truth
  std::vector<WorstExample> worst;
};

// Of one output.
struct OutputAnswers {
  std::string output, target;
  std::optional<ClassAnswers> classes;
  std::vector<NumberAnswers> numbers;
};

}  // namespace bnc
