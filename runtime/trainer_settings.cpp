// What a run does, from its options, its train section and what it goes on from.
#include <algorithm>
#include <cmath>

#include "passes/optimizers/learning_rate.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/model_identity.h"
#include "runtime/network.h"
#include "runtime/trainer.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

constexpr int64_t history_rows = 200, least_tests = 10;

}  // namespace

void Trainer::choose_settings() {
  const TrainSection& section = *network_.data().train();
  if (options_.resume.empty()) {
    batch_ = options_.batch.value_or(section.batch);
    seed_ = options_.seed.value_or(static_cast<uint64_t>(section.seed));
    state_.examples = data_.count();
    state_.validate = options_.validate.value_or(0);
    if (options_.weights.empty()) {
      ModelMetadata model = std::move(state_.weights.data().metadata);
      state_.weights = network_.initialize(seed_);
      state_.weights.data().metadata = std::move(model);
    }
  } else {
    follow_state();
  }
  patience_ = options_.patience ? options_.patience : section.patience;
  if (state_.validate > 0) hold_out();
  if (patience_ && !watched())
    fail(
        "stopping early needs examples to test on while training\nhelp: give `--test SPEC`, or `--validate 0.1` to hold a tenth of the "
        "training examples out");
  if (batch_ < 1) fail("the batch size is {}, but must be at least 1", batch_);
  if (data_.count() < batch_) {
    fail("{} holds {} examples{}, fewer than a batch of {}", options_.data, data_.count(), validation_ ? " that are not held out" : "",
         batch_);
  }
  steps_an_epoch_ = data_.count() / batch_;
  if (options_.steps) steps_ = *options_.steps;
  else if (options_.epochs) steps_ = *options_.epochs * steps_an_epoch_;
  else if (state_.steps > 0) steps_ = state_.steps;
  else steps_ = section.steps.value_or(section.epochs.value_or(1) * steps_an_epoch_);
  if (state_.steps > 0 && steps_ != state_.steps && follows_run_length(section)) {
    fail("the learning rate of the run in {} is scheduled over its {} steps, which cannot change to {}\n"
         "help: a schedule with `steps=...` of its own, and `--allow-changes`, let the run go on", options_.resume, state_.steps, steps_);
  }
  row_interval_ = std::max<int64_t>(1, steps_ / history_rows);
  if (options_.test_every && *options_.test_every < 1)
    fail("there are {} steps between tests, but must be at least 1", *options_.test_every);
  if (options_.test_every) test_interval_ = *options_.test_every;
  else test_interval_ = steps_ >= least_tests * steps_an_epoch_ ? steps_an_epoch_ : std::max<int64_t>(1, steps_ / least_tests);
}

void Trainer::follow_state() {
  if (state_.examples != data_.count())
    fail("the run in {} was on {} examples, but {} holds {}", options_.resume, state_.examples, options_.data, data_.count());
  if (state_.best && !std::isfinite(state_.best->row.test_loss)) state_.best.reset();
  batch_ = state_.batch;
  seed_ = state_.seed;
  if (options_.batch && *options_.batch != batch_)
    fail("the run in {} has batches of {}, which cannot change to {}", options_.resume, batch_, *options_.batch);
  if (options_.seed && *options_.seed != seed_)
    fail("the run in {} has seed {}, which cannot change to {}", options_.resume, seed_, *options_.seed);
  if (options_.validate && *options_.validate != state_.validate) {
    fail("the run in {} holds out a share of {}, which cannot change to {}", options_.resume, state_.validate, *options_.validate);
  }
}

void Trainer::hold_out() {
  auto [rest, held_out] = data_.split(state_.validate, seed_);
  data_ = std::move(rest);
  validation_.emplace(std::move(held_out));
}

// The data a run begins with decide how numbers and targets are taken, in this run and wherever its weights go.
void Trainer::follow_one_rule() {
  ModelMetadata& model = state_.weights.data().metadata;
  objective_.prepare(data_, model, training_data_of(state_.weights));
  if (!model.input_scale) model.input_scale = scale_of(data_.data().stored_numbers());
  if (!model.targets && objective_.has_targets()) model.targets = data_.has_labels() ? TargetMeaning::classes : TargetMeaning::numbers;
  for (std::optional<Dataset>* other : {&validation_, &test_})
    if (*other) objective_.prepare(**other, model, "the training data " + options_.data);
  if (model.targets != TargetMeaning::classes) model.classes.clear();   // names of folders, say, that the loss does not read
}

void Trainer::describe_model() {
  ModelMetadata& model = state_.weights.data().metadata;
  began_with_ = !options_.resume.empty() && model.training ? model.training->weights : options_.weights;
  sign(network_, model);
  for (ModelInput& input : model.inputs) {
    if (input.name != objective_.input()) continue;
    input.example = data_.example_dims();
    input.channels_first = shape_.planes;
  }
}

std::optional<Augmentation> Trainer::augmentation() const {
  const TrainSection& section = *network_.data().train();
  if (section.augment.empty()) return std::nullopt;
  const auto refuse = [&](const std::string& text) { throw CompileError(Diagnostic{Severity::error, section.augment_range, text, {}}); };
  const std::vector<int64_t>& dims = data_.example_dims();
  if (dims.size() != 2 && dims.size() != 3)
    refuse(fmt::format("this changes images, but the examples of {} are [{}]", options_.data, fmt::join(dims, ", ")));
  ImageLayout layout{dims[0], dims[1], dims.size() == 3 ? dims[2] : 1};
  if (shape_.planes) layout = {dims[1], dims[2], dims[0], true};
  for (const Symbol& step : section.augment) {
    const Attribute* pixels = step.find("pixels");
    if (pixels && pixels->integer() >= std::min(layout.height, layout.width))
      refuse(fmt::format("`{}` moves images by up to {} pixels, but those of {} have {} x {}", step.name, pixels->integer(), options_.data,
                         layout.height, layout.width));
  }
  return Augmentation(section.augment, layout, seed_);
}

CompileOptions Trainer::compile_options() const {
  CompileOptions compile;
  compile.cpu = options_.cpu;
  compile.threads = options_.threads;
  compile.checks = options_.checks;
  compile.mode = Mode::train;
  compile.batch = batch_;
  compile.run_steps = steps_;
  compile.steps_an_epoch = steps_an_epoch_;
  compile.seed = seed_;
  return compile;
}

}  // namespace bnc
