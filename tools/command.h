// A subcommand of `bnc`: its options, its help and what it does. Each stands in a file of its own and on one line of
// the table in main.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "bnc/bnc.h"
#include "tools/files.h"

namespace bnc::tools {

namespace po = boost::program_options;
using Json = nlohmann::ordered_json;

// Exit codes, fixed by the contract.
enum ExitCode { exit_done = 0, exit_failed = 1, exit_usage = 2, exit_bug = 70 };

// The command line itself is wrong.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The value of an option that is one of a few words, the first of them where the option is not given.
class ChoiceValue : public po::typed_value<std::string> {
 public:
  ChoiceValue(const char* placeholder, std::vector<std::string> choices) : typed_value(nullptr), choices(std::move(choices)) {
    value_name(placeholder);
  }
  const std::vector<std::string> choices;
};
po::value_semantic* one_of(const char* placeholder, std::vector<std::string> choices);

// The options of one call, converted and checked.
class Arguments {
 public:
  Arguments(po::variables_map values, const po::options_description& options, std::string call);

  bool has(const std::string& option) const;
  bool flag(const std::string& option) const { return has(option); }
  // The text of an option that must be given; UsageError when it is not.
  const std::string& required(const std::string& option) const;
  // The text of an option, or an empty string.
  std::string text(const std::string& option) const;
  // The path of an output_file; that of stdout where it is `-`.
  std::string output(const std::string& option) const { return text(option) == "-" ? "/dev/stdout" : text(option); }
  // All words of an option that may be given several times.
  std::vector<std::string> texts(const std::string& option) const;
  // A whole number not below `least`.
  std::optional<int64_t> integer(const std::string& option, int64_t least = 1) const;
  double positive(const std::string& option, double fallback) const;
  // A number between 0 and 1, both left out.
  double share(const std::string& option) const;
  ImageSize image_size(const std::string& option) const;   // HxW
  // What is given for an option declared with one_of(), or its first choice.
  std::string choice(const std::string& option) const;
  // The parts of a comma-separated list, without empty ones.
  std::vector<std::string> list(const std::string& option) const;

  bool json() const { return flag("json"); }
  // The whole call, as a shell reads it.
  const std::string& call() const { return call_; }
  // Of `--threads`; 0 where it is not given: the cores the process may use.
  int threads() const { return static_cast<int>(integer("threads").value_or(0)); }
  std::string cpu() const { return has("cpu") ? text("cpu") : "native"; }
  Mode mode(Mode fallback = Mode::infer) const;
  // The network of the file that every such command begins with, or of stdin: `-`.
  Network network() const;
  bool model_is_stdin() const { return required("model") == "-"; }
  // The weights of `--weights`, if given, checked against the network.
  std::optional<WeightStore> weights(const Network& network) const;
  WeightStore required_weights(const Network& network) const;   // UsageError where they are not given
  // Of add_data_options, `--id` and `--threads`.
  DataOptions data_options() const;
  CodeChecks checks() const { return {flag("check-bounds"), flag("poison")}; }
  // What `--time-passes` asks for: a line on stderr for each phase of compilation; empty without it.
  std::function<void(const std::string& phase, double milliseconds)> print_time() const;
  // `--mode`, `--batch`, `--verify-each`, `--print-changed`, `--time-passes`, `--stop-after`, `--cpu`, `--threads`, as far as the command
  // has them.
  CompileOptions compile_options() const;

 private:
  po::variables_map values_;
  std::string call_;
  std::map<std::string, std::vector<std::string>> choices_;   // of the options that have them
};

struct Command {
  std::string name, summary;
  std::string usage;      // what follows `bnc NAME`
  std::string example;    // a call that works as it stands
  po::options_description options;
  std::vector<std::string> positional;
  int (*run)(const Arguments&);
  bool several = false;   // of its (only) positional argument, which then names folders of runs
  std::vector<ImpliedOutput> (*implied_outputs)(const Arguments&) = nullptr;
};

// Options that several commands share.
inline constexpr const char* time_passes_help = "print the time of each phase of compilation to stderr: parser, passes, code generation";
inline constexpr const char* data_help =
    "fashion-mnist, a folder of IDX files, of CIFAR-10 batches or with one folder of PNG or JPEG images a class, an .npz with x and y, "
    "a table (.csv, .tsv), or `-`, a table on stdin;\nSPEC:train and SPEC:test name the split";
po::options_description pass_options();
void add_cpu_option(po::options_description& options);
// `--check-bounds` and `--poison`, for commands that run code.
void add_check_options(po::options_description& options);
// `--label`, `--ignore`, `--missing`, `--unknown` and `--resize`, for commands that read data sets.
void add_data_options(po::options_description& options);

// Those of a command, and those that all have.
po::options_description all_options(const Command& command);
// Parses what follows the subcommand; UsageError with a suggestion where that fails.
Arguments parse_arguments(const Command& command, const std::vector<std::string>& words);
std::string help_text(const Command& command);

// All of stdin; Error when it cannot be read.
std::string standard_input();
// What stdin is called in diagnostics.
inline constexpr const char* stdin_name = "<stdin>";

// Text to stdout; Error when it cannot be written.
void print(std::string_view text);
// One JSON object on a line of its own.
void print_json(const Json& object);
// A line to stderr: as it is, in colour, or as a JSON object (tools/terminal.h).
void message(std::string_view text);
// "loss 0.251291, accuracy 0.9675, f1_score 0.9650": what there is of them, the loss with so many digits.
std::string figures_text(const EvaluationResult& result, int digits);
// The same, where predictions for some of those examples were not finite.
void warn_of_not_finite(const EvaluationResult& result, const char* examples);

// A word as a shell reads it back.
std::string quoted(const std::string& word);

std::string list_of_passes();

Command compile_command();
Command opt_command();
Command init_command();
Command run_command();
Command train_command();
Command eval_command();
Command predict_command();
Command data_command();
Command report_command();
Command restat_command();
Command lint_command();
Command bench_command();
Command explain_command();
Command gradcheck_command();
Command verify_command();
Command summary_command();
Command export_command();
Command fmt_command();
Command import_command();

}  // namespace bnc::tools
