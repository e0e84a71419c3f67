// `bnc train`: trains a network, with checkpoints; Ctrl-C stops it in good order.
#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "tools/command.h"
#include "tools/progress.h"

namespace bnc::tools {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

// The first signal asks the run to stop behind the current step; a second one ends the process at once.
void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = 1; };
  action.sa_flags = SA_RESETHAND;
  for (int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

TrainOptions train_options(const Arguments& arguments) {
  TrainOptions options;
  options.data = arguments.required("data");
  options.test = arguments.text("test");
  options.epochs = arguments.integer("epochs");
  options.steps = arguments.integer("steps");
  if (options.epochs && options.steps) throw UsageError("give `--epochs` or `--steps`, not both");
  options.batch = arguments.integer("batch");
  if (const auto seed = arguments.integer("seed", 0)) options.seed = static_cast<uint64_t>(*seed);
  options.resume = arguments.text("resume");
  options.out = arguments.has("out") ? arguments.text("out") : arguments.text("resume");
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  options.stop = [] { return stop_requested != 0; };
  return options;
}

Json to_json(const EvaluationResult& result) { return {{"loss", result.loss}, {"accuracy", result.accuracy}, {"count", result.count}}; }

Json to_json(const Progress& progress) {
  return {{"epoch", progress.epoch}, {"step", progress.step}, {"steps", progress.steps}, {"loss", progress.loss}, {"accuracy", progress.accuracy},
          {"examples_per_second", progress.examples_per_second}};
}

// A word as a shell reads it back.
std::string quoted(const std::string& word) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || std::strchr("_-./:,=+@%", c); };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "'";
  for (char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// The options of this call that a resumed one needs again.
std::string resume_command(const Arguments& arguments, const std::string& out) {
  std::string text = fmt::format("bnc train {}", quoted(arguments.required("model")));
  for (const char* option : {"data", "test", "cpu"})
    if (arguments.has(option)) text += fmt::format(" --{} {}", option, quoted(arguments.text(option)));
  for (const char* option : {"epochs", "steps", "batch", "seed", "threads"})
    if (const auto value = arguments.integer(option, 0)) text += fmt::format(" --{} {}", option, *value);
  return text + " --resume " + quoted(out);
}

void report_text(const TrainResult& result) {
  print(fmt::format("{} steps: train loss {:.4f}, accuracy {:.4f}\n", result.steps, result.train.loss, result.train.accuracy));
  if (result.test.count > 0) print(fmt::format("test loss {:.4f}, accuracy {:.4f} ({} examples)\n", result.test.loss, result.test.accuracy, result.test.count));
  if (!result.weights_path.empty()) print(fmt::format("weights: {}\nreport: {}\n", result.weights_path, result.report_path));
}

int run(const Arguments& arguments) {
  const Network network = Network::from_file(arguments.required("model"));
  TrainOptions options = train_options(arguments);
  ProgressDisplay display("train");
  int64_t epoch = 0;
  options.on_progress = [&](const Progress& progress) {
    display.update(progress);
    if (arguments.json() && (progress.epoch != epoch || progress.step == progress.steps)) print_json(to_json(progress));
    epoch = progress.epoch;
  };
  catch_stop_signals();
  const TrainResult result = train(network, options);
  display.finish();
  if (result.stopped) {
    message(fmt::format("stopped after step {}", result.steps));
    if (result.checkpoint_path.empty()) message("note: nothing was kept: the run had no `--out DIR`");
    else message(fmt::format("the checkpoint is in {}; go on with:\n  {}", result.checkpoint_path, resume_command(arguments, options.out)));
  }
  if (arguments.json()) {
    print_json({{"model", network.name()}, {"steps", result.steps}, {"stopped", result.stopped}, {"train", to_json(result.train)},
                {"test", result.test.count > 0 ? to_json(result.test) : Json()}, {"weights", result.weights_path}, {"report", result.report_path},
                {"checkpoint", result.checkpoint_path}});
  } else if (!result.stopped) {
    report_text(result);
  }
  return exit_done;
}

}  // namespace

Command train_command() {
  Command command{"train", "trains a network; Ctrl-C stops it with a checkpoint", "M.bn --data SPEC [options]",
                  "bnc train examples/mnist_mlp.bn --data fashion-mnist --test fashion-mnist --epochs 3 --out run", {}, {"model"}, run};
  po::options_description options("Options");
  options.add_options()
      ("data", po::value<std::string>()->value_name("SPEC"), "the data to train on: fashion-mnist, a folder of IDX files or CIFAR-10 batches, or an .npz with x and y;\n"
       "SPEC:train and SPEC:test name the split (default: train)")
      ("test", po::value<std::string>()->value_name("SPEC"), "the data to test on (default split: test)")
      ("epochs", po::value<int64_t>()->value_name("E"), "how often to go through the data (default: the train section's)")
      ("steps", po::value<int64_t>()->value_name("S"), "how many batches, in place of epochs")
      ("batch", po::value<int64_t>()->value_name("B"), "examples a batch (default: the train section's)")
      ("seed", po::value<int64_t>()->value_name("S"), "seed of the weights and of the order of examples (default: the train section's)")
      ("out", po::value<std::string>()->value_name("DIR"), "writes DIR/weights.safetensors, history.csv, report.html and checkpoint/")
      ("resume", po::value<std::string>()->value_name("DIR"), "goes on from DIR/checkpoint");
  add_cpu_option(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
