// Parsing of a subcommand's options, its help, and output.
#include "bnc/advice.h"
#include "tools/command.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <unistd.h>

#include <fmt/format.h>

#include "tools/diagnostics.h"
#include "tools/terminal.h"

namespace bnc::tools {

po::value_semantic* one_of(const char* placeholder, std::vector<std::string> choices) {
  return new ChoiceValue(placeholder, std::move(choices));
}

Arguments::Arguments(po::variables_map values, const po::options_description& options, std::string call)
    : values_(std::move(values)), call_(std::move(call)) {
  for (const auto& option : options.options())
    if (const auto* value = dynamic_cast<const ChoiceValue*>(option->semantic().get())) choices_[option->long_name()] = value->choices;
}

bool Arguments::has(const std::string& option) const { return values_.count(option) > 0; }

const std::string& Arguments::required(const std::string& option) const {
  if (!has(option)) throw UsageError(fmt::format("the option `--{}` is required", option));
  return values_[option].as<std::string>();
}

std::string Arguments::text(const std::string& option) const { return has(option) ? values_[option].as<std::string>() : std::string(); }

std::vector<std::string> Arguments::texts(const std::string& option) const {
  return has(option) ? values_[option].as<std::vector<std::string>>() : std::vector<std::string>();
}

std::optional<int64_t> Arguments::integer(const std::string& option, int64_t least) const {
  if (!has(option)) return std::nullopt;
  const int64_t value = values_[option].as<int64_t>();
  if (value < least) throw UsageError(fmt::format("`--{}` must be at least {}, not {}", option, least, value));
  return value;
}

double Arguments::positive(const std::string& option, double fallback) const {
  if (!has(option)) return fallback;
  const double value = values_[option].as<double>();
  if (!(value > 0)) throw UsageError(fmt::format("`--{}` must be above 0, not {}", option, value));
  return value;
}

double Arguments::share(const std::string& option) const {
  const double value = values_[option].as<double>();
  if (!(value > 0 && value < 1)) throw UsageError(fmt::format("`--{}` is a share between 0 and 1, not {}", option, value));
  return value;
}

std::string Arguments::choice(const std::string& option) const {
  const std::vector<std::string>& choices = choices_.at(option);
  if (!has(option)) return choices.front();
  const std::string value = text(option);
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return value;
  const std::string nearest = nearest_name(value, choices);
  throw UsageError(fmt::format("`--{}` must be one of {}, not `{}`{}", option, fmt::join(choices, ", "), value,
                               nearest.empty() ? "" : fmt::format("; did you mean `{}`?", nearest)));
}

Network Arguments::network() const {
  return model_is_stdin() ? Network::from_text(standard_input(), stdin_name) : Network::from_file(required("model"));
}

std::vector<std::string> Arguments::list(const std::string& option) const {
  std::vector<std::string> parts;
  std::string part;
  for (char c : text(option) + ",") {
    if (c != ',') part += c;
    else if (!part.empty()) parts.push_back(std::exchange(part, {}));
  }
  return parts;
}

Mode Arguments::mode(Mode fallback) const {
  if (!has("mode")) return fallback;
  return choice("mode") == "train" ? Mode::train : Mode::infer;
}

std::optional<WeightStore> Arguments::weights(const Network& network) const {
  if (!has("weights")) return std::nullopt;
  WeightStore weights = WeightStore::load(required("weights"));
  flag("verbose") ? check_weights_fully(network, weights) : network.check_weights(weights);
  if (const std::string unused = network.unused_weights(weights); !unused.empty()) message(unused);
  if (const std::string foreign = network.foreign_weights(weights); !foreign.empty())
    message(foreign + "\nhelp: take the source they were trained with, which the report of the run shows, or train them on with "
                      "`bnc train --weights`");
  return weights;
}

WeightStore Arguments::required_weights(const Network& network) const {
  required("weights");
  return *weights(network);
}

CompileOptions Arguments::compile_options() const {
  CompileOptions options;
  options.mode = mode();
  options.batch = integer("batch");
  options.cpu = cpu();
  options.threads = threads();
  options.checks = checks();
  options.verify_each = flag("verify-each");
  options.stop_after = text("stop-after");
  options.on_warning = message;
  if (flag("print-changed"))
    options.on_change = [](const std::string& pass, const std::string& graph) { message(fmt::format("# after {}\n{}", pass, graph)); };
  options.on_time = print_time();
  return options;
}

std::function<void(const std::string& phase, double milliseconds)> Arguments::print_time() const {
  if (!flag("time-passes")) return {};
  return [](const std::string& phase, double milliseconds) { message(fmt::format("{:10.3f} ms  {}", milliseconds, phase)); };
}

po::options_description pass_options() {
  po::options_description options("Passes");
  options.add_options()
      ("verify-each", po::bool_switch(), "verify the graph after each pass")
      ("print-changed", po::bool_switch(), "print the graph to stderr after each pass that changed it")
      ("time-passes", po::bool_switch(), time_passes_help)
      ("stop-after", po::value<std::string>()->value_name("PASS"), "run no pass behind this one")
      ("list-passes", po::bool_switch(), "list all passes and exit");
  return options;
}

void add_cpu_option(po::options_description& options) {
  options.add_options()("cpu", po::value<std::string>()->value_name("NAME"),
                        "the CPU to generate code for, by LLVM's name; `baseline` is any x86-64 (default: this machine's)");
}

ImageSize Arguments::image_size(const std::string& option) const {
  constexpr int64_t most = 1 << 16;
  const std::string value = text(option);
  ImageSize size;
  const char* const end = value.data() + value.size();
  const auto height = std::from_chars(value.data(), end, size.height);
  const bool has_width = height.ec == std::errc() && height.ptr != end && *height.ptr == 'x';
  const auto width = std::from_chars(has_width ? height.ptr + 1 : end, end, size.width);
  const bool fits = width.ec == std::errc() && width.ptr == end && std::min(size.height, size.width) >= 1 &&
                    std::max(size.height, size.width) <= most;
  if (!fits) throw UsageError(fmt::format("`--{}` is a height and a width, such as 32x32, not `{}`", option, value));
  return size;
}

DataOptions Arguments::data_options() const {
  DataOptions options;
  options.label = text("label");
  options.targets = list("target");
  options.ignore = list("ignore");
  options.id = text("id");
  const std::string missing = choice("missing");
  options.missing = missing == "mean"   ? DataOptions::Missing::mean
                    : missing == "drop" ? DataOptions::Missing::drop
                                        : DataOptions::Missing::refuse;
  options.unknown_as_zero = choice("unknown") == "zero";
  if (has("resize")) options.resize = image_size("resize");
  options.threads = threads();
  return options;
}

void add_data_options(po::options_description& options) {
  options.add_options()
      ("label", po::value<std::string>()->value_name("COLUMN"),
       "of a table: the column of the targets (default: `label`, else the last one; with weights the one they were trained on)")
      ("target", po::value<std::string>()->value_name("COLUMN,..."),
       "of a table: the columns of several targets, one for each target of the network or all for its only one")
      ("ignore", po::value<std::string>()->value_name("COLUMN,..."), "of a table: columns to leave out")
      ("missing", one_of("HOW", {"error", "mean", "drop"}),
       "of a table: what a missing value is: `error` (default), `mean` (that of the column in the training data) or `drop` (the row)")
      ("unknown", one_of("HOW", {"error", "zero"}),
       "of a table: what a text is that was in no row of the training data: `error` (default) or `zero` (none of its column's categories)")
      ("resize", po::value<std::string>()->value_name("HxW"),
       "of a folder of images: the height and width that all get (default: that of the training data where it was resized)");
}

void add_check_options(po::options_description& options) {
  options.add_options()(
      "check-bounds", po::bool_switch(),
      "hold each access of generated code against its buffer, to find bugs of bnc (slow); exit 70 where one lies outside")(
      "poison", po::bool_switch(), "fill memory with NaN before it is written, so that reading it too early shows in the results (slow)");
}

po::options_description all_options(const Command& command) {
  po::options_description options;
  options.add(command.options);
  po::options_description common("Common options");
  common.add_options()
      ("threads", po::value<int64_t>()->value_name("T"), "use at most T threads (default: the cores the process may use)")
      ("json", po::bool_switch(), "print one JSON object a line on stdout and nothing else there; errors are such objects on stderr")
      ("verbose", po::bool_switch(), "list all tensors of weights that do not fit the network")
      ("color", one_of("WHEN", {"auto", "always", "never"}),
       "colours: `auto` (default: on a terminal, unless NO_COLOR is set), `always` or `never`")
      ("help,h", po::bool_switch(), "print this help");
  options.add(common);
  return options;
}

namespace {

std::string placeholder(const std::string& positional) {
  if (positional == "spec") return "data SPEC";
  if (positional == "source") return "file to import";
  return positional == "model" ? "file M.bn" : positional == "run" ? "folder RUN" : "file " + positional;
}

[[noreturn]] void fail_unknown_option(const Command& command, const po::options_description& options, std::string name) {
  name.erase(0, name.find_first_not_of('-'));
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back(option->long_name());
  std::vector<std::string> taken = names;
  taken.insert(taken.end(), command.positional.begin(), command.positional.end());
  if (const std::string help = hint_on_option(name, taken); !help.empty())
    throw UsageError(fmt::format("unknown option `--{}`\nhelp: {}", name, help));
  const std::string nearest = nearest_name(name, names);
  throw UsageError(fmt::format("unknown option `{}{}`{}", name.size() == 1 ? "-" : "--", name,
                               nearest.empty() ? "" : fmt::format("; did you mean `--{}`?", nearest)));
}

// A switch that was not given counts as absent, so that `has` tells the same of switches and values.
void drop_unset_switches(po::variables_map& values) {
  for (auto entry = values.begin(); entry != values.end();) {
    const bool* is_set = boost::any_cast<bool>(&entry->second.value());
    entry = is_set && !*is_set ? values.erase(entry) : std::next(entry);
  }
}

}  // namespace

Arguments parse_arguments(const Command& command, const std::vector<std::string>& words) {
  const po::options_description options = all_options(command);
  po::options_description accepted;
  accepted.add(options);
  po::positional_options_description positional;
  for (const std::string& name : command.positional) {
    if (command.several) accepted.add_options()(name.c_str(), po::value<std::vector<std::string>>());
    else accepted.add_options()(name.c_str(), po::value<std::string>());
    positional.add(name.c_str(), command.several ? -1 : 1);
  }
  po::variables_map values;
  try {
    namespace style = po::command_line_style;
    po::store(
        po::command_line_parser(words).options(accepted).positional(positional).style(style::unix_style & ~style::allow_guessing).run(),
        values);
  } catch (const po::unknown_option& error) {
    fail_unknown_option(command, options, error.get_option_name());
  } catch (const po::too_many_positional_options_error&) {
    throw UsageError(fmt::format("too many file names; `bnc {}` takes {}", command.name, command.usage));
  } catch (const po::error& error) {
    throw UsageError(error.what());
  }
  drop_unset_switches(values);
  std::string call = "bnc " + command.name;
  for (const std::string& word : words) call += " " + quoted(word);
  Arguments arguments(std::move(values), options, std::move(call));
  arguments.choice("color");
  if (!arguments.flag("help") && !arguments.flag("list-passes"))
    for (const std::string& name : command.positional)
      if (!arguments.has(name)) throw UsageError(fmt::format("the {} is missing", placeholder(name)));
  return arguments;
}

std::string quoted(const std::string& word) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || std::strchr("_-./:,=+@%", c); };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

namespace {

// In lines as long as those of the options.
std::string wrapped(const std::string& text) {
  const size_t width = po::options_description::m_default_line_length;
  std::string result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    while (line.size() > width && line.rfind(' ', width) != std::string::npos) {
      const size_t end = line.rfind(' ', width);
      result += line.substr(0, end) + "\n";
      line.erase(0, end + 1);
    }
    result += line + "\n";
  }
  return result;
}

}  // namespace

std::string help_text(const Command& command) {
  std::ostringstream stream;
  stream << all_options(command);
  std::string options = stream.str();
  options.erase(0, options.find_first_not_of('\n'));
  const bool takes_data = !command.positional.empty() && command.positional.front() == "spec";
  const std::string data = takes_data ? "\n" + wrapped(fmt::format("SPEC is {}.", data_help)) : "";
  return fmt::format("usage: bnc {} {}\n\n{}\n{}\n{}\nexample:\n  {}\n", command.name, command.usage, command.summary, data, options,
                     command.example);
}

std::string standard_input() {
  std::string text;
  char chunk[65536];
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, chunk, sizeof chunk);
    if (count == 0) return text;
    if (count > 0) text.append(chunk, static_cast<size_t>(count));
    else if (errno != EINTR) throw Error(fmt::format("error: cannot read standard input: {}", std::strerror(errno)));
  }
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Error(fmt::format("error: cannot write to standard output: {}", std::strerror(errno)));
}

// Names of files may be no UTF-8.
void print_json(const Json& object) { print(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"); }

void message(std::string_view text) {
  std::string line(text);
  if (line.empty() || line.back() != '\n') line += '\n';
  line = json_messages() ? diagnostics_as_json(line) : painted(line, stderr);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

std::string figures_text(const EvaluationResult& result, int digits) {
  std::string text = fmt::format("loss {:.{}f}", result.loss, digits);
  if (!std::isnan(result.accuracy)) text += fmt::format(", accuracy {:.4f}", result.accuracy);
  for (const auto& [name, value] : result.metrics) text += fmt::format(", {} {:.4f}", name, value);
  return text;
}

void warn_of_not_finite(const EvaluationResult& result, const char* examples) {
  if (result.not_finite == 0) return;
  message(
      fmt::format("warning: the network's numbers for {} of {} {} are not finite; such answers count as wrong\nhelp: `bnc lint` shows "
                  "which weights are not finite",
                  result.not_finite, result.count, examples));
}

std::string list_of_passes() {
  std::string text;
  for (const PassSummary& pass : passes()) text += fmt::format("{:<24} {}\n", pass.name, pass.summary);
  return text;
}

}  // namespace bnc::tools
