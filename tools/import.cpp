// `bnc import`: networks and weights of other programs.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bnc/import.h"
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

// --- ONNX models ------------------------------------------------------------

// `--shape x=N,3,224,224`
void read_shape(const std::string& text, ImportOptions& options) {
  const auto refuse = [&] { throw UsageError(fmt::format("`--shape {}` is not like `--shape x=N,3,224,224`", text)); };
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) refuse();
  std::vector<int64_t>& dims = options.shapes[text.substr(0, equals)];
  std::string word;
  for (const char c : text.substr(equals + 1) + ",") {
    if (c != ',') {
      word += c;
      continue;
    }
    int64_t dim = -1;
    if (word != "N") {
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), dim);
      if (error != std::errc() || end != word.data() + word.size() || dim < 1) refuse();
    }
    dims.push_back(dim);
    word.clear();
  }
}

// How far the compiled network is from the outputs that the file holds beside the inputs, relative to the largest number of each.
struct SampleCheck {
  double difference = 0;
  std::vector<std::string> outputs;
};

std::vector<double> numbers_of(const Array& array) {
  if (array.is_float()) return {array.floats().begin(), array.floats().end()};
  return {array.integers().begin(), array.integers().end()};
}

SampleCheck check_sample(const Network& network, const ImportedNetwork& imported, const std::string& path) {
  const NamedArrays arrays = load_npz(path);
  Session session = network.compile({}, imported.weights);
  // By the model's own name, or the one it has in the network.
  const auto array_of = [&](const std::pair<std::string, std::string>& names) -> const Array* {
    for (const auto& [key, array] : arrays)
      if (key == names.first || key == names.second) return &array;
    return nullptr;
  };
  for (const auto& names : imported.inputs) {
    const Array* array = array_of(names);
    if (!array) throw Error(fmt::format("error: {} has no array `{}`, which is an input of the model", path, names.first));
    session.bind(names.second, *array);
  }
  session.run();
  SampleCheck check;
  for (const auto& names : imported.outputs) {
    const Array* wanted = array_of(names);
    if (!wanted) continue;
    const Array got = session.read(names.second);
    if (got.dims() != wanted->dims())
      throw Error(fmt::format("error: output `{}` is {}, in {} it is {}", names.first, got.dims(), path, wanted->dims()));
    const std::vector<double> ours = numbers_of(got), theirs = numbers_of(*wanted);
    double largest = 0, distance = 0;
    for (size_t k = 0; k < ours.size(); ++k) {
      largest = std::max(largest, std::abs(theirs[k]));
      if (ours[k] == theirs[k] || (std::isnan(ours[k]) && std::isnan(theirs[k]))) continue;
      const double off = std::abs(ours[k] - theirs[k]);
      distance = std::isnan(off) ? INFINITY : std::max(distance, off);
    }
    check.difference = std::max(check.difference, largest > 0 ? distance / largest : distance);
    check.outputs.push_back(names.second);
  }
  if (check.outputs.empty()) throw Error(fmt::format("error: {} holds none of the network's outputs to compare with", path));
  return check;
}

// Where batch norms go when the network is frozen.
struct Folds {
  size_t folded = 0;
  std::vector<std::string> kept;
};

Folds folds_of(const Network& network, const WeightStore& weights) {
  Folds folds;
  for (const Explanation::Entry& entry : network.explain({}, &weights).batch_norms) {
    if (entry.folded) ++folds.folded;
    else folds.kept.push_back(fmt::format("{} {}", entry.path, entry.what));
  }
  return folds;
}

std::string onnx_report(const ImportedNetwork& imported, const Folds& folds, int64_t numbers) {
  std::vector<std::string> ops;
  int nodes = 0;
  for (const auto& [op, count] : imported.ops) {
    ops.push_back(fmt::format("{} {}", count, op));
    nodes += count;
  }
  std::string text = fmt::format("\n  from: {}\n  nodes: {}: {}\n  weights: {} tensors, {} numbers", imported.origin, nodes,
                                 fmt::join(ops, ", "), imported.weights.names().size(), numbers);
  if (folds.folded + folds.kept.size() > 0)
    text += fmt::format("\n  batch norms: {} of {} fold into their neighbours", folds.folded, folds.folded + folds.kept.size());
  constexpr size_t most = 3;
  for (size_t k = 0; k < std::min(most, folds.kept.size()); ++k) text += "\n    " + folds.kept[k];
  if (folds.kept.size() > most) text += fmt::format("\n    and {} more: `bnc explain` tells of each", folds.kept.size() - most);
  for (const auto* names : {&imported.inputs, &imported.outputs})
    for (const auto& [before, after] : *names)
      if (before != after) text += fmt::format("\n  renamed: `{}` is `{}`", before, after);
  for (const std::string& note : imported.notes) text += "\n  assumed: " + note;
  return text;
}

// Numbers with commas between them.
std::vector<double> numbers(const Arguments& arguments, const char* option) {
  std::vector<double> list;
  for (const std::string& word : arguments.list(option)) {
    char* end = nullptr;
    list.push_back(std::strtod(word.c_str(), &end));
    if (*end != 0 || !std::isfinite(list.back()))
      throw UsageError(fmt::format("`--{} {}` is no list of numbers", option, arguments.text(option)));
  }
  return list;
}

int import_model(const Arguments& arguments) {
  const double bound = arguments.positive("bound", 1e-4);
  ImportOptions options;
  options.keep_batch = arguments.flag("keep-batch");
  for (const std::string& shape : arguments.texts("shape")) read_shape(shape, options);
  options.mean = numbers(arguments, "mean");
  options.deviation = numbers(arguments, "deviation");
  if (options.mean.empty() != options.deviation.empty()) throw UsageError("`--mean` and `--deviation` go together");
  arguments.required("output");
  arguments.required("weights");
  const std::string model = arguments.output("output"), output = arguments.output("weights");
  const ImportedNetwork imported = import_onnx(arguments.required("source"), options);
  const Network network = Network::from_text(imported.source, model);
  std::optional<SampleCheck> check;
  if (arguments.has("check")) check = check_sample(network, imported, arguments.text("check"));
  const Folds folds = folds_of(network, imported.weights);
  imported.weights.save(output);
  write_file(model, imported.source);
  int64_t numbers = 0;
  for (const std::string& name : imported.weights.names()) numbers += static_cast<int64_t>(imported.weights.values(name).size());
  if (arguments.json()) {
    Json ops = Json::object();
    for (const auto& [op, count] : imported.ops) ops[op] = count;
    Json object = {{"model", model}, {"weights", output}, {"network", network.name()}, {"origin", imported.origin}, {"ops", ops},
                   {"tensors", imported.weights.names().size()}, {"numbers", numbers}, {"folded", folds.folded},
                   {"kept", folds.kept}, {"notes", imported.notes}};
    if (check) object.update(Json{{"difference", check->difference}, {"passed", check->difference <= bound}});
    print_json(object);
  } else {
    std::string text = fmt::format("{}: network {}{}", model, network.name(), onnx_report(imported, folds, numbers));
    if (check)
      text += fmt::format("\n  check: {} {} by {:.1e} of the largest number", fmt::join(check->outputs, ", "),
                          check->outputs.size() > 1 ? "differ" : "differs", check->difference);
    message(text);
  }
  if (!check || check->difference <= bound) return exit_done;
  message(fmt::format("error: the outputs differ from those of {} by more than {}", arguments.text("check"), bound));
  return exit_failed;
}

int run_import(const Arguments& arguments) {
  const bool model = std::filesystem::path(arguments.required("source")).extension() == ".onnx";
  if (model && arguments.has("model"))
    throw UsageError("an ONNX model brings its own network: `-o M.bn --weights W.safetensors` without `--model`");
  return model ? import_model(arguments) : import_state_dict(arguments);
}

}  // namespace

Command import_command() {
  Command command{
      "import",
      "brings in an ONNX model, or weights of PyTorch or Keras for a network that is there already",
      "M.onnx -o M.bn --weights W.safetensors [--check IN.npz] | W.pt|W.safetensors --model M.bn -o OUT.safetensors [--map FILE]",
      "bnc import resnet18.pt --model examples/resnet18_cifar.bn -o weights.safetensors",
      {},
      {"source"},
      run_import};
  po::options_description options("Options");
  options.add_options()("model", input_file("M.bn"), "the network that the weights are for")(
      "output,o", output_file("OUT", {".bn", ".safetensors"}), "where to write the network of an ONNX model, or the weights (safetensors)")(
      "weights,w", output_file("W", {".safetensors"}), "ONNX: where to write the model's weights (safetensors)")(
      "check", input_file("IN.npz"),
      "ONNX: inputs, and outputs that the model has for them, by their names: exit 1 where the compiled network's differ by more than "
      "`--bound` of the largest number")("bound", po::value<double>()->value_name("B"), "ONNX: what --check accepts (default 1e-4)")(
      "shape", po::value<std::vector<std::string>>()->value_name("NAME=DIMS"),
      "ONNX: the shape of an input that the file leaves open, as `x=N,3,224,224`; N is the batch size")(
      "mean", po::value<std::string>()->value_name("LIST"),
      "ONNX: what was subtracted from images outside of the model, one number or one for each channel (`0.485,0.456,0.406`); the network "
      "does it then, in a `preprocess`")("deviation", po::value<std::string>()->value_name("LIST"),
                                         "ONNX: what they were divided by then (`0.229,0.224,0.225`)")(
      "keep-batch", "ONNX: keep the batch size that the file fixes; else the network takes any where no op depends on it")(
      "map", input_file("FILE"),
      "lines `parameter = tensor`, which go before names, shapes and order, and `ignore = tensor`; where there is no such file, and "
      "it is needed, a draft of it is written");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
