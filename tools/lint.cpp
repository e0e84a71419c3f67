// `bnc lint`: what looks wrong about a network's weights.
#include <fmt/format.h>

#include "tools/command.h"
#include "tools/progress.h"

namespace bnc::tools {
namespace {

void print_finding(const LintFinding& finding, bool json) {
  if (!json) return print(finding.diagnostic);
  print_json({{"severity", finding.severity == LintFinding::Severity::error ? "error" : "warning"}, {"kind", finding.kind}, {"tensor", finding.tensor}, {"place", finding.place},
              {"count", finding.count}, {"of", finding.of}, {"what", finding.what}, {"advice", finding.advice}});
}

int run(const Arguments& arguments) {
  const Network network = Network::from_file(arguments.required("model"));
  arguments.required("weights");
  LintOptions options;
  options.data = arguments.text("data");
  options.batch = arguments.integer("batch").value_or(0);
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  ProgressDisplay display("lint", false);
  options.on_progress = [&](const Progress& progress) { display.update(progress); };
  const std::vector<LintFinding> findings = lint(network, *arguments.weights(network), options);
  display.finish();
  for (const LintFinding& finding : findings) print_finding(finding, arguments.json());
  if (!findings.empty()) return exit_failed;
  if (!arguments.json()) print("nothing found\n");
  return exit_done;
}

}  // namespace

Command lint_command() {
  Command command{"lint", "looks for dead channels, impossible numbers and wrong statistics in weights", "M.bn --weights W [--data SPEC] [options]",
                  "bnc lint examples/mnist_mlp.bn --weights run/weights.safetensors --data fashion-mnist", {}, {"model"}, run};
  po::options_description options("Options");
  options.add_options()
      ("weights,w", po::value<std::string>()->value_name("W"), "the weights (safetensors)")
      ("data", po::value<std::string>()->value_name("SPEC"), fmt::format("hold the stored statistics against those of these data: {} (default: train)", data_help).c_str())
      ("batch", po::value<int64_t>()->value_name("B"), "examples that are normalized together (default: the train section's)");
  add_cpu_option(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
