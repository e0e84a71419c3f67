// `bnc eval`: loss and accuracy over a data set.
#include <fmt/format.h>

#include "tools/command.h"
#include "tools/progress.h"

namespace bnc::tools {
namespace {

int run(const Arguments& arguments) {
  const Network network = Network::from_file(arguments.required("model"));
  arguments.required("weights");
  EvaluateOptions options;
  options.on_warning = message;
  options.data = arguments.required("data");
  options.batch = arguments.integer("batch").value_or(options.batch);
  options.batch_statistics = arguments.choice("stats", {"population", "batch"}) == "batch";
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  ProgressDisplay display("evaluate");
  options.on_progress = [&](const Progress& progress) { display.update(progress); };
  const EvaluationResult result = evaluate(network, *arguments.weights(network), options);
  display.finish();
  if (arguments.json()) print_json({{"loss", result.loss}, {"accuracy", result.accuracy}, {"count", result.count}});
  else print(fmt::format("loss {:.6f}, accuracy {:.4f} ({} examples)\n", result.loss, result.accuracy, result.count));
  return exit_done;
}

}  // namespace

Command eval_command() {
  Command command{"eval", "prints loss and accuracy over a data set", "M.bn --weights W --data SPEC [options]",
                  "bnc eval examples/mnist_mlp.bn --weights run/weights.safetensors --data fashion-mnist", {}, {"model"}, run};
  po::options_description options("Options");
  options.add_options()
      ("weights,w", po::value<std::string>()->value_name("W"), "the weights (safetensors)")
      ("data", po::value<std::string>()->value_name("SPEC"), fmt::format("the data: {} (default: test)", data_help).c_str())
      ("batch", po::value<int64_t>()->value_name("B"), "examples a batch (default 100)")
      ("stats", po::value<std::string>()->value_name("S"), "normalize with `population` statistics (default), or with those of each `batch`");
  add_cpu_option(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
