// `bnc opt`: the module after some passes, as legal .bn text; loops behind lower-to-loops.
#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

int check_equivalence(const std::vector<EquivalenceCheck>& checks, bool json) {
  int failures = 0;
  for (const EquivalenceCheck& check : checks) {
    failures += !check.passed;
    if (json)
      print_json({{"pass", check.pass}, {"value", check.value}, {"relative_error", check.relative_error}, {"passed", check.passed}});
    else if (!check.passed) message(fmt::format("error: `{}` differs by {:.3g} after {}", check.value, check.relative_error, check.pass));
  }
  return failures ? exit_failed : exit_done;
}

int run_opt(const Arguments& arguments) {
  const Network network = arguments.network();
  const std::optional<WeightStore> weights = arguments.weights(network);
  arguments.required("passes");
  const std::vector<std::string> names = arguments.list("passes");
  const CompileOptions options = arguments.compile_options();
  const std::string text = network.optimize(names, options, weights ? &*weights : nullptr);
  if (arguments.has("output")) write_file(arguments.output("output"), text);
  else if (!arguments.json()) print(text);
  else print_json({{"model", network.name()}, {"passes", names}, {"text", text}});
  if (!arguments.flag("check-equivalence")) return exit_done;
  const auto seed = static_cast<uint64_t>(arguments.integer("seed", 0).value_or(1));
  return check_equivalence(network.check_equivalence(names, seed, weights.has_value()), arguments.json());
}

}  // namespace

Command opt_command() {
  Command command{"opt", "prints a network after some passes, as legal .bn text", "M.bn --passes a,b,c [options]",
                  "bnc opt examples/mnist_mlp.bn --passes canonicalize,freeze,fold-batch-norm", {}, {"model"}, run_opt};
  po::options_description options("Options");
  options.add_options()
      ("passes", po::value<std::string>()->value_name("a,b,c"), "the passes to run, in order")
      ("weights,w", input_file("W"), "weights (safetensors) that constant-fold may compute with")
      ("batch", po::value<int64_t>()->value_name("N"), "fix the batch size")
      ("output,o", output_file("OUT", {".bn"}), "write to OUT instead of stdout, `-`")
      ("check-equivalence", po::bool_switch(), "evaluate the network before and after on random data; exit 1 where the two differ")
      ("seed", po::value<int64_t>()->value_name("S"), "seed of that data (default 1)");
  add_cpu_option(options);
  command.options.add(options).add(pass_options());
  return command;
}

}  // namespace bnc::tools
