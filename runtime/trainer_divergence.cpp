// The end of a run whose numbers are no longer finite: where they ceased to be, and what was kept before.
#include <cmath>

#include "runtime/divergence.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/session.h"
#include "runtime/trainer.h"

namespace bnc {

namespace {

SourceRange range_of(const Network& network, const std::string& tensor) {
  const Value value = network.data().graph().find(tensor);
  return value ? value.node->range : SourceRange{};
}

double mean_of(double sum, const RunningSum& of) { return sum / static_cast<double>(of.batches); }

std::string number_text(double number) { return std::isnan(number) ? "not a number" : fmt::format("{:g}", number); }

// What could keep this run from diverging.
std::string advice(const TrainSection& section, bool first_step) {
  if (first_step) {
    return "no update came before: it is the network or the scale of its input that overflows; `preprocess(x)` or a batch norm keeps "
           "numbers in range";
  }
  std::string text = "lower the optimizer's `rate`";
  const Attribute* rate = section.optimizer.find("rate");
  if (!rate || !rate->get_if<Symbol>() || !rate->symbol().find("warmup")) text += ", let it rise slowly with a schedule's `warmup`";
  if (!section.optimizer.find("clip_norm")) text += ", or bound the gradients by `clip_norm`";
  return text;
}

}  // namespace

void Trainer::check_state() {
  if (session_->data().first_not_finite()) end_diverged(state_.step);
}

void Trainer::keep_state() {
  check_state();
  state_.weights = session_->weights();
  state_.hidden_state = session_->hidden_state();
  kept_step_ = state_.step;
  last_kept_ = Clock::now();
}

void Trainer::end_diverged(int64_t step) {
  if (step > first_step_) end_diverged(step, find_divergence(step));
  const std::string name = session_->data().first_not_finite()->name;
  const std::string text = fmt::format("the weights that the run begins with are not finite: `{}` holds NaN or infinity", name);
  Diagnostic diagnostic{Severity::error, {}, text, {}};
  diagnostic.help("`bnc lint` shows all that is wrong with a file of weights");
  throw DivergenceError(render(diagnostic), {.step = 0, .tensor = name});
}

void Trainer::end_diverged(const EvaluationResult& test) {
  Diverged diverged{{.step = state_.step, .tensor = objective_.prediction()}};
  diverged.diagnostic.text = fmt::format(
      "training diverged: after the last step, {}, the network's numbers for {} of {} test examples are not finite", state_.step,
      test.not_finite, test.count);
  end_diverged(state_.step, std::move(diverged));
}

void Trainer::end_diverged(int64_t step, Diverged diverged) {
  write_diverged(step, diverged.found);
  describe_kept(diverged.found, diverged.diagnostic);
  diverged.diagnostic.help(advice(*network_.data().train(), diverged.found.step == 1 && !diverged.by_update));
  throw DivergenceError(render(diverged.diagnostic), diverged.found);
}

// Steps are taken again from the state kept last, and the first one that makes something not finite is looked into.
Trainer::Diverged Trainer::find_divergence(int64_t last) {
  session_->restore(state_.weights, state_.hidden_state);
  BatchLoader loader(data_, shape_, seed_, kept_step_, augmentation());
  for (int64_t step = kept_step_ + 1;; ++step) {
    const WeightStore before = session_->weights();
    const NamedArrays hidden_before = session_->hidden_state();
    const Batch& batch = loader.next();
    const double loss = loss_of_step(batch);
    const ArgumentSlot* slot = session_->data().first_not_finite();
    if (std::isfinite(loss) && !slot && step < last) continue;

    Diverged diverged{{.step = step, .tensor = "loss"}};
    diverged.diagnostic.text = fmt::format("training diverged: the loss of step {} is {}", step, number_text(loss));
    if (std::isfinite(loss))
      diverged.diagnostic.text = fmt::format(
          "training diverged: step {} made weights or states that are not finite, though its loss is {:g}", step, loss);
    std::optional<NotFiniteTensor> first;
    try {
      first = first_not_finite(network_, objective_, compile_options(), {before, hidden_before, batch, shape_.targets});
    } catch (const std::exception&) {   // too large to hand out what lies between, for example: what is known must do
    }
    diverged.by_update = !first && std::isfinite(loss);
    if (!first && slot)
      first = NotFiniteTensor{slot->name, fmt::format("`{}` behind the update", slot->name), range_of(network_, slot->name)};
    if (!first) return diverged;
    diverged.found.tensor = first->name;
    if (first->range.known()) diverged.found.place = fmt::format("{}:{}", first->range.file->path, first->range.line);
    diverged.diagnostic.note("the first tensor that is not finite: " + first->what, first->range);
    return diverged;
  }
}

// The history with the step at which it ends, and the page that shows it. Weights and checkpoints stay as they are.
void Trainer::write_diverged(int64_t step, Divergence& found) {
  if (out_.empty()) return;
  const auto add_row = [&](int64_t at, double loss, double accuracy) {
    if (!state_.history.empty() && state_.history.back().step >= at) return;
    HistoryRow row{at, epoch_of(at), loss, accuracy, false};
    row.rate = rate_of(at);
    row.seconds = seconds();
    state_.history.push_back(row);
  };
  const RunningSum& known = state_.interval;
  if (known.batches > 0 && state_.step < step)
    add_row(state_.step, mean_of(known.loss, known), mean_of(known.right, known) / static_cast<double>(batch_));
  add_row(step, std::nan(""), std::nan(""));
  write_file(path("history.csv"), to_csv(state_.history));
  write_file(path("distributions.csv"), to_csv(state_.distributions));
  RunRecord record = this->record(RunState::diverged);
  record.divergence = {found.step, found.tensor, found.place};
  write_record(out_, record);
  write_page();
  found.report_path = path("report.html");
}

void Trainer::describe_kept(Divergence& found, Diagnostic& diagnostic) const {
  if (out_.empty()) {
    diagnostic.note("nothing was kept: the run had no `--out DIR`");
    return;
  }
  if (checkpoint_step_ >= 0) {
    found.checkpoint_step = checkpoint_step_;
    found.checkpoint_path = checkpoint_folder(out_);
    diagnostic.note(fmt::format(
        "the last good checkpoint, of step {}, is in {}; with the network's file changed, `--resume {} --allow-changes` goes on from there",
        checkpoint_step_, found.checkpoint_path, out_));
  }
  if (state_.best) {
    found.best_weights_path = path("weights.best.safetensors");
    diagnostic.note(fmt::format("the weights of the best test, of step {}, are in {}", state_.best->row.step, found.best_weights_path));
  }
  diagnostic.note(fmt::format("the course of the run is in {}", found.report_path));
}

}  // namespace bnc
