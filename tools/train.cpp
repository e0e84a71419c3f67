// `bnc train`: trains a network, with checkpoints; Ctrl-C stops it in good order.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>

#include <fmt/format.h>

#include "bnc/advice.h"
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

// Where the run is to be kept, as far as the options say.
std::string folder_of(const Arguments& arguments) { return arguments.has("out") ? arguments.text("out") : arguments.text("resume"); }

std::vector<ImpliedOutput> train_outputs(const Arguments& arguments) {
  std::vector<ImpliedOutput> outputs;
  const std::filesystem::path folder = folder_of(arguments);
  if (folder.empty()) return outputs;
  const auto add = [&](const std::filesystem::path& file) { outputs.push_back({"a file that the run writes", file.string()}); };
  for (const std::string& name : run_files()) add(folder / name);
  std::error_code error;   // what cannot be listed is no file that could be an input
  for (std::filesystem::directory_iterator entry(folder / "checkpoint", error), end; !error && entry != end; entry.increment(error))
    add(entry->path());
  return outputs;
}

TrainOptions train_options(const Arguments& arguments) {
  TrainOptions options;
  options.data = arguments.required("data");
  options.data_options = arguments.data_options();
  options.test = arguments.text("test");
  options.epochs = arguments.integer("epochs");
  options.steps = arguments.integer("steps");
  if (options.epochs && options.steps) throw UsageError("give `--epochs` or `--steps`, not both");
  options.patience = arguments.integer("patience");
  options.test_every = arguments.integer("test-every");
  if (arguments.has("validate")) options.validate = arguments.share("validate");
  options.batch = arguments.integer("batch");
  if (const auto seed = arguments.integer("seed", 0)) options.seed = static_cast<uint64_t>(*seed);
  options.weights = arguments.text("weights");
  options.resume = arguments.text("resume");
  options.allow_changes = arguments.flag("allow-changes");
  options.out = folder_of(arguments);
  options.overwrite = arguments.flag("overwrite");
  options.checkpoint_seconds = arguments.positive("checkpoint-every", options.checkpoint_seconds);
  options.tensorboard = arguments.flag("tensorboard");
  options.restat = arguments.flag("restat");
  options.threads = arguments.threads();
  options.cpu = arguments.cpu();
  options.checks = arguments.checks();
  options.command = arguments.call();
  options.stop = [] { return stop_requested != 0; };
  return options;
}

Json to_json(const EvaluationResult& result) {
  Json json = {{"loss", result.loss}, {"accuracy", result.accuracy}, {"count", result.count}, {"not_finite", result.not_finite}};
  for (const auto& [name, value] : result.metrics) json["metrics"][name] = value;
  return json;
}

Json to_json(const Divergence& found, const std::string& model) {
  return {{"model", model}, {"diverged", true}, {"step", found.step}, {"tensor", found.tensor}, {"place", found.place},
          {"checkpoint", found.checkpoint_path}, {"checkpoint_step", found.checkpoint_step < 0 ? Json() : Json(found.checkpoint_step)},
          {"best_weights", found.best_weights_path}, {"report", found.report_path}};
}

Json to_json(const Progress& progress) {
  Json json = {{"epoch", progress.epoch}, {"epochs", progress.epochs}, {"step", progress.step}, {"steps", progress.steps},
               {"loss", progress.loss}, {"accuracy", progress.accuracy}, {"rate", progress.rate},
               {"examples_per_second", progress.examples_per_second}, {"seconds_left", progress.seconds_left}};
  if (progress.tested_step > 0) {
    Json& tested = json[progress.validation ? "validation" : "test"];
    tested = to_json(progress.test);
    tested.erase("not_finite");   // the history does not keep it
    tested["step"] = progress.tested_step;
  }
  return json;
}

// The options of this call that a resumed one needs again.
std::string resume_command(const Arguments& arguments, const std::string& out) {
  std::string text = fmt::format("bnc train {}", quoted(arguments.required("model")));
  for (const char* option : {"data", "test", "label", "target", "ignore", "missing", "unknown", "resize", "cpu"})
    if (arguments.has(option)) text += fmt::format(" --{} {}", option, quoted(arguments.text(option)));
  for (const char* option : {"epochs", "steps", "batch", "seed", "patience", "test-every", "threads"})
    if (const auto value = arguments.integer(option, 0)) text += fmt::format(" --{} {}", option, *value);
  if (arguments.has("checkpoint-every")) text += fmt::format(" --checkpoint-every {}", arguments.positive("checkpoint-every", 0));
  for (const char* option : {"tensorboard", "restat"})
    if (arguments.flag(option)) text += fmt::format(" --{}", option);
  return text + " --resume " + quoted(out);
}

void report_text(const TrainResult& result) {
  std::string text = fmt::format("{} steps{}: train {}\n", result.steps, result.out_of_patience ? " (stopped early)" : "",
                                 figures_text(result.train, 4));
  if (result.validation.count > 0)
    text += fmt::format("validation {} ({} examples)\n", figures_text(result.validation, 4), result.validation.count);
  if (result.test.count > 0) text += fmt::format("test {} ({} examples)\n", figures_text(result.test, 4), result.test.count);
  if (result.best && result.best->step < result.steps) {
    text += fmt::format("best after step {} (epoch {}): {} {}\n", result.best->step, result.best->epoch,
                        result.validation.count > 0 ? "validation" : "test", figures_text(result.best->test, 4));
  }
  if (!result.weights_path.empty()) text += fmt::format("weights: {}\n", result.weights_path);
  if (!result.best_weights_path.empty()) text += fmt::format("best weights: {}\n", result.best_weights_path);
  if (!result.report_path.empty()) text += fmt::format("report: {}\n", result.report_path);
  print(text);
}

// `--profile`: where the time of the run went.
void report_times(const TrainResult::Times& times) {
  const double total = times.steps + times.waiting + times.tests + times.checkpoints;
  for (const auto& [what, seconds] : {std::pair("steps", times.steps), std::pair("waiting for data", times.waiting),
                                      std::pair("tests", times.tests), std::pair("checkpoints", times.checkpoints)})
    message(fmt::format("{:<17} {:9.3f} s {:5.1f} %", what, seconds, total > 0 ? seconds / total * 100 : 0));
}

Json to_json(const TrainResult& result, const std::string& model) {
  const auto figures = [](const EvaluationResult& found) { return found.count > 0 ? to_json(found) : Json(); };
  Json json = {{"model", model}, {"steps", result.steps}, {"stopped", result.stopped}, {"stopped_early", result.out_of_patience},
               {"train", to_json(result.train)}, {"validation", figures(result.validation)}, {"test", figures(result.test)}};
  if (result.best) {
    json["best"] = {{"step", result.best->step},
                    {"epoch", result.best->epoch},
                    {"loss", result.best->test.loss},
                    {"accuracy", result.best->test.accuracy}};
    for (const auto& [name, value] : result.best->test.metrics) json["best"]["metrics"][name] = value;
  }
  json["seconds"] = {{"steps", result.times.steps},
                     {"waiting", result.times.waiting},
                     {"tests", result.times.tests},
                     {"checkpoints", result.times.checkpoints}};
  json.update({{"weights", result.weights_path},
               {"best_weights", result.best_weights_path},
               {"report", result.report_path},
               {"checkpoint", result.checkpoint_path}});
  return json;
}

// The folder of a run that was given none. Where the run does not begin, none is left.
class RunFolder {
 public:
  explicit RunFolder(const std::string& network) : path_(make_run_folder(network)) {}
  RunFolder(const RunFolder&) = delete;
  ~RunFolder() {   // neither is removed that holds anything
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    std::filesystem::remove(path_.parent_path(), ignored);
  }
  std::string path() const { return path_.string(); }

 private:
  const std::filesystem::path path_;
};

// A run that diverges leaves an object that tells so, beside the error.
TrainResult train_or_tell(const Network& network, const TrainOptions& options, const Arguments& arguments) {
  try {
    return train(network, options);
  } catch (const DivergenceError& error) {
    if (arguments.json()) print_json(to_json(error.found(), network.name()));
    throw;
  }
}

int run_train(const Arguments& arguments) {
  const Network network = arguments.network();
  if (arguments.has("weights") && arguments.flag("verbose"))
    check_weights_fully(network, WeightStore::load(arguments.required("weights")));
  TrainOptions options = train_options(arguments);
  std::optional<RunFolder> folder;
  if (options.out.empty()) options.out = folder.emplace(network.name()).path();
  bool begun = false;   // an error before leaves no folder
  ProgressDisplay display("train");
  int64_t epoch = 0, tested = 0;
  options.on_warning = message;
  options.on_progress = [&](const Progress& progress) {
    if (folder && !begun) message(fmt::format("the run goes into {}", options.out));
    begun = true;
    display.update(progress);
    if (!progress.activity.empty()) return;
    const bool due = progress.epoch != epoch || progress.tested_step != tested || progress.step == progress.steps;
    if (arguments.json() && due) print_json(to_json(progress));
    epoch = progress.epoch;
    tested = progress.tested_step;
  };
  catch_stop_signals();
  const TrainResult result = train_or_tell(network, options, arguments);
  display.finish();
  warn_of_not_finite(result.validation, "validation examples");
  warn_of_not_finite(result.test, "test examples");
  if (result.stopped) {
    message(fmt::format("stopped after step {}", result.steps));
    message(fmt::format("the checkpoint is in {}; go on with:\n  {}", result.checkpoint_path, resume_command(arguments, options.out)));
  }
  if (arguments.json()) print_json(to_json(result, network.name()));
  else if (!result.stopped) report_text(result);
  if (arguments.flag("profile")) report_times(result.times);
  return exit_done;
}

}  // namespace

Command train_command() {
  Command command{"train",
                  "trains a network; Ctrl-C stops it with a checkpoint",
                  "M.bn --data SPEC [options]",
                  "bnc train examples/mnist_mlp.bn --data fashion-mnist --test fashion-mnist --epochs 3 --out run",
                  {},
                  {"model"},
                  run_train};
  po::options_description options("Options");
  options.add_options()("data", input_data("SPEC"), fmt::format("the data to train on: {} (default: train)", data_help).c_str())(
      "test", input_data("SPEC"), "the data to test on while training and at the end (default split: test)")(
      "validate", po::value<double>()->value_name("SHARE"),
      "hold this share of the training examples out and watch the run by them, so that `--test` is for the end only")(
      "weights,w", input_file("W"), "begin with these weights (safetensors), in place of fresh ones, and with their `preprocess`")(
      "epochs", po::value<int64_t>()->value_name("E"), "how often to go through the data (default: the train section's)")(
      "steps", po::value<int64_t>()->value_name("S"), "how many batches, in place of epochs")(
      "patience", po::value<int64_t>()->value_name("E"),
      "stop when the tests have not improved for E epochs (default: the train section's)")(
      "test-every", po::value<int64_t>()->value_name("S"),
      "steps between the tests of history.csv (default: an epoch, or a tenth of a shorter run)")(
      "batch", po::value<int64_t>()->value_name("B"), "examples a batch (default: the train section's)")(
      "seed", po::value<int64_t>()->value_name("S"), "seed of the weights and of the order of examples (default: the train section's)")(
      "out", po::value<std::string>()->value_name("DIR"),
      "writes DIR/weights.safetensors, weights.best.safetensors (of the best test), history.csv, report.html and checkpoint/ (default: "
      "runs/NAME-1, runs/NAME-2 .., NAME being the network's)")(
      "overwrite", po::bool_switch(), "DIR may hold another run, which is lost")(
      "resume", po::value<std::string>()->value_name("DIR"), "goes on from DIR/checkpoint, to the same bits as a run never stopped")(
      "allow-changes", po::bool_switch(),
      "with --resume: go on although the network, its loss, optimizer or augmentation has changed since the run began")(
      "checkpoint-every", po::value<double>()->value_name("S"), "seconds between checkpoints (default 30)")(
      "restat", po::bool_switch(), "estimate the stored statistics in both files of weights again at the end, as `bnc restat` does")(
      "tensorboard", po::bool_switch(), "write an event file for TensorBoard into DIR too")(
      "profile", po::bool_switch(), "print where the time went to stderr: steps, waiting for data, tests, checkpoints");
  add_cpu_option(options);
  add_data_options(options);
  add_check_options(options);
  command.options.add(options);
  command.implied_outputs = train_outputs;
  return command;
}

}  // namespace bnc::tools
