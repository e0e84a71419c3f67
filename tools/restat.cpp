// `bnc restat`: estimates the stored statistics of batch norms again, over a whole data set.
#include <fmt/format.h>

#include "tools/data_pass.h"

namespace bnc::tools {
namespace {

int run_restat(const Arguments& arguments) {
  arguments.required("data");
  arguments.required("output");
  const std::string output = arguments.output("output");
  DataPass pass(arguments, "restat", false);
  restat(pass.network, pass.weights, pass.options<RestatOptions>()).save(output);
  pass.display.finish();
  if (arguments.json()) print_json({{"model", pass.network.name()}, {"weights", output}});
  return exit_done;
}

}  // namespace

Command restat_command() {
  Command command{"restat",
                  "estimates the stored statistics of batch norms again, over a whole data set",
                  "M.bn --weights W --data SPEC -o W2 [options]",
                  "bnc restat examples/mnist_mlp.bn --weights run/weights.safetensors --data fashion-mnist -o restat.safetensors",
                  {},
                  {"model"},
                  run_restat};
  po::options_description options = data_pass_options(fmt::format("the data: {} (default: train)", data_help), normalized_together_help);
  options.add_options()("output,o", output_file("W2", {".safetensors"}),
                        "the file to write: the same weights with new means and variances");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
