// `bnc export`: a network for other programs, as a model of ONNX or as weights for PyTorch.
#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

int run_export(const Arguments& arguments) {
  const Network network = arguments.network();
  const bool state_dict = arguments.flag("state-dict"), frozen = arguments.flag("frozen");
  if (state_dict && frozen) throw UsageError("`--frozen` folds batch norms into layers, which leaves no weights for `--state-dict`");
  const WeightStore weights = arguments.required_weights(network);
  arguments.required("output");
  check_extension("output", arguments.text("output"), {state_dict ? ".safetensors" : ".onnx"});
  const ExportedModel model =
      state_dict ? export_state_dict(network, weights) : export_onnx(network, weights, {.frozen = frozen, .on_warning = message});
  const std::string output = arguments.output("output");
  write_file(output, model.bytes);
  for (const std::string& note : model.notes) message("note: " + note);
  if (arguments.json())
    print_json({{"model", network.name()},
                {"output", output},
                {"format", state_dict ? "safetensors" : "onnx"},
                {"bytes", model.bytes.size()}});
  else message(fmt::format("{}: {} bytes", output, model.bytes.size()));
  return exit_done;
}

}  // namespace

Command export_command() {
  Command command{"export",
                  "writes a network as ONNX, or its weights for PyTorch",
                  "M.bn --weights W -o M.onnx [--frozen] | M.bn --weights W --state-dict -o W.safetensors",
                  "bnc export examples/mnist_mlp.bn --weights run/weights.safetensors -o mnist_mlp.onnx",
                  {},
                  {"model"},
                  run_export};
  po::options_description options("Options");
  options.add_options()
      ("weights,w", input_file("W"), "the weights (safetensors)")
      ("output,o", output_file("M"), "the model of ONNX (.onnx), or with --state-dict the weights (.safetensors)")
      ("frozen", po::bool_switch(), "fold batch norms into the layers around them and leave dropout out, as in frozen inference; "
                                    "without it they stay, to be trained further")
      ("state-dict", po::bool_switch(), "write the weights alone, as PyTorch's load_state_dict takes them: its names, convolutions "
                                        "[out, in, kh, kw], dense layers [out, in]");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
