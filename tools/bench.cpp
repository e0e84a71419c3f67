// `bnc bench`: how long a step takes, and how near that is to the machine's peak.
#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

double rate(double amount, double ms) { return ms > 0 ? amount / ms * 1e-6 : 0; }  // 10^9 a second

double total_ms(const BenchResult& result) {
  double total = 0;
  for (const BenchResult::Kernel& kernel : result.kernels) total += kernel.ms;
  return total;
}

Json profile_json(const BenchResult& result) {
  Json kernels = Json::array();
  for (const BenchResult::Kernel& kernel : result.kernels) {
    kernels.push_back({{"name", kernel.name},
                       {"ms", kernel.ms},
                       {"share", kernel.ms / total_ms(result)},
                       {"gflops", rate(kernel.flops, kernel.ms)},
                       {"gbytes", rate(kernel.bytes, kernel.ms)}});
  }
  return kernels;
}

// The kernels in the order in which they run.
void print_profile(const BenchResult& result) {
  print(fmt::format("\n{:>10} {:>7} {:>9} {:>7} {:>8}  kernel\n", "ms", "share", "GFLOP/s", "peak", "GB/s"));
  const double total = total_ms(result);
  for (const BenchResult::Kernel& kernel : result.kernels) {
    const double gflops = rate(kernel.flops, kernel.ms);
    print(fmt::format("{:10.4f} {:5.1f} % {:9.1f} {:5.0f} % {:8.1f}  {}\n", kernel.ms, 100 * kernel.ms / total, gflops,
                      100 * gflops / result.peak_gflops, rate(kernel.bytes, kernel.ms), kernel.name));
  }
  print(fmt::format("{:10.4f} ms with a barrier behind each kernel\n", total));
}

int run_bench(const Arguments& arguments) {
  const Network network = arguments.network();
  const std::optional<WeightStore> weights = arguments.weights(network);
  BenchOptions options;
  options.mode = arguments.mode();
  options.batch = arguments.integer("batch").value_or(options.batch);
  options.seconds = arguments.positive("seconds", options.seconds);
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  options.checks = arguments.checks();
  if (options.checks.poison && arguments.flag("profile")) throw UsageError("give `--poison` or `--profile`, not both");
  options.profile = arguments.flag("profile");
  options.on_time = arguments.print_time();
  std::optional<Network> other;
  if (arguments.has("against")) options.against = &other.emplace(Network::from_file(arguments.text("against")));
  const BenchResult result = bench(network, options, weights ? &*weights : nullptr);
  if (arguments.json()) {
    Json object = {{"model", result.model},
                   {"mode", result.mode},
                   {"batch", result.batch},
                   {"threads", result.threads},
                   {"median_ms", result.median_ms},
                   {"min_ms", result.min_ms},
                   {"p90_ms", result.p90_ms},
                   {"runs", result.runs},
                   {"compile_ms", result.compile_ms},
                   {"flops", result.flops},
                   {"gflops", result.gflops},
                   {"peak_gflops", result.peak_gflops},
                   {"bytes_moved", result.bytes_moved},
                   {"stream_gbytes", result.stream_gbytes},
                   {"arena_bytes", result.arena_bytes}};
    if (other) object.update({{"against", other->name()}, {"against_ms", result.against_ms}, {"ratio", result.ratio}});
    if (arguments.flag("profile")) object["kernels"] = profile_json(result);
    print_json(object);
    return exit_done;
  }
  print(fmt::format("{} {} batch {}, {} thread{}\n", result.model, result.mode, result.batch, result.threads,
                    result.threads == 1 ? "" : "s"));
  print(fmt::format("  median {:.4f} ms, least {:.4f}, 90th percentile {:.4f} ({} runs)\n", result.median_ms, result.min_ms, result.p90_ms,
                    result.runs));
  if (other)
    print(fmt::format("  {:.4f} times as long as {}, whose median is {:.4f} ms (median of {} pairs of runs)\n", result.ratio, other->name(),
                      result.against_ms, result.runs));
  print(fmt::format("  {:.1f} GFLOP/s of {:.1f} peak ({:.0f} %), {:.3f} MFLOP a run\n", result.gflops, result.peak_gflops,
                    100 * result.gflops / result.peak_gflops, result.flops / 1e6));
  print(fmt::format("  {:.2f} MB moved at {:.1f} GB/s; the machine copies {:.1f} GB/s\n", result.bytes_moved / 1e6,
                    result.bytes_moved / result.median_ms * 1e-6, result.stream_gbytes));
  print(fmt::format("  compiled in {:.1f} ms, arena {:.1f} KiB\n", result.compile_ms, static_cast<double>(result.arena_bytes) / 1024));
  if (arguments.flag("profile")) print_profile(result);
  return exit_done;
}

}  // namespace

Command bench_command() {
  Command command{"bench",
                  "times inference or training steps",
                  "M.bn [--mode infer|train] [--batch N] [options]",
                  "bnc bench examples/mnist_mlp.bn --mode train --batch 60",
                  {},
                  {"model"},
                  run_bench};
  po::options_description options("Options");
  options.add_options()("mode", one_of("MODE", {"infer", "train"}),
                        "infer (default): frozen inference; train: forward, backward and update")(
      "batch", po::value<int64_t>()->value_name("N"), "examples a run (default 1)")("seconds", po::value<double>()->value_name("S"),
                                                                                    "how long to measure (default 3)")(
      "against", input_file("OTHER.bn"),
      "time another network in turns with it, run after run, and tell the ratio; its weights are fresh ones")(
      "profile", po::bool_switch(), "time each kernel, in runs of their own with a barrier behind each")(
      "time-passes", po::bool_switch(), time_passes_help)("weights,w", input_file("W"),
                                                          "the weights (default: fresh ones); the data are random");
  add_cpu_option(options);
  add_check_options(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
