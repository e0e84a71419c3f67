// `bnc lint`: what looks wrong about a network's weights.
#include <fmt/format.h>

#include "tools/data_pass.h"
#include "tools/diagnostics.h"

namespace bnc::tools {
namespace {

void print_finding(const LintFinding& finding, bool json) {
  if (!json) return print(painted(finding.diagnostic, stdout));
  print_json({{"severity", finding.severity == LintFinding::Severity::error ? "error" : "warning"},
              {"kind", finding.kind},
              {"tensor", finding.tensor},
              {"place", finding.place},
              {"count", finding.count},
              {"of", finding.of},
              {"what", finding.what},
              {"advice", finding.advice}});
}

int run_lint(const Arguments& arguments) {
  DataPass pass(arguments, "lint", false);
  const std::vector<LintFinding> findings = lint(pass.network, pass.weights, pass.options<LintOptions>());
  pass.display.finish();
  for (const LintFinding& finding : findings) print_finding(finding, arguments.json());
  if (!findings.empty()) return exit_failed;
  if (!arguments.json()) print("nothing found\n");
  return exit_done;
}

}  // namespace

Command lint_command() {
  Command command{"lint",
                  "looks for dead channels, impossible numbers and wrong statistics in weights",
                  "M.bn --weights W [--data SPEC] [options]",
                  "bnc lint examples/mnist_mlp.bn --weights run/weights.safetensors --data fashion-mnist",
                  {},
                  {"model"},
                  run_lint};
  const std::string data = fmt::format("hold the stored statistics against those of these data: {} (default: train)", data_help);
  command.options.add(data_pass_options(data, normalized_together_help));
  return command;
}

}  // namespace bnc::tools
