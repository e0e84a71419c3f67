// What is done with a network and data: training, evaluation, predictions, reports, checks of weights, measurements of time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bnc/network.h"

namespace bnc {

struct TrainOptions {
  std::string data, test;                 // data specifications; `test` may be empty
  DataOptions data_options = {};          // of both
  std::optional<double> validate;         // the share of the training examples held out to watch the run by, in place of `test`
  std::optional<int64_t> epochs, steps, batch;
  std::optional<int64_t> patience;        // ends the run after so many epochs in which the tests did not improve
  std::optional<int64_t> test_every;      // steps between tests (an epoch, or a tenth of a run of fewer than ten)
  std::optional<uint64_t> seed;
  std::string weights;                    // a file to begin with, for fine-tuning; empty: fresh ones, and `preprocess` fitted to the data
  std::string out;                        // folder; empty writes nothing
  bool overwrite = false;                 // `out` may hold another run, which is lost
  std::string resume;                     // folder of an earlier run
  bool allow_changes = false;             // it goes on although its network, loss, optimizer or augmentation has changed since it began
  double checkpoint_seconds = 30;         // between checkpoints
  bool tensorboard = false;               // writes an event file for TensorBoard into `out`
  bool restat = false;                    // the weights written at the end have statistics estimated again (bn-restat)
  int threads = 0;
  std::string cpu = "native";
  CodeChecks checks = {};
  std::string command;                    // what was called, for the report; may be empty
  std::function<void(const Progress&)> on_progress = {};
  std::function<bool()> stop = {};        // polled between steps and during tests; true ends the run with a checkpoint
  std::function<void(const std::string& warning)> on_warning = {};
};

struct TrainResult {
  // The best of the run's tests: by accuracy, then by loss; by loss where the targets are floats.
  struct Best {
    int64_t step = 0, epoch = 0;
    EvaluationResult test;
  };
  // Where the seconds of this call went, without compilation.
  struct Times {
    double steps = 0, waiting = 0, tests = 0, checkpoints = 0;   // `waiting`: for the loader to have a batch ready
  };

  int64_t steps = 0;
  bool stopped = false;                   // by `stop`
  bool out_of_patience = false;
  EvaluationResult train, validation, test;   // `count` is 0 where there were no such data
  std::optional<Best> best;
  Times times;
  std::string weights_path, best_weights_path, report_path, checkpoint_path;
};

// Where the numbers of a training run ceased to be finite.
struct Divergence {
  int64_t step = 0;              // from 1; 0 where the run began with such weights
  std::string tensor;            // the first one that is not finite: a layer or op, `loss`, `grad/NAME`, a parameter or state
  std::string place;             // FILE:LINE of its layer; may be empty
  int64_t checkpoint_step = -1;  // of the last good checkpoint; -1 where there is none
  std::string checkpoint_path, best_weights_path, report_path;   // empty where there are none
};
class DivergenceError : public Error {
 public:
  DivergenceError(const std::string& text, Divergence found) : Error(text), found_(std::move(found)) {}
  const Divergence& found() const { return found_; }

 private:
  Divergence found_;
};

// DivergenceError where the loss, a weight or the optimizer's state is no longer finite: the run ends at that step, and what it has kept
// before stays as it is.
TrainResult train(const Network& network, const TrainOptions& options);
// The files that a run writes into its folder, beside those of its checkpoint and TensorBoard's.
std::vector<std::string> run_files();
// Makes the first of the folders runs/NAME-1, runs/NAME-2 .. that is not there yet, for a run of a network of that name.
std::string make_run_folder(const std::string& name);

// The HTML page of one run, from the folder it was written to (also while it goes on), or of several runs laid over one another. It is
// one file that reads nothing else. Error where a folder holds no history of a run, or something damaged.
std::string report(const std::vector<std::string>& runs);

struct EvaluateOptions {
  std::string data;
  DataOptions data_options = {};
  int64_t batch = 100;
  bool batch_statistics = false;
  int threads = 0;
  std::string cpu = "native";
  CodeChecks checks = {};
  std::function<void(const Progress&)> on_progress = {};
  std::function<void(const std::string& warning)> on_warning = {};
};
EvaluationResult evaluate(const Network& network, const WeightStore& weights, const EvaluateOptions& options);

struct PredictOptions {
  std::string data;               // the test split by default; it need not have targets
  DataOptions data_options = {};
  int64_t batch = 100;
  int threads = 0;
  std::string cpu = "native";
  CodeChecks checks = {};
  std::function<void(const Progress&)> on_progress = {};
  std::function<void(const std::string& warning)> on_warning = {};
};
// What a network predicts for the examples of a data set, in order.
struct Predictions {
  int64_t count = 0;
  bool classes = false;                 // which class an example is of; else numbers
  std::vector<std::string> columns;     // the names of the classes, or of the numbers: `y`, `y[0]`, `y[1]` ..
  std::vector<float> values;            // count x columns: the probability of each class, or the numbers
  std::vector<int32_t> answers;         // of classes: the most probable one; -1 where a prediction is not finite
  // Another output that tells classes apart; their probabilities are among `numbers`, as `colour[red]`.
  struct FurtherClasses {
    std::string output;
    std::vector<std::string> names;
    std::vector<int32_t> answers;       // as above
  };
  std::vector<FurtherClasses> further;
  std::vector<std::string> number_columns;   // the names of the numbers that the network's other outputs give
  std::vector<float> numbers;           // count x number_columns
  std::vector<std::string> ids;         // what stands in the column that is carried through, or the files of images; else empty
  std::string id_name;                  // the name of that column, or `file`
  std::optional<EvaluationResult> figures;   // where the data have targets and the network a train section
};
// Probabilities are what the loss makes of the network's output: softmax or sigmoid. Without a train section they are so for classes that
// the weights have names of, unless the network ends in a softmax itself; else the numbers of all outputs.
Predictions predict(const Network& network, const WeightStore& weights, const PredictOptions& options);

struct RestatOptions {
  std::string data;      // the training split by default
  DataOptions data_options = {};
  int64_t batch = 0;     // 0: what training normalizes together, the train section's batch or a ghost batch
  int threads = 0;
  std::string cpu = "native";
  std::function<void(const Progress&)> on_progress = {};
};
// `weights` with the stored mean and variance of every batch norm estimated again by one pass over the data, the other weights fixed:
// moments over all examples, pooled in float64 from batches that are normalized with their own statistics (bn-restat).
WeightStore restat(const Network& network, const WeightStore& weights, const RestatOptions& options);

// What looks wrong about a network's weights.
struct LintFinding {
  enum class Severity { warning, error };   // an error makes outputs wrong for certain
  Severity severity = Severity::warning;
  std::string kind;           // not-finite, negative-variance, tiny-variance, dead-gamma, initial-statistics, drift
  std::string tensor;         // "batch_norm_1.gamma"
  std::string place;          // FILE:LINE of the layer
  std::string what, advice;
  int64_t count = 0, of = 0;  // how many of the tensor's numbers are concerned
  std::string diagnostic;     // all this as one text, with the source line
};
struct LintOptions {
  std::string data;      // empty: the weights alone; else the stored statistics are held against the data's (training split)
  DataOptions data_options = {};
  int64_t batch = 0;     // as in RestatOptions
  int threads = 0;
  std::string cpu = "native";
  std::function<void(const Progress&)> on_progress = {};
};
std::vector<LintFinding> lint(const Network& network, const WeightStore& weights, const LintOptions& options);

struct BenchOptions {
  Mode mode = Mode::infer;
  int64_t batch = 1;
  double seconds = 3;
  int threads = 0;
  std::string cpu = "native";
  CodeChecks checks = {};
  bool profile = false;                // time each kernel too, in runs of their own
  const Network* against = nullptr;    // timed too, in turns, run after run: what slows the machine for a while slows both
  std::function<void(const std::string& phase, double milliseconds)> on_time = {};   // of compilation
};
struct BenchResult {
  // The median times of one kernel, from the barrier before it to the one behind it.
  struct Kernel {
    std::string name;
    double ms = 0, flops = 0, bytes = 0;
  };

  std::string model, mode;
  int64_t batch = 0;
  int threads = 0;
  double median_ms = 0, min_ms = 0, p90_ms = 0;
  int64_t runs = 0;
  // Of what it was timed against: the median, and the median of how many times as long a run took as the other's behind it.
  double against_ms = 0, ratio = 0;
  double compile_ms = 0, flops = 0, gflops = 0, peak_gflops = 0;
  double bytes_moved = 0;              // of a run, estimated: what kernels read and write, each buffer once
  double stream_gbytes = 0;            // bandwidth of this machine's memory in GB/s, measured: a copy counts what it reads and writes
  int64_t arena_bytes = 0;
  std::vector<Kernel> kernels;         // in the order in which they run; empty without `profile`
};
// Fresh weights where none are given, random data.
BenchResult bench(const Network& network, const BenchOptions& options, const WeightStore* weights = nullptr);

}  // namespace bnc
