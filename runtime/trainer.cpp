// Training: steps over shuffled batches, tests in between, checkpoints, and what is left in the run's folder.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "runtime/batch_loader.h"
#include "runtime/checkpoint.h"
#include "runtime/error.h"
#include "runtime/evaluator.h"
#include "runtime/network.h"
#include "runtime/report.h"
#include "runtime/session.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto checkpoint_interval = std::chrono::seconds(30);
constexpr int64_t history_rows = 200, least_tests = 10, test_batch = 100;

// Finds out before the work begins that its results cannot be kept.
void prepare_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("cannot make folder {}: {}", folder, error.message());
  std::string probe = (fs::path(folder) / ".bnc.XXXXXX").string();
  const int descriptor = ::mkostemp(probe.data(), O_CLOEXEC);
  if (descriptor < 0) fail("cannot write to folder {}: {}", folder, std::strerror(errno));
  ::close(descriptor);
  ::unlink(probe.c_str());
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Trainer {
 public:
  Trainer(const Network& network, const TrainOptions& options)
      : network_(network), options_(options), out_(options.out.empty() ? options.resume : options.out), objective_(network),
        data_(Dataset::open(options.data, "train")) {
    if (!options.test.empty()) test_.emplace(Dataset::open(options.test, "test"));
    choose_settings();
    shape_ = objective_.fit(data_, batch_);
    if (test_) objective_.fit(*test_, test_batch);
    if (!out_.empty()) prepare_folder(out_);
  }

  TrainResult run() {
    CompileOptions compile;
    compile.mode = Mode::train;
    compile.batch = batch_;
    compile.cpu = options_.cpu;
    compile.threads = options_.threads;
    session_.emplace(network_.compile(compile, state_.weights));
    if (!options_.resume.empty()) session_->restore(state_.weights, state_.hidden_state);
    make_tester();
    const bool stopped = run_steps();
    return finish(stopped);
  }

 private:
  void choose_settings() {
    const TrainSection& section = *network_.data().train();
    if (options_.resume.empty()) {
      batch_ = options_.batch.value_or(section.batch);
      seed_ = options_.seed.value_or(static_cast<uint64_t>(section.seed));
      state_.weights = network_.initialize(seed_);
    } else {
      load_state();
    }
    if (batch_ < 1) fail("the batch size is {}, but must be at least 1", batch_);
    if (data_.count() < batch_) fail("{} holds {} examples, fewer than a batch of {}", options_.data, data_.count(), batch_);
    steps_an_epoch_ = data_.count() / batch_;
    if (options_.steps) steps_ = *options_.steps;
    else if (options_.epochs) steps_ = *options_.epochs * steps_an_epoch_;
    else steps_ = section.steps.value_or(section.epochs.value_or(1) * steps_an_epoch_);
    row_interval_ = std::max<int64_t>(1, steps_ / history_rows);
    test_interval_ = steps_ >= least_tests * steps_an_epoch_ ? steps_an_epoch_ : std::max<int64_t>(1, steps_ / least_tests);
  }

  void load_state() {
    state_ = read_checkpoint(options_.resume);
    if (state_.network != network_.name()) fail("the checkpoint in {} is of network `{}`, not `{}`", options_.resume, state_.network, network_.name());
    if (state_.examples != data_.count()) fail("the run in {} was on {} examples, but {} holds {}", options_.resume, state_.examples, options_.data, data_.count());
    batch_ = state_.batch;
    seed_ = state_.seed;
    if (options_.batch && *options_.batch != batch_) fail("the run in {} has batches of {}, which cannot change to {}", options_.resume, batch_, *options_.batch);
    if (options_.seed && *options_.seed != seed_) fail("the run in {} has seed {}, which cannot change to {}", options_.resume, seed_, *options_.seed);
  }

  // Tests run on the weights as they are, not folded, so that the code is made once.
  void make_tester() {
    if (!test_) return;
    CompileOptions compile;
    compile.cpu = options_.cpu;
    compile.threads = options_.threads;
    tester_.emplace(make_unfolded_session(network_, compile, state_.weights));
  }

  // Returns whether the caller asked to stop.
  bool run_steps() {
    BatchLoader loader(data_, shape_, seed_, state_.step);
    begin_ = last_checkpoint_ = Clock::now();
    first_step_ = state_.step;
    while (state_.step < steps_) {
      if (options_.stop && options_.stop()) return true;
      step(loader.next());
      after_step();
    }
    return false;
  }

  void step(const Batch& batch) {
    Session::Data& inside = session_->data();
    inside.lend(objective_.input(), batch.x.data());
    inside.lend(objective_.target(), batch.target(shape_.targets));
    session_->run();
    const double loss = objective_.loss_an_example(session_->view("loss")[0], batch_);
    const double right = objective_.right_answers(session_->view(objective_.prediction()), batch, shape_.targets, batch_);
    if (state_.step % steps_an_epoch_ == 0) state_.epoch = {};
    for (RunningSum* sum : {&state_.epoch, &state_.interval}) {
      sum->loss += loss;
      sum->right += right;
      ++sum->batches;
    }
    ++state_.step;
  }

  void after_step() {
    const bool last = state_.step == steps_, test_due = test_ && state_.step % test_interval_ == 0 && !last;
    if (last || test_due || state_.step % row_interval_ == 0) add_row(test_due);
    report_progress();
    if (!out_.empty() && !last && Clock::now() - last_checkpoint_ > checkpoint_interval) save_checkpoint();
  }

  double mean_loss(const RunningSum& sum) const { return sum.loss / static_cast<double>(sum.batches); }
  double mean_accuracy(const RunningSum& sum) const { return sum.right / static_cast<double>(sum.batches * batch_); }

  void add_row(bool test) {
    HistoryRow row{state_.step, epoch(), mean_loss(state_.interval), mean_accuracy(state_.interval), test};
    if (test) {
      tester_->restore(session_->weights(), {});
      const EvaluationResult result = evaluate_session(*tester_, objective_, *test_, std::min(test_batch, test_->count()));
      row.test_loss = result.loss;
      row.test_accuracy = result.accuracy;
    }
    state_.history.push_back(row);
    state_.interval = {};
  }

  int64_t epoch() const { return (std::max<int64_t>(state_.step, 1) - 1) / steps_an_epoch_ + 1; }

  void report_progress() {
    if (!options_.on_progress) return;
    Progress progress;
    progress.step = state_.step;
    progress.steps = steps_;
    progress.epoch = epoch();
    progress.epochs = (steps_ + steps_an_epoch_ - 1) / steps_an_epoch_;
    progress.loss = mean_loss(state_.epoch);
    progress.accuracy = mean_accuracy(state_.epoch);
    const double steps_a_second = static_cast<double>(state_.step - first_step_) / seconds_since(begin_);
    progress.examples_per_second = steps_a_second * static_cast<double>(batch_);
    progress.seconds_left = static_cast<double>(steps_ - state_.step) / steps_a_second;
    options_.on_progress(progress);
  }

  void save_checkpoint() {
    state_.network = network_.name();
    state_.seed = seed_;
    state_.batch = batch_;
    state_.examples = data_.count();
    state_.weights = session_->weights();
    state_.hidden_state = session_->hidden_state();
    write_checkpoint(out_, state_);
    last_checkpoint_ = Clock::now();
  }

  TrainResult finish(bool stopped) {
    TrainResult result;
    result.steps = state_.step;
    result.stopped = stopped;
    if (state_.epoch.batches > 0) result.train = {mean_loss(state_.epoch), mean_accuracy(state_.epoch), state_.epoch.batches * batch_};
    const double seconds = seconds_since(begin_);
    Report report;
    if (!stopped) test_finally(result, report);
    if (out_.empty()) return result;
    save_checkpoint();
    result.checkpoint_path = checkpoint_folder(out_);
    result.weights_path = (fs::path(out_) / "weights.safetensors").string();
    state_.weights.save(result.weights_path);
    write_file(fs::path(out_) / "history.csv", to_csv(state_.history));
    if (stopped) return result;
    report.settings = settings(seconds);
    report.network = network_.name();
    report.source = network_.data().source->text;
    report.history = state_.history;
    report.train = result.train;
    report.test = result.test;
    result.report_path = (fs::path(out_) / "report.html").string();
    write_file(result.report_path, render_report(report));
    return result;
  }

  // The figures of the run are those of the frozen network, as `bnc eval` finds them.
  void test_finally(TrainResult& result, Report& report) {
    if (!test_) return;
    CompileOptions compile;
    compile.cpu = options_.cpu;
    compile.threads = options_.threads;
    Session frozen = network_.compile(compile, session_->weights());
    Mistakes mistakes(*test_, shape_.classes);
    result.test = evaluate_session(frozen, objective_, *test_, std::min(test_batch, test_->count()), {},
                                   [&](int64_t first, int64_t count, std::span<const float> predictions) { mistakes.add(first, count, predictions); });
    mistakes.fill(report);
    if (!state_.history.empty() && state_.history.back().step == state_.step) {
      HistoryRow& row = state_.history.back();
      row.tested = true;
      row.test_loss = result.test.loss;
      row.test_accuracy = result.test.accuracy;
    }
  }

  std::vector<std::pair<std::string, std::string>> settings(double seconds) const {
    const TrainSection& section = *network_.data().train();
    std::vector<std::pair<std::string, std::string>> list = {
        {"network", network_.name() + " in " + network_.data().source->path},
        {"training data", fmt::format("{} ({} examples)", options_.data, data_.count())},
        {"test data", test_ ? fmt::format("{} ({} examples)", options_.test, test_->count()) : "none"},
        {"loss", to_string(Attribute(section.loss))},
        {"optimizer", to_string(Attribute(section.optimizer))},
        {"batch", std::to_string(batch_)},
        {"steps", fmt::format("{} ({:.2f} epochs)", state_.step, static_cast<double>(state_.step) / static_cast<double>(steps_an_epoch_))},
        {"seed", std::to_string(seed_)},
        {"threads", std::to_string(session_->threads())},
    };
    const int64_t done = state_.step - first_step_;
    if (done > 0) list.emplace_back("speed", fmt::format("{:.0f} examples a second, {:.3g} ms a step with tests", static_cast<double>(done * batch_) / seconds, seconds * 1e3 / static_cast<double>(done)));
    list.emplace_back("compiled in", fmt::format("{:.0f} ms by {}", session_->info().compile_ms, version()));
    return list;
  }

  const Network& network_;
  const TrainOptions& options_;
  const std::string out_;
  const Objective objective_;
  const Dataset data_;
  std::optional<Dataset> test_;
  std::optional<Session> session_, tester_;
  Checkpoint state_;
  BatchShape shape_;
  int64_t batch_ = 0, steps_ = 0, steps_an_epoch_ = 0, row_interval_ = 1, test_interval_ = 1, first_step_ = 0;
  uint64_t seed_ = 0;
  Clock::time_point begin_, last_checkpoint_;
};

}  // namespace

TrainResult train(const Network& network, const TrainOptions& options) {
  return at_boundary([&] { return Trainer(network, options).run(); });
}

}  // namespace bnc
