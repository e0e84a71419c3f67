// What a run's folder tells of the run: all that a report shows.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bnc/bnc.h"
#include "runtime/distributions.h"
#include "runtime/history.h"

namespace bnc {

// The network's answer to one test example.
struct Prediction {
  int64_t example = 0;
  int32_t truth = 0, answer = 0;                   // an answer of -1: the network's numbers were not finite
  double probability = 0, truth_probability = 0;   // that the network gave its answer, and the right one
  std::string image;                               // a data URI; empty where the example is no image
};

struct RunRecord {
  std::string network, source_path, source;
  std::vector<std::pair<std::string, std::string>> settings;
  EvaluationResult train, test;                    // `count` is 0 where there is none (yet)
  std::string course_set = "test", final_set = "test";   // "test" or "validation": of the history's tests; of `test` and predictions
  std::vector<std::string> class_names;            // empty where they are not known
  std::vector<Prediction> predictions;             // mistakes first, the most certain ones at the top
  int64_t mistakes = 0;
  std::vector<std::vector<int64_t>> confusion;     // [truth][answer]
  std::vector<NormalizationHistograms> histograms;

  // Of files beside report.json.
  std::string folder;
  History history;
  Distributions distributions;
  std::optional<WeightStore> weights;              // the final ones; none while the run goes on

  std::string class_name(size_t label) const;
};

// Writes FOLDER/report.json: all but what lies in files beside it.
void write_record(const std::string& folder, const RunRecord& record);
// Reads report.json, history.csv, distributions.csv and weights.safetensors. Of these only the history must be there. Error where a
// file is damaged, or where the folder holds no history.
RunRecord read_record(const std::string& folder);

}  // namespace bnc
