// `bnc eval`: loss and accuracy over a data set.
#include <fmt/format.h>

#include "tools/data_pass.h"

namespace bnc::tools {
namespace {

int run_eval(const Arguments& arguments) {
  arguments.required("data");
  DataPass pass(arguments, "evaluate", true);
  auto options = pass.options<EvaluateOptions>();
  options.on_warning = message;
  options.checks = arguments.checks();
  options.batch_statistics = arguments.choice("stats") == "batch";
  const EvaluationResult result = evaluate(pass.network, pass.weights, options);
  pass.display.finish();
  warn_of_not_finite(result, "examples");
  if (arguments.json()) {
    Json line = {{"loss", result.loss}, {"accuracy", result.accuracy}, {"count", result.count}, {"not_finite", result.not_finite}};
    for (const auto& [name, value] : result.metrics) line["metrics"][name] = value;
    print_json(line);
  } else {
    print(fmt::format("{} ({} examples)\n", figures_text(result, 6), result.count));
  }
  return exit_done;
}

}  // namespace

Command eval_command() {
  Command command{"eval", "prints loss and accuracy over a data set", "M.bn --weights W --data SPEC [options]",
                  "bnc eval examples/mnist_mlp.bn --weights run/weights.safetensors --data fashion-mnist", {}, {"model"}, run_eval};
  po::options_description options = data_pass_options(fmt::format("the data: {} (default: test)", data_help),
                                                      "examples a batch (default 100)");
  options.add_options()("stats", one_of("S", {"population", "batch"}),
                        "normalize with `population` statistics (default), or with those of each `batch`");
  add_check_options(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
