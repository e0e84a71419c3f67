// One training run: steps over shuffled batches, tests in between, checkpoints, and what is left in the run's folder.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "bnc/bnc.h"
#include "runtime/activation_probe.h"
#include "runtime/answer_kind.h"
#include "runtime/batch_loader.h"
#include "runtime/checkpoint.h"
#include "runtime/evaluator.h"
#include "runtime/objective.h"
#include "runtime/report/record.h"
#include "runtime/tensorboard.h"
#include "runtime/training_record.h"

namespace bnc {

// All that decides a bit of the weights, of the history or of the choice of the best is in `state_` or follows from the options,
// so that a run that goes on from a checkpoint does what it would have done.
class Trainer {
 public:
  Trainer(const Network& network, const TrainOptions& options);
  TrainResult run();
  // How many of the training examples' labels are of each class.
  std::vector<double> class_counts() const;

 private:
  using Clock = std::chrono::steady_clock;
  // How much of a diverged run is done again to find where.
  static constexpr int64_t kept_steps = 256;
  static constexpr std::chrono::seconds kept_time{10};
  static constexpr int64_t examples_a_test = 100;  // passed through the network at once; it decides no bit of the results

  // Before the first step.
  void choose_settings();
  void follow_state();   // of an earlier run
  void hold_out();
  void follow_one_rule();
  std::optional<Augmentation> augmentation() const;
  CompileOptions compile_options() const;
  void describe_model();   // in the metadata of the weights
  void tell() const;       // what a user should know, though it is no error (trainer_notes.cpp)
  void compile();
  void begin();

  // The run (trainer.cpp). Functions that return bool return false where the caller asked to stop.
  bool run_steps();
  void step(const Batch& batch);
  double loss_of_step(const Batch& batch);
  bool finish_interval();
  std::optional<EvaluationResult> test();
  void note_best(const HistoryRow& row);
  bool is_last() const { return state_.step >= steps_ || out_of_patience(); }
  bool out_of_patience() const;
  int64_t epoch() const { return epoch_of(state_.step); }
  int64_t epoch_of(int64_t step) const { return (std::max<int64_t>(step, 1) - 1) / steps_an_epoch_ + 1; }
  double rate_of(int64_t step) const;
  void sample_distributions();
  void report_progress(const std::string& activity = {}, double share = 0);
  // Takes the progress of a test or another pass over data for that of the run.
  std::function<void(const Progress&)> progress_of(const std::string& activity);
  EvaluationHooks test_hooks();
  void save_checkpoint();
  double seconds() const;

  // Numbers that cease to be finite (trainer_divergence.cpp).
  // Raises DivergenceError where a weight or state is not finite behind this step.
  void check_state();
  // Keeps weights and states, which are finite, to go back to.
  void keep_state();
  // The run is over: the step of that number made something that is not finite, or the last test says so.
  [[noreturn]] void end_diverged(int64_t step);
  [[noreturn]] void end_diverged(const EvaluationResult& test);
  struct Diverged {
    Divergence found;
    Diagnostic diagnostic{Severity::error, {}, "", {}};
    bool by_update = true;   // before it all was finite
  };
  [[noreturn]] void end_diverged(int64_t step, Diverged diverged);
  Diverged find_divergence(int64_t last);
  void describe_kept(Divergence& found, Diagnostic& diagnostic) const;
  void write_diverged(int64_t step, Divergence& found);

  // The end (trainer_results.cpp).
  TrainResult finish(bool stopped);
  bool test_finally(const WeightStore& weights, TrainResult& result, RunRecord& record);
  std::optional<EvaluationResult> test_frozen(Session& frozen, const WeightStore& weights, const Dataset& data, RunRecord* record);
  RunRecord record(RunState state) const;
  void note_call();
  // The page of the run as it stands; while it goes on, every few seconds, if that takes little of the time.
  void write_page();
  void write_page_now_and_then();
  TrainingRecord training_record(int64_t step) const;   // of the weights behind that step
  std::vector<std::pair<std::string, std::string>> settings() const;
  std::string path(const char* file) const;

  const char* watched_name() const { return validation_ ? "validation" : "test"; }
  const Dataset* watched() const { return validation_ ? &*validation_ : test_ ? &*test_ : nullptr; }

  const Network& network_;
  const TrainOptions& options_;
  const std::string out_;
  const Objective objective_;
  Checkpoint state_;
  Dataset data_;
  std::optional<Dataset> validation_, test_;
  std::optional<Session> session_, tester_;
  WeightStore tester_weights_;
  std::optional<ActivationProbe> probe_;   // where there is a folder to keep what it finds
  std::optional<EventFile> events_;
  BatchShape shape_;
  int64_t kept_step_ = 0, checkpoint_step_ = -1;   // when the state was kept; of the last checkpoint written or read
  int64_t batch_ = 0, steps_ = 0, steps_an_epoch_ = 0, row_interval_ = 1, test_interval_ = 1, first_step_ = 0;
  std::optional<int64_t> patience_;
  uint64_t seed_ = 0;
  std::string began_with_;               // the file of weights the run began with, also before it was resumed
  TrainResult::Times times_;
  int64_t tests_ = 0;                    // done by this process
  Clock::time_point begin_, last_checkpoint_, last_kept_, last_page_;
  Clock::duration page_time_{};          // that the last page took
  std::vector<RunCall> calls_;           // the last one is this one
  double seconds_before_ = 0;            // of the run, when this process began
};

// Adds the time until it goes out of scope to `seconds`.
class ScopedTimer {
 public:
  explicit ScopedTimer(double& seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
  ~ScopedTimer() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
  ScopedTimer(const ScopedTimer&) = delete;

 private:
  double& seconds_;
  const std::chrono::steady_clock::time_point begin_;
};

}  // namespace bnc
