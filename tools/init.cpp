// `bnc init`: freshly initialized weights.
#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

int run_init(const Arguments& arguments) {
  const Network network = arguments.network();
  arguments.required("output");
  const std::string output = arguments.output("output");
  const WeightStore weights = network.initialize(static_cast<uint64_t>(arguments.integer("seed", 0).value_or(0)));
  weights.save(output);
  int64_t numbers = 0;
  for (const std::string& name : weights.names()) numbers += static_cast<int64_t>(weights.values(name).size());
  if (arguments.json())
    print_json({{"model", network.name()}, {"output", output}, {"tensors", weights.names().size()}, {"numbers", numbers}});
  else message(fmt::format("{}: {} tensors, {} numbers", output, weights.names().size(), numbers));
  return exit_done;
}

}  // namespace

Command init_command() {
  Command command{"init", "writes freshly initialized weights", "M.bn --seed S -o W.safetensors",
                  "bnc init examples/mnist_mlp.bn --seed 1 -o weights.safetensors", {}, {"model"}, run_init};
  po::options_description options("Options");
  options.add_options()
      ("seed", po::value<int64_t>()->value_name("S"), "same seed, same bits (default 0)")
      ("output,o", output_file("W", {".safetensors"}), "where to write the weights (safetensors)");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
