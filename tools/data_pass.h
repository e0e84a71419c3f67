// What `bnc eval`, `bnc restat` and `bnc lint` have in common: a pass over a data set with weights that stay as they are.
#pragma once

#include "tools/command.h"
#include "tools/progress.h"

namespace bnc::tools {

class DataPass {
 public:
  // Reads the model and its weights; UsageError where either is not given. Without `figures` there is no loss to show on the way.
  DataPass(const Arguments& arguments, const char* title, bool figures)
      : network(arguments.network()), weights(arguments.required_weights(network)), display(title, figures), arguments_(arguments) {}

  // EvaluateOptions, RestatOptions or LintOptions, with all that they have in common; they refer to this pass.
  template <class Options>
  Options options() {
    Options options;
    options.data = arguments_.text("data");
    options.data_options = arguments_.data_options();
    options.batch = arguments_.integer("batch").value_or(options.batch);
    options.threads = arguments_.threads();
    options.cpu = arguments_.cpu();
    options.on_progress = [this](const Progress& progress) { display.update(progress); };
    return options;
  }

  const Network network;
  const WeightStore weights;
  ProgressDisplay display;

 private:
  const Arguments& arguments_;
};

// The options behind them; `data` and `batch` tell what the command does with those.
inline po::options_description data_pass_options(const std::string& data, const std::string& batch) {
  po::options_description options("Options");
  options.add_options()
      ("weights,w", input_file("W"), "the weights (safetensors)")
      ("data", input_data("SPEC"), data.c_str())
      ("batch", po::value<int64_t>()->value_name("B"), batch.c_str());
  add_cpu_option(options);
  add_data_options(options);
  return options;
}

inline constexpr const char* normalized_together_help =
    "examples that are normalized together (default: as in training, the train section's batch, or ghost batches where the network has "
    "them)";

}  // namespace bnc::tools
