// What a training run leaves behind: the last figures, weights, checkpoint and report.
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/machine.h"
#include "runtime/network.h"
#include "runtime/population.h"
#include "runtime/report/numbers.h"
#include "runtime/report/predictions.h"
#include "runtime/report/report.h"
#include "runtime/trainer.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// The true answers for a batch, as labels where there are some.
Truths truths_of(const Objective& objective, const std::string& target, const Batch& batch, TargetKind kind) {
  const Objective::Numbers numbers = objective.numbers_of(target, batch, kind);
  if (target == objective.target() && !batch.labels.empty()) return {batch.labels, numbers.floats};
  return {numbers.integers, numbers.floats};
}

}  // namespace

TrainResult Trainer::finish(bool stopped) {
  if (out_.empty()) check_state();
  else save_checkpoint();
  TrainResult result;
  result.steps = state_.step;
  result.out_of_patience = !stopped && state_.step < steps_;
  if (state_.epoch.batches > 0) {
    const auto batches = static_cast<double>(state_.epoch.batches);
    result.train = {state_.epoch.loss / batches, state_.epoch.right / (batches * static_cast<double>(batch_)),
                    state_.epoch.batches * batch_};
  }
  if (state_.best) {
    const HistoryRow& row = state_.best->row;
    result.best = {row.step, row.epoch, {row.test_loss, row.test_accuracy, watched() ? watched()->count() : 0, 0, row.metrics}};
    if (!out_.empty()) result.best_weights_path = path("weights.best.safetensors");
  }
  WeightStore weights = session_->weights();
  weights.data().metadata.training = training_record(state_.step);
  if (options_.restat && !stopped) {
    const auto estimated = [&](const WeightStore& from) {
      return restat_weights(network_, from, data_,
                            {normalized_together(network_, batch_), options_.threads, options_.cpu, progress_of("estimating statistics")});
    };
    weights = estimated(weights);
    if (!result.best_weights_path.empty()) {
      if (state_.best->row.step == state_.step) weights.save(result.best_weights_path);
      else estimated(state_.best->weights).save(result.best_weights_path);
    }
  }
  RunRecord found = record(RunState::done);
  result.stopped = stopped || !test_finally(weights, result, found);
  result.times = times_;
  if (out_.empty()) return result;
  TrainingRecord& told = *weights.data().metadata.training;
  for (const auto& [to, figures] : {std::pair(&told.train, &result.train), std::pair(&told.validation, &result.validation),
                                    std::pair(&told.test_result, &result.test)})
    if (figures->count > 0) *to = *figures;
  result.checkpoint_path = checkpoint_folder(out_);
  result.weights_path = path("weights.safetensors");
  weights.save(result.weights_path);
  if (result.stopped) {
    found = record(RunState::stopped);
  } else {
    found.train = result.train;
    found.validation = result.validation;
    found.test = result.test;
    found.histograms = probe_->histograms(weights);
  }
  write_record(out_, found);
  write_page();
  result.report_path = path("report.html");
  return result;
}

// The figures of the run are those of the frozen network, as `bnc eval` finds them. Returns false where the caller asked to stop.
bool Trainer::test_finally(const WeightStore& weights, TrainResult& result, RunRecord& record) {
  if (!watched()) return true;
  CompileOptions compile;
  compile.cpu = options_.cpu;
  compile.threads = options_.threads;
  compile.checks = options_.checks;
  Session frozen = network_.compile(compile, weights);
  for (const auto& [data, figures] : {std::pair(&validation_, &result.validation), std::pair(&test_, &result.test)}) {
    if (!*data) continue;
    const bool shown = data == &test_ || !test_;
    const auto found = test_frozen(frozen, weights, **data, shown ? &record : nullptr);
    if (shown) record.answered = data == &test_ ? "test" : "validation";
    if (!found) return false;
    *figures = *found;
  }
  return true;
}

std::optional<EvaluationResult> Trainer::test_frozen(Session& frozen, const WeightStore& weights, const Dataset& data, RunRecord* record) {
  const ScopedTimer watch(times_.tests);
  EvaluationHooks hooks = test_hooks();
  std::vector<std::unique_ptr<AnswerCollector>> collectors;   // one for each comparison
  if (record) {
    for (const Objective::Comparison& each : objective_.comparisons())
      collectors.push_back(collector_of(answer_kind(objective_, each, state_.weights.data().metadata)));
    const TargetKind targets = objective_.fit(data, 1).targets;
    hooks.visit = [&, targets](int64_t first, int64_t count, const Batch& batch) {
      for (size_t k = 0; k < collectors.size(); ++k) {
        const Objective::Comparison& of = objective_.comparisons()[k];
        const auto predictions = frozen.view(of.output).first(static_cast<size_t>(count * objective_.width_of(of.output)));
        collectors[k]->add(first, count, predictions, truths_of(objective_, of.target, batch, targets));
      }
    };
  }
  const auto result = evaluate_session(frozen, objective_, weights, data, std::min(examples_a_test, data.count()), hooks);
  if (result)
    for (const auto& collector : collectors) record->answers.push_back(collector->answers(data));
  return result;
}

void Trainer::note_call() {
  if (!options_.resume.empty()) calls_ = calls_of_run(options_.resume);
  calls_.push_back({utc_time(), options_.command, machine_name(), version(), session_->threads(), state_.step});
}

void Trainer::write_page() {
  const auto start = Clock::now();
  write_file(path("report.html"), render_report(read_record(out_)));
  last_page_ = Clock::now();
  page_time_ = last_page_ - start;
}

void Trainer::write_page_now_and_then() {
  constexpr std::chrono::seconds least{10};
  constexpr int ratio = 50;   // of the time between two pages to what one takes
  if (out_.empty() || Clock::now() - last_page_ < std::max<Clock::duration>(least, page_time_ * ratio)) return;
  write_file(path("history.csv"), to_csv(state_.history));
  write_file(path("distributions.csv"), to_csv(state_.distributions));
  write_record(out_, record(RunState::running));
  write_page();
}

// What is known of the run so far.
RunRecord Trainer::record(RunState state) const {
  RunRecord record;
  record.state = state;
  record.calls = calls_;
  record.steps = steps_;
  record.done = state_.step;
  record.watched = watched_name();
  record.network = network_.name();
  record.source_path = network_.data().source->path;
  record.source = network_.data().source->text;
  record.settings = settings();
  return record;
}

std::vector<std::pair<std::string, std::string>> Trainer::settings() const {
  const TrainSection& section = *network_.data().train();
  std::vector<std::pair<std::string, std::string>> list = {
      {"network", network_.name() + " in " + network_.data().source->path},
      {"training data", fmt::format("{} ({} examples)", options_.data, data_.count())},
  };
  if (validation_) list.emplace_back("validation data", fmt::format("{} examples held out of it", validation_->count()));
  list.insert(list.end(),
              {{"test data", test_ ? fmt::format("{} ({} examples)", options_.test, test_->count()) : "none"},
               {"loss", to_string(section.loss)},
               {"optimizer", to_string(Attribute(section.optimizer))},
               {"batch", std::to_string(batch_)},
               {"steps", fmt::format("{} ({:.2f} epochs)", steps_, static_cast<double>(steps_) / static_cast<double>(steps_an_epoch_))},
               {"seed", std::to_string(seed_)}});
  if (patience_) list.emplace_back("patience", fmt::format("{} epochs{}", *patience_, out_of_patience() ? ", which ended the run" : ""));
  const auto done = static_cast<double>(state_.step - first_step_);
  const double seconds = times_.steps + times_.waiting;
  if (done > 0) {
    const double rate = done * static_cast<double>(batch_) / seconds;
    list.emplace_back("speed", fmt::format("{:.{}f} examples a second, {} a step, {:.1f} % of it waiting for data", rate, rate < 10 ? 1 : 0,
                                           duration(seconds / done), times_.waiting / seconds * 100));
  }
  list.emplace_back("compiled in", duration(session_->info().compile_ms / 1e3));
  return list;
}

}  // namespace bnc
