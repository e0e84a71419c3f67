#include "runtime/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "ir/integers.h"
#include "passes/optimizers/learning_rate.h"
#include "runtime/class_weights.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/model_identity.h"
#include "runtime/network.h"
#include "runtime/preprocess.h"
#include "runtime/run_folder.h"
#include "runtime/session.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;

constexpr int64_t distribution_samples = 50;

// That of an earlier run, or the weights to begin with; fresh ones come later.
Checkpoint first_state(const Network& network, const TrainOptions& options) {
  Checkpoint state;
  check_run_folder(options);
  if (!options.resume.empty()) {
    if (!options.weights.empty()) {
      fail(
          "a run that goes on has its weights in the checkpoint\nhelp: begin a new one with `--weights` and `--out`, or go on with "
          "`--resume` alone");
    }
    state = read_checkpoint(options.resume);
    if (state.network != network.name())
      fail("the checkpoint in {} is of network `{}`, not `{}`", options.resume, state.network, network.name());
    check_unchanged(network, state, options.resume, options.allow_changes);
  } else if (!options.weights.empty()) {
    state.weights = WeightStore::load(options.weights);
    network.check_weights(state.weights);
    if (options.on_warning) {
      for (const std::string& warning : {network.unused_weights(state.weights), network.foreign_weights(state.weights)})
        if (!warning.empty()) options.on_warning(warning);
    }
  }
  return state;
}

// Opens a data set by the rules of a model, and adds those that it has none of.
Dataset open_by(ModelMetadata& model, const Objective& objective, const std::string& spec, const char* split, const TrainOptions& options) {
  Dataset data = Dataset::Data::open(spec, split, objective.read_options(options.data_options, &model));
  if (model.classes.empty()) model.classes = data.data().class_names;
  if (!model.table) model.table = data.data().table;
  if (!model.images) model.images = data.data().images;
  if (options.on_warning)
    for (const std::string& note : data.data().notes) options.on_warning("note: " + note);
  return data;
}

// That of the test; the accuracy where it is no other metric.
double metric_of(const HistoryRow& row, const std::string& name) {
  for (const auto& [each, value] : row.metrics)
    if (each == name) return value;
  return name == "accuracy" ? row.test_accuracy : std::nan("");
}

// By what the train section watches, else by accuracy; then by loss. What is not a number is not better.
bool is_better(const HistoryRow& row, const HistoryRow& best, const TrainSection& section) {
  const auto found = std::find_if(section.metrics.begin(), section.metrics.end(),
                                  [&](const Metric& each) { return each.name == section.watch; });
  double one = row.test_accuracy, other = best.test_accuracy;
  if (found != section.metrics.end()) {
    one = metric_of(row, section.watch);
    other = metric_of(best, section.watch);
    if (!found->more_is_better()) one = -one, other = -other;
  }
  if (section.watch != "loss" && one != other && !(std::isnan(one) && std::isnan(other))) return one > other || std::isnan(other);
  return row.test_loss < best.test_loss;
}

double mean_loss(const RunningSum& sum) { return sum.loss / static_cast<double>(sum.batches); }

}  // namespace

Trainer::Trainer(const Network& network, const TrainOptions& options)
    : network_(network), options_(options), out_(options.out.empty() ? options.resume : options.out), objective_(network),
      state_(first_state(network, options)), data_(open_by(state_.weights.data().metadata, objective_, options.data, "train", options)) {
  if (!options.test.empty()) test_.emplace(open_by(state_.weights.data().metadata, objective_, options.test, "test", options));
  if (options.tensorboard && out_.empty()) fail("an event file for TensorBoard needs a folder to be in\nhelp: give `--out DIR`");
  objective_.fit(data_, 1);
  if (test_) objective_.fit(*test_, examples_a_test);
  choose_settings();
  follow_one_rule();
  shape_ = objective_.fit(data_, batch_);
  if (options_.resume.empty() && options_.weights.empty()) fit_preprocess(network_, objective_.input(), data_, shape_, state_.weights);
  describe_model();
  tell();
  if (!out_.empty()) prepare_folder(out_);
}

std::vector<double> Trainer::class_counts() const {
  const Dataset::Data& data = data_.data();
  std::vector<double> counts(objective_.has_targets() ? static_cast<size_t>(objective_.targets().classes) : 0);
  for (const int32_t label : data.labels)
    if (label >= 0 && static_cast<size_t>(label) < counts.size()) ++counts[static_cast<size_t>(label)];
  if (data.labels.empty()) counts.clear();
  return counts;
}

TrainResult Trainer::run() {
  augmentation();  // refuses before the work begins
  compile();
  begin();
  const bool finished = run_steps();
  return finish(!finished);
}

// Tests run on the weights as they are, not folded, so that the code is made once.
void Trainer::compile() {
  CompileOptions test;
  test.cpu = options_.cpu;
  test.threads = options_.threads;
  test.checks = options_.checks;
  if (watched()) tester_.emplace(make_unfolded_session(network_, test, state_.weights));
  CompileOptions train = compile_options();
  train.on_warning = options_.on_warning;
  session_.emplace(network_.compile(train, state_.weights));
  if (!options_.resume.empty()) session_->restore(state_.weights, state_.hidden_state);
}

// From here on a checkpoint is there, and the folder holds what belongs to it.
void Trainer::begin() {
  state_.network = network_.name();
  state_.settings = run_settings(network_);
  state_.seed = seed_;
  state_.batch = batch_;
  state_.steps = steps_;
  seconds_before_ = state_.seconds;
  first_step_ = state_.step;
  begin_ = Clock::now();
  if (!options_.resume.empty() && out_ == options_.resume) checkpoint_step_ = state_.step;
  keep_state();
  if (out_.empty()) return;
  remove_leftovers(out_);
  CompileOptions compile;
  compile.cpu = options_.cpu;
  compile.threads = options_.threads;
  compile.checks = options_.checks;
  probe_.emplace(network_, objective_, data_, compile, seed_, state_.weights);
  if (state_.step == 0) sample_distributions();
  save_checkpoint();
  std::error_code ignored;
  const bool goes_on = !options_.resume.empty() && fs::equivalent(out_, options_.resume, ignored);
  if (!goes_on) fs::remove(path("weights.safetensors"), ignored);   // of a run whose place this one takes
  const std::string best = path("weights.best.safetensors");
  if (state_.best) state_.best->weights.save(best);
  else fs::remove(best, ignored);
  note_call();
  write_record(out_, record(RunState::running));
  write_page();
  if (options_.tensorboard) events_.emplace(out_, state_.history.empty() ? 0 : state_.history.back().step + 1);
}

bool Trainer::run_steps() {
  BatchLoader loader(data_, shape_, seed_, state_.step, augmentation());
  while (true) {
    if (!finish_interval()) return false;
    report_progress();
    if (is_last()) return true;
    if (options_.stop && options_.stop()) return false;
    if (!out_.empty() && std::chrono::duration<double>(Clock::now() - last_checkpoint_).count() > options_.checkpoint_seconds) {
      save_checkpoint();
    } else if (state_.step - kept_step_ >= kept_steps || Clock::now() - last_kept_ > kept_time) {
      keep_state();
    }
    write_page_now_and_then();
    const Batch* batch = nullptr;
    {
      const ScopedTimer watch(times_.waiting);
      batch = &loader.next();
    }
    const ScopedTimer watch(times_.steps);
    step(*batch);
  }
}

double Trainer::loss_of_step(const Batch& batch) {
  Session::Data& inside = session_->data();
  for (const auto& [input, numbers] : objective_.bindings(batch, shape_.targets)) inside.lend(input, numbers);
  session_->run();
  return objective_.loss_an_example(session_->view("loss")[0], batch_);
}

void Trainer::step(const Batch& batch) {
  const double loss = loss_of_step(batch);
  if (!std::isfinite(loss)) end_diverged(state_.step + 1);
  const double right = objective_.right_answers(session_->view(objective_.prediction()), batch, shape_.targets, batch_);
  if (state_.step % steps_an_epoch_ == 0) state_.epoch = {};
  for (RunningSum* sum : {&state_.epoch, &state_.interval}) {
    sum->loss += loss;
    sum->right += right;
    ++sum->batches;
  }
  ++state_.step;
}

// Adds the row of the history that is due at this step, with a test where one is due; nothing changes where that was stopped.
bool Trainer::finish_interval() {
  const bool has_row = !state_.history.empty() && state_.history.back().step >= state_.step;
  if (state_.interval.batches == 0 || has_row) return true;
  const bool test_due = watched() && (state_.step == steps_ || state_.step % test_interval_ == 0);
  if (!test_due && state_.step != steps_ && state_.step % row_interval_ != 0) return true;
  HistoryRow row{state_.step, epoch(), mean_loss(state_.interval),
                 state_.interval.right / static_cast<double>(state_.interval.batches * batch_), test_due};
  row.rate = rate_of(state_.step);
  std::optional<EvaluationResult> tested;
  if (test_due) {
    tested = test();
    if (!tested) return false;
    if (!std::isfinite(tested->loss)) check_state();
    row.test_loss = tested->loss;
    row.test_accuracy = tested->accuracy;
    row.metrics = tested->metrics;
  }
  row.seconds = seconds();
  state_.history.push_back(row);
  if (test_due) note_best(row);
  state_.interval = {};
  if (test_due && !std::isfinite(row.test_loss) && is_last()) end_diverged(*tested);
  sample_distributions();
  if (!events_) return true;
  std::vector<std::pair<std::string, double>> scalars = {{"loss/train", row.loss}, {"accuracy/train", row.accuracy}, {"rate", row.rate}};
  const std::string tested_on = validation_ ? "validation" : "test";
  if (test_due) scalars.insert(scalars.end(), {{"loss/" + tested_on, row.test_loss}, {"accuracy/" + tested_on, row.test_accuracy}});
  for (const auto& [name, value] : row.metrics) scalars.emplace_back(name + "/" + tested_on, value);
  events_->add(row.step, scalars);
  return true;
}

std::optional<EvaluationResult> Trainer::test() {
  const ScopedTimer watch(times_.tests);
  ++tests_;
  tester_weights_ = session_->weights();
  tester_->restore(tester_weights_, {});
  return evaluate_session(*tester_, objective_, tester_weights_, *watched(), std::min(examples_a_test, watched()->count()), test_hooks());
}

EvaluationHooks Trainer::test_hooks() { return {.on_progress = progress_of("testing"), .stop = options_.stop}; }

void Trainer::note_best(const HistoryRow& row) {
  if (!std::isfinite(row.test_loss) || (state_.best && !is_better(row, state_.best->row, *network_.data().train()))) return;
  check_state();
  state_.best = {row, session_->weights()};
  TrainingRecord& record = state_.best->weights.data().metadata.training.emplace(training_record(row.step));
  record.train = EvaluationResult{row.loss, row.accuracy, state_.interval.batches * batch_};
  (validation_ ? record.validation : record.test_result) = EvaluationResult{row.test_loss, row.test_accuracy, watched()->count(), 0,
                                                                            row.metrics};
  if (!out_.empty()) state_.best->weights.save(path("weights.best.safetensors"));
}

// Looks at batch norms before the first step and then with every row of the history that is far enough from the last look.
void Trainer::sample_distributions() {
  if (!probe_) return;
  const Distributions& rows = state_.distributions;
  const bool due = rows.empty() || state_.step - rows.back().step >= std::max<int64_t>(1, steps_ / distribution_samples);
  if (due) probe_->sample(state_.step, session_->weights(), state_.distributions);
}

// Counted from the best test; from the first one where none was finite.
bool Trainer::out_of_patience() const {
  if (!patience_) return false;
  const auto first = std::find_if(state_.history.begin(), state_.history.end(), [](const HistoryRow& row) { return row.tested; });
  if (first == state_.history.end()) return false;
  const int64_t from = state_.best ? state_.best->row.step : first->step;
  return state_.step - from >= *patience_ * steps_an_epoch_;
}

double Trainer::rate_of(int64_t step) const {
  PassContext context;
  context.run_steps = steps_;
  context.steps_an_epoch = steps_an_epoch_;
  return rate_of_step(*network_.data().train(), context, step - 1);
}

double Trainer::seconds() const { return seconds_before_ + std::chrono::duration<double>(Clock::now() - begin_).count(); }

void Trainer::report_progress(const std::string& activity, double share) {
  if (!options_.on_progress || state_.epoch.batches == 0) return;
  Progress progress;
  progress.activity = activity;
  progress.activity_share = share;
  progress.step = state_.step;
  progress.steps = steps_;
  progress.epoch = epoch();
  progress.epochs = divide_up(steps_, steps_an_epoch_);
  progress.loss = mean_loss(state_.epoch);
  progress.accuracy = state_.epoch.right / static_cast<double>(state_.epoch.batches * batch_);
  progress.rate = rate_of(state_.step);
  const int64_t done = state_.step - first_step_, left = steps_ - state_.step;
  if (done > 0) {
    const double seconds_a_step = (times_.steps + times_.waiting) / static_cast<double>(done);
    const double seconds_a_test = tests_ > 0 ? times_.tests / static_cast<double>(tests_) : 0;
    progress.examples_per_second = static_cast<double>(batch_) / seconds_a_step;
    progress.seconds_left = static_cast<double>(left) * seconds_a_step +
                            static_cast<double>(divide_up(left, test_interval_)) * seconds_a_test;
  }
  const auto tested = std::find_if(state_.history.rbegin(), state_.history.rend(), [](const HistoryRow& row) { return row.tested; });
  if (tested != state_.history.rend()) {
    progress.tested_step = tested->step;
    progress.validation = validation_.has_value();
    progress.test = {tested->test_loss, tested->test_accuracy, watched() ? watched()->count() : 0, 0, tested->metrics};
  }
  options_.on_progress(progress);
}

std::function<void(const Progress&)> Trainer::progress_of(const std::string& activity) {
  if (!options_.on_progress) return {};
  return [this, activity](const Progress& pass) {
    report_progress(activity, static_cast<double>(pass.step) / static_cast<double>(pass.steps));
  };
}

void Trainer::save_checkpoint() {
  const ScopedTimer watch(times_.checkpoints);
  keep_state();
  state_.weights.data().metadata.training = training_record(state_.step);
  state_.seconds = seconds();
  write_checkpoint(out_, state_);
  checkpoint_step_ = state_.step;
  write_file(path("history.csv"), to_csv(state_.history));
  write_file(path("distributions.csv"), to_csv(state_.distributions));
  last_checkpoint_ = Clock::now();
}

std::string Trainer::path(const char* file) const { return fs::path(out_) / file; }

TrainResult train(const Network& network, const TrainOptions& options) {
  return at_boundary([&] {
    TrainOptions silent = options;   // labels are counted before the run begins
    silent.on_warning = {};
    const std::optional<Network> balanced = with_balanced_classes(network, [&] { return Trainer(network, silent).class_counts(); });
    return Trainer(balanced ? *balanced : network, options).run();
  });
}

}  // namespace bnc
