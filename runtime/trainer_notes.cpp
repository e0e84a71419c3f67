// What a training run tells before it begins, and what its weights tell of it afterwards.
#include <fmt/format.h>

#include "runtime/overlap.h"
#include "runtime/trainer.h"

namespace bnc {

void Trainer::tell() const {
  if (!options_.on_warning) return;
  if (test_) {
    const int64_t common = examples_in_common(test_->data(), data_.data()), all = test_->count();
    // A few may be the same by chance, and where the training examples repeat themselves, equal ones are no sign of anything.
    if (2 * common >= all && 4 * repeated_examples(data_.data()) < data_.count()) {
      options_.on_warning(
          fmt::format("warning: {} tests on the rows it trains on: {} of its {} examples are among the training examples\nhelp: give data "
                      "of their own, `--data FILE:train --test FILE:test` for a fifth of one file, or `--validate 0.2`",
                      options_.test, common == all ? "all" : std::to_string(common), all));
    }
  }
  if (!options_.resume.empty()) return;
  const TrainSection& section = *network_.data().train();
  if (!options_.steps && !options_.epochs && !section.steps && !section.epochs) {
    options_.on_warning("note: trains for 1 epoch, as no length is given\n"
                        "help: give `--epochs` or `--steps`, or put `epochs = ...` into the train section");
  }
  if (const int64_t left = data_.count() % batch_; left > 0) {
    options_.on_warning(
        fmt::format("note: each epoch leaves {} of the {} training examples out, others each time: they fill no batch of {}", left,
                    data_.count(), batch_));
  }
}

TrainingRecord Trainer::training_record(int64_t step) const {
  const TrainSection& section = *network_.data().train();
  TrainingRecord record;
  record.data = options_.data;
  record.test = options_.test;
  record.weights = began_with_;
  record.validate = state_.validate;
  record.loss = to_string(section.loss);
  record.optimizer = to_string(Attribute(section.optimizer));
  record.seed = seed_;
  record.batch = batch_;
  record.steps = step;
  record.epochs = static_cast<double>(step) / static_cast<double>(steps_an_epoch_);
  return record;
}

}  // namespace bnc
