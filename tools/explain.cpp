// `bnc explain`: what became of every batch norm and every dropped bias, and what that saved.
#include <algorithm>

#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

void print_entry(const Explanation::Entry& entry, bool json) {
  if (json) {
    print_json({{"op", entry.op},
                {"path", entry.path},
                {"place", entry.place},
                {"source_line", entry.source_line},
                {"folded", entry.folded},
                {"what", entry.what}});
    return;
  }
  const std::string subject = entry.path.empty() ? entry.op : entry.op == "bias" ? "the bias of " + entry.path : entry.path;
  print(fmt::format("{}: {} {}\n", entry.place, subject, entry.what));
  if (!entry.source_line.empty()) print(fmt::format("    {}\n", entry.source_line));
}

void print_contraction(const Explanation::Entry& entry, bool json) {
  if (json) print_json({{"op", entry.op}, {"path", entry.path}, {"place", entry.place}, {"what", entry.what}});
  else print(fmt::format("{}: {}: {}\n", entry.place, entry.path, entry.what));
}

void print_totals(const Explanation& explanation, bool json) {
  if (json) {
    print_json({{"flops_before", explanation.flops_before},
                {"flops_after", explanation.flops_after},
                {"bytes_before", explanation.bytes_before},
                {"bytes_after", explanation.bytes_after},
                {"arena_before", explanation.arena_before},
                {"arena_after", explanation.arena_after}});
    return;
  }
  print(
      fmt::format("                              before          after\n"
                  "floating-point operations {:>10.0f}     {:>10.0f}\n"
                  "bytes moved               {:>10.0f}     {:>10.0f}\n"
                  "arena bytes               {:>10}     {:>10}\n",
                  explanation.flops_before, explanation.flops_after, explanation.bytes_before, explanation.bytes_after,
                  explanation.arena_before, explanation.arena_after));
}

void print_difference(const Explanation& explanation, bool json) {
  if (!explanation.predicted_difference) return;
  if (json) {
    nlohmann::json line{{"predicted_difference", *explanation.predicted_difference}, {"measured_difference", nullptr}};
    if (explanation.measured_difference) line["measured_difference"] = *explanation.measured_difference;
    print_json(line);
    return;
  }
  const std::string measured = explanation.measured_difference ? fmt::format("{:.2g} measured", *explanation.measured_difference)
                                                               : "not measured, the network is large";
  print(fmt::format("folding changes the outputs by: {:.2g} predicted, {}\n", *explanation.predicted_difference, measured));
}

int run_explain(const Arguments& arguments) {
  const Network network = arguments.network();
  const std::optional<WeightStore> weights = arguments.weights(network);
  const CompileOptions options = arguments.compile_options();
  const Explanation explanation = network.explain(options, weights ? &*weights : nullptr);
  for (const auto& entry : explanation.batch_norms) print_entry(entry, arguments.json());
  for (const auto& entry : explanation.biases) print_entry(entry, arguments.json());
  for (const auto& entry : explanation.contractions) print_contraction(entry, arguments.json());
  print_totals(explanation, arguments.json());
  print_difference(explanation, arguments.json());
  const auto left = std::count_if(explanation.batch_norms.begin(), explanation.batch_norms.end(),
                                  [](const auto& entry) { return !entry.folded; });
  if (!arguments.flag("require-folded") || left == 0) return exit_done;
  message(fmt::format("error: {} of {} batch norms were not folded", left, explanation.batch_norms.size()));
  return exit_failed;
}

}  // namespace

Command explain_command() {
  Command command{"explain",
                  "tells what became of every batch norm and dropped bias, and why",
                  "M.bn [--mode infer|train] [--weights W] [--require-folded]",
                  "bnc explain examples/mnist_mlp.bn --require-folded",
                  {},
                  {"model"},
                  run_explain};
  po::options_description options("Options");
  options.add_options()
      ("mode", one_of("MODE", {"infer", "train"}), "infer (default) or train")
      ("weights,w", input_file("W"), "the weights (safetensors)")
      ("batch", po::value<int64_t>()->value_name("N"), "fix the batch size")
      ("require-folded", po::bool_switch(), "exit 1 if any batch norm is left in the frozen graph");
  add_cpu_option(options);
  command.options.add(options).add(pass_options());
  return command;
}

}  // namespace bnc::tools
