// `bnc bench`: how long a step takes, and how near that is to the machine's peak.
#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

int run(const Arguments& arguments) {
  const Network network = Network::from_file(arguments.required("model"));
  const std::optional<WeightStore> weights = arguments.weights(network);
  BenchOptions options;
  options.mode = arguments.mode();
  options.batch = arguments.integer("batch").value_or(options.batch);
  options.seconds = arguments.positive("seconds", options.seconds);
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  const BenchResult result = bench(network, options, weights ? &*weights : nullptr);
  if (arguments.json()) {
    print_json({{"model", result.model}, {"mode", result.mode}, {"batch", result.batch}, {"threads", result.threads}, {"median_ms", result.median_ms},
                {"min_ms", result.min_ms}, {"p90_ms", result.p90_ms}, {"runs", result.runs}, {"compile_ms", result.compile_ms}, {"flops", result.flops},
                {"gflops", result.gflops}, {"peak_gflops", result.peak_gflops}, {"arena_bytes", result.arena_bytes}});
    return exit_done;
  }
  print(fmt::format("{} {} batch {}, {} thread{}\n", result.model, result.mode, result.batch, result.threads, result.threads == 1 ? "" : "s"));
  print(fmt::format("  median {:.4f} ms, least {:.4f}, 90th percentile {:.4f} ({} runs)\n", result.median_ms, result.min_ms, result.p90_ms, result.runs));
  print(fmt::format("  {:.1f} GFLOP/s of {:.1f} peak ({:.0f} %), {:.3f} MFLOP a run\n", result.gflops, result.peak_gflops,
                    100 * result.gflops / result.peak_gflops, result.flops / 1e6));
  print(fmt::format("  compiled in {:.1f} ms, arena {:.1f} KiB\n", result.compile_ms, static_cast<double>(result.arena_bytes) / 1024));
  return exit_done;
}

}  // namespace

Command bench_command() {
  Command command{"bench", "times inference or training steps", "M.bn [--mode infer|train] [--batch N] [options]", "bnc bench examples/mnist_mlp.bn --mode train --batch 60",
                  {}, {"model"}, run};
  po::options_description options("Options");
  options.add_options()
      ("mode", po::value<std::string>()->value_name("MODE"), "infer (default): frozen inference; train: forward, backward and update")
      ("batch", po::value<int64_t>()->value_name("N"), "examples a run (default 1)")
      ("seconds", po::value<double>()->value_name("S"), "how long to measure (default 3)")
      ("weights,w", po::value<std::string>()->value_name("W"), "the weights (default: fresh ones); the data are random");
  add_cpu_option(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
