// report.html: one file that tells how a training run went, without anything from the network.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bnc/bnc.h"
#include "runtime/history.h"

namespace bnc {

struct Report {
  struct Mistake {
    int64_t example = 0;
    int32_t truth = 0, answer = 0;
    double probability = 0;   // that the network gave its answer
    std::string image;        // a data URI; empty where the example is no image
  };
  std::string network, source;
  std::vector<std::pair<std::string, std::string>> settings;
  History history;
  EvaluationResult train, test;
  std::vector<std::string> class_names;
  std::vector<Mistake> mistakes;                   // the most confident ones first
  int64_t mistake_count = 0;
  std::vector<std::vector<int64_t>> confusion;     // [truth][answer]
};

// Collects wrong answers over a test set with labels.
class Mistakes {
 public:
  Mistakes(const Dataset& data, int64_t classes) : data_(data), classes_(classes) {}
  void add(int64_t first, int64_t count, std::span<const float> predictions);
  void fill(Report& report) const;

 private:
  const Dataset& data_;
  const int64_t classes_;
  std::vector<Report::Mistake> all_;
  std::vector<std::vector<int64_t>> confusion_;
};

std::string render_report(const Report& report);

}  // namespace bnc
