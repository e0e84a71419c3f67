// `bnc import`: weights of other programs into a network.
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bnc/state_dict.h"
#include "tools/command.h"

namespace bnc::tools {
namespace {

// What is there of "12 by name", "3 by shape".
std::string matches_text(const ImportReport& report) {
  std::vector<std::string> parts;
  for (const auto& [count, rule] : {std::pair(report.by_map, "as the map says"), {report.by_name, "by name"},
                                    {report.by_alike_names, "by names that are alike"}, {report.by_shape, "by kind and shape"},
                                    {report.by_order, "by order among those of one kind and shape"}})
    if (count > 0) parts.push_back(fmt::format("{} {}", count, rule));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Counters are told as one.
std::string ignored_text(const ImportReport& report) {
  constexpr std::string_view counter = "num_batches_tracked";
  std::vector<std::string> parts;
  size_t counters = 0;
  for (const std::string& name : report.ignored) name.ends_with(counter) ? void(++counters) : parts.push_back(name);
  if (counters > 0) parts.insert(parts.begin(), fmt::format("{} {}", counters, counter));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string report_text(const ImportReport& report) {
  std::string text = fmt::format("\n  names and layouts: {}\n  matched: {}", report.dialect, matches_text(report));
  std::vector<std::string> layouts;
  for (const auto& [layout, count] : report.layouts) layouts.push_back(fmt::format("{} {}", count, layout));
  if (!layouts.empty()) text += fmt::format("\n  converted: {}", fmt::join(layouts, ", "));
  for (const std::string& permuted : report.permuted) text += "\n  permuted: " + permuted;
  if (!report.filled.empty()) text += fmt::format("\n  not in the file: {}", fmt::join(report.filled, ", "));
  if (!report.ignored.empty()) text += "\n  ignored: " + ignored_text(report);
  return text;
}

Json report_json(const ImportReport& report) {
  Json layouts = Json::object();
  for (const auto& [layout, count] : report.layouts) layouts[layout] = count;
  const Json matched = {{"map", report.by_map},           {"name", report.by_name},   {"alike_names", report.by_alike_names},
                        {"shape", report.by_shape},       {"order", report.by_order}};
  return {{"dialect", report.dialect}, {"matched", matched},        {"layouts", layouts},     {"permuted", report.permuted},
          {"filled", report.filled},   {"ignored", report.ignored}, {"notes", report.notes}};
}

// The weights, or an error that leaves the draft of a map where one is wanted.
ImportedWeights imported(const Arguments& arguments, const Network& network, const StateDict& saved) {
  const std::string map = arguments.text("map");
  std::error_code ignored;
  const bool exists = !map.empty() && std::filesystem::exists(map, ignored);
  try {
    return import_weights(network, saved, exists ? map : "");
  } catch (const UnmatchedTensors& error) {
    if (exists) throw Error(fmt::format("{}\nhelp: lines of {} say what becomes of them", error.what(), map));
    if (map.empty())
      throw Error(fmt::format("{}\nhelp: `--map FILE` writes a draft of which tensor is which, to be corrected", error.what()));
    write_file(map, error.draft());
    throw Error(fmt::format("{}\nhelp: {} is now a draft of which tensor is which: correct its lines that begin with `?`, then call again",
                            error.what(), map));
  }
}

int import_state_dict(const Arguments& arguments) {
  const std::string& source = arguments.required("source");
  const Network network = arguments.network();
  arguments.required("output");
  const std::string output = arguments.output("output");
  const StateDict saved = StateDict::load(source);
  const ImportedWeights result = imported(arguments, network, saved);
  result.weights.save(output);
  int64_t numbers = 0;
  const std::vector<std::string> names = result.weights.names();
  for (const std::string& name : names) numbers += static_cast<int64_t>(result.weights.values(name).size());
  if (arguments.json()) {
    Json object = {{"model", network.name()}, {"output", output}, {"tensors", names.size()}, {"numbers", numbers}, {"part", saved.part()}};
    object.update(report_json(result.report));
    print_json(object);
  } else {
    const std::string part = saved.part().empty() ? "" : fmt::format(", from its `{}`", saved.part());
    message(fmt::format("{}: {} tensors, {} numbers{}{}", output, names.size(), numbers, part, report_text(result.report)));
  }
  for (const std::string& note : result.report.notes) message("note: " + note);
  return exit_done;
}

}  // namespace

Command import_command() {
  Command command{"import",
                  "brings weights of PyTorch or Keras into a network that is there already",
                  "W.pt|W.safetensors --model M.bn -o OUT.safetensors [--map FILE]",
                  "bnc import resnet18.pt --model examples/resnet18_cifar.bn -o weights.safetensors",
                  {},
                  {"source"},
                  import_state_dict};
  po::options_description options("Options");
  options.add_options()
      ("model", input_file("M.bn"), "the network that the weights are for")
      ("output,o", output_file("OUT", {".safetensors"}), "where to write the weights (safetensors)")
      ("map", input_file("FILE"),
       "lines `parameter = tensor`, which go before names, shapes and order, and `ignore = tensor`; where there is no such file, and "
       "it is needed, a draft of it is written");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
