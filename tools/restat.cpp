// `bnc restat`: estimates the stored statistics of batch norms again, over a whole data set.
#include <fmt/format.h>

#include "tools/command.h"
#include "tools/progress.h"

namespace bnc::tools {
namespace {

int run(const Arguments& arguments) {
  const Network network = Network::from_file(arguments.required("model"));
  arguments.required("weights");
  const std::string& output = arguments.required("output");
  RestatOptions options;
  options.data = arguments.required("data");
  options.batch = arguments.integer("batch").value_or(0);
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  ProgressDisplay display("restat", false);
  options.on_progress = [&](const Progress& progress) { display.update(progress); };
  restat(network, *arguments.weights(network), options).save(output);
  display.finish();
  if (arguments.json()) print_json({{"model", network.name()}, {"weights", output}});
  return exit_done;
}

}  // namespace

Command restat_command() {
  Command command{"restat", "estimates the stored statistics of batch norms again, over a whole data set", "M.bn --weights W --data SPEC -o W2 [options]",
                  "bnc restat examples/mnist_mlp.bn --weights run/weights.safetensors --data fashion-mnist -o restat.safetensors", {}, {"model"}, run};
  po::options_description options("Options");
  options.add_options()
      ("weights,w", po::value<std::string>()->value_name("W"), "the weights (safetensors)")
      ("data", po::value<std::string>()->value_name("SPEC"), fmt::format("the data: {} (default: train)", data_help).c_str())
      ("batch", po::value<int64_t>()->value_name("B"), "examples that are normalized together (default: the train section's)")
      ("output,o", po::value<std::string>()->value_name("W2"), "the file to write: the same weights with new means and variances");
  add_cpu_option(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
