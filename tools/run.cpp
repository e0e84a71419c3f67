// `bnc run`: one inference, or one training step without its update, over arrays in a file.
#include <algorithm>

#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

// That of an input, or of a target.
const Array& find_array(const NamedArrays& arrays, const std::string& name, const std::string& path, const char* role = "input") {
  std::vector<std::string> names;
  for (const auto& [key, array] : arrays) {
    if (key == name) return array;
    names.push_back(key);
  }
  throw Error(fmt::format("error: {} holds no array `{}` for the network's {} of that name\nnote: it holds {}", path, name, role,
                          names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "))));
}

// The batch size of the arrays: of the first input that has the batch symbol in its type.
std::optional<int64_t> batch_size(const Network& network, const NamedArrays& arrays, const std::string& path) {
  std::optional<int64_t> batch;
  for (const TensorInfo& input : network.inputs()) {
    const Array& array = find_array(arrays, input.name, path);
    for (size_t k = 0; k < input.dims.size() && k < array.dims().size(); ++k)
      if (!batch && input.dims[k] < 0) batch = array.dims()[k] / -input.dims[k];
  }
  if (batch == 0) throw Error(fmt::format("error: the arrays of {} hold no example", path));
  return batch;
}

bool is_among(const std::vector<TensorInfo>& tensors, const std::string& name) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const TensorInfo& info) { return info.name == name; });
}

// Whether the session takes an array. The same archive serves both modes: inference has no use for the targets.
bool is_taken(const Network& network, Mode mode, const std::string& name) {
  if (mode == Mode::train || is_among(network.inputs(), name)) return true;
  return name != "labels" && !is_among(network.targets(), name);
}

int run_network(const Arguments& arguments) {
  const Network network = arguments.network();
  arguments.required("output");
  const std::string input = arguments.required("input"), output = arguments.output("output");
  const WeightStore weights = arguments.required_weights(network);
  CompileOptions options = arguments.compile_options();
  const NamedArrays arrays = network.load_inputs(input, weights, options.mode);
  options.optimizer = false;
  options.keep_gradients = options.mode == Mode::train;
  options.batch = batch_size(network, arrays, input);
  if (options.mode == Mode::train)
    for (const TensorInfo& target : network.targets()) find_array(arrays, target.name, input, "target");

  Session session = network.compile(options, weights);
  for (const auto& [name, array] : arrays)
    if (is_taken(network, options.mode, name)) session.bind(name, array);
  session.run();
  NamedArrays results;
  std::vector<std::string> names = session.readable();
  for (const std::string& name : names) results.emplace_back(name, session.read(name));
  save_npz(output, results);
  if (arguments.json()) print_json({{"model", network.name()}, {"output", output}, {"arrays", names}});
  else message(fmt::format("{}: {}", output, fmt::join(names, ", ")));
  return exit_done;
}

}  // namespace

Command run_command() {
  Command command{"run",
                  "runs a network over the arrays of an .npz file",
                  "M.bn --weights W --input IN.npz --output OUT.npz [options]",
                  "bnc run examples/mnist_mlp.bn --weights run/weights.safetensors --input images.npz --output predictions.npz",
                  {},
                  {"model"},
                  run_network};
  po::options_description options("Options");
  options.add_options()("weights,w", input_file("W"), "the weights (safetensors)")(
      "input,i", input_file("IN"),
      "an .npz with one array an input, by name, bytes taken as `bnc eval` does; for training also the targets, as the loss names them "
      "(`labels`)")("output,o", output_file("OUT", {".npz"}), "where to write the results (.npz)")(
      "mode", one_of("MODE", {"infer", "train"}),
      "infer (default): the outputs. train: one step's forward and backward pass without the update: loss, outputs, grad/NAME, state/NAME");
  add_cpu_option(options);
  add_check_options(options);
  command.options.add(options).add(pass_options());
  return command;
}

}  // namespace bnc::tools
