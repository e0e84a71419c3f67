// `bnc gradcheck`: analytic against numeric gradients.
#include <fmt/format.h>

#include "tools/command.h"
#include "tools/terminal.h"

namespace bnc::tools {
namespace {

int run_gradcheck(const Arguments& arguments) {
  const Network network = arguments.network();
  int failures = 0;
  for (const GradientCheck& check : network.check_gradients(static_cast<uint64_t>(arguments.integer("seed", 0).value_or(1)))) {
    failures += !check.passed;
    if (arguments.json()) {
      print_json(
          {{"tensor", check.tensor}, {"relative_error", check.relative_error}, {"tolerance", check.tolerance}, {"passed", check.passed}});
    } else {
      print(fmt::format("{} {:<40} relative error {:.3g} (tolerance {:.3g})\n", check.passed ? "ok    " : styled(Style::error, "WRONG "),
                        check.tensor, check.relative_error, check.tolerance));
    }
  }
  if (failures)
    message(
        fmt::format("error: {} gradient{} disagree{} with the numeric one", failures, failures == 1 ? "" : "s", failures == 1 ? "s" : ""));
  return failures ? exit_failed : exit_done;
}

}  // namespace

Command gradcheck_command() {
  Command command{"gradcheck",
                  "compares analytic with numeric gradients, a line a tensor",
                  "M.bn [--seed S]",
                  "bnc gradcheck examples/mnist_mlp.bn",
                  {},
                  {"model"},
                  run_gradcheck};
  po::options_description options("Options");
  options.add_options()("seed", po::value<int64_t>()->value_name("S"), "seed of the weights and data (default 1)");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
