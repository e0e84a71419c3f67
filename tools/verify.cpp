// `bnc verify`: the compiled network against the float64 evaluator, layer by layer.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tools/command.h"
#include "tools/progress.h"
#include "tools/terminal.h"

namespace bnc::tools {
namespace {

// JSON has no infinity: such an error is null.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

std::string short_number(double value) { return value == 0 ? "0" : fmt::format("{:.1e}", value); }

void print_json_lines(const Verification& verification, const VerifyOptions& options) {
  for (const LayerCheck& layer : verification.layers) {
    print_json({{"layer", layer.layer},
                {"op", layer.op},
                {"place", layer.place},
                {"error", number(layer.error)},
                {"folding_predicted", layer.folding_predicted},
                {"folding_measured", layer.folding_measured ? number(*layer.folding_measured) : Json()},
                {"passed", layer.passed}});
  }
  print_json(
      {{"worst", number(verification.worst)}, {"at", verification.worst_layer}, {"bound", options.bound}, {"passed", verification.passed}});
}

void print_table(const Verification& verification, const VerifyOptions& options) {
  size_t widest = 5, widest_place = 5;
  for (const LayerCheck& layer : verification.layers) {
    widest = std::max(widest, layer.layer.size());
    widest_place = std::max(widest_place, layer.place.size());
  }
  print(fmt::format("{:<{}}  {:<{}}  {:>8}  folding: {:>9}  {:>8}\n", "layer", widest, "place", widest_place, "error", "predicted",
                    "measured"));
  for (const LayerCheck& layer : verification.layers) {
    const std::string verdict = layer.passed ? "ok" : styled(Style::error, "WRONG");
    const std::string measured = layer.folding_measured ? short_number(*layer.folding_measured) : "-";
    print(fmt::format("{:<{}}  {:<{}}  {:>8}  {:>18}  {:>8}  {}\n", layer.layer, widest, layer.place, widest_place,
                      short_number(layer.error), short_number(layer.folding_predicted), measured, verdict));
  }
  print(fmt::format("largest error {} of the largest number of {}; the bound is {}\n", short_number(verification.worst),
                    verification.worst_layer, short_number(options.bound)));
}

int run_verify(const Arguments& arguments) {
  const Network network = arguments.network();
  const WeightStore weights = arguments.required_weights(network);
  VerifyOptions options;
  if (arguments.has("input")) options.inputs = network.load_inputs(arguments.text("input"), weights);
  options.batch = arguments.integer("batch");
  options.seed = static_cast<uint64_t>(arguments.integer("seed", 0).value_or(static_cast<int64_t>(options.seed)));
  options.bound = arguments.positive("bound", options.bound);
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  options.on_warning = message;
  ProgressDisplay display("verify", false);
  options.on_progress = [&](const Progress& progress) { display.update(progress); };
  const Verification verification = network.verify(weights, options);
  display.finish();
  if (arguments.json()) print_json_lines(verification, options);
  else print_table(verification, options);
  if (verification.passed) return exit_done;
  const auto first = std::find_if(verification.layers.begin(), verification.layers.end(),
                                  [](const LayerCheck& layer) { return !layer.passed; });
  message(fmt::format("error: {} ({}) is the first result that differs from the float64 evaluator's by more than {}", first->layer,
                      first->place, options.bound));
  return exit_failed;
}

}  // namespace

Command verify_command() {
  Command command{"verify",
                  "compares the compiled network with the float64 evaluator, layer by layer",
                  "M.bn --weights W [--input IN.npz] [options]",
                  "bnc verify examples/mnist_mlp.bn --weights run/weights.safetensors",
                  {},
                  {"model"},
                  run_verify};
  po::options_description options("Options");
  options.add_options()("weights,w", input_file("W"), "the weights (safetensors)")(
      "input,i", input_file("IN"), "an .npz with one array an input, by name (default: random numbers)")(
      "batch", po::value<int64_t>()->value_name("N"),
      "compile for batches of N examples (default: for any; 4 random ones, or 1 of a large network)")(
      "seed", po::value<int64_t>()->value_name("S"), "seed of the random numbers (default 1)")(
      "bound", po::value<double>()->value_name("B"),
      "exit 1 where an error is larger, relative to the layer's largest number (default 1e-4)");
  add_cpu_option(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
