// What a run's folder tells of the run: all that a report shows.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bnc/bnc.h"
#include "runtime/distributions.h"
#include "runtime/history.h"
#include "runtime/report/answers.h"

namespace bnc {

// A call that trained: a run that was stopped and went on has several.
struct RunCall {
  std::string started, command, machine, version;   // the command is empty where no command was called
  int64_t threads = 0, first_step = 0;            // the steps that were done before
};

enum class RunState { running, stopped, diverged, done };

// Where a run's numbers ceased to be finite.
struct DivergenceRecord {
  int64_t step = 0;
  std::string tensor, place;                      // the first one that was not finite, and FILE:LINE; may be empty
};

struct RunRecord {
  std::string network, source_path, source;
  RunState state = RunState::done;
  std::vector<RunCall> calls;
  int64_t steps = 0, done = 0;                     // as planned, and taken when this was written; 0 where that is not known
  std::vector<std::pair<std::string, std::string>> settings;
  std::string watched = "test";                    // what the history's tests are of: `test` or `validation`
  EvaluationResult train, validation, test;        // `count` is 0 where there is none (yet); `train` is of the last epoch
  std::string answered = "test";                   // what `answers` are for, too
  std::vector<OutputAnswers> answers;
  std::vector<NormalizationHistograms> histograms;
  std::optional<DivergenceRecord> divergence;

  // Of files beside report.json.
  std::string folder;
  History history;
  Distributions distributions;
  std::optional<WeightStore> weights;              // the final ones; none before the run has ended
};

int64_t steps_done(const RunRecord& run);

// Writes FOLDER/report.json: all but what lies in files beside it.
void write_record(const std::string& folder, const RunRecord& record);
// Reads report.json, history.csv, distributions.csv and weights.safetensors. Of these only the history must be there. Error where a
// file is damaged, or where the folder holds no history.
RunRecord read_record(const std::string& folder);
// The calls that a run in a folder has had; none where its report.json is not there or damaged.
std::vector<RunCall> calls_of_run(const std::string& folder);

}  // namespace bnc
