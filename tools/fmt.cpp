// `bnc fmt`: a file in canonical layout.
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int run_fmt(const Arguments& arguments) {
  const bool from_stdin = arguments.model_is_stdin();
  if (from_stdin && arguments.flag("write")) throw UsageError("`--write` changes a file, but this is stdin");
  const std::string path = from_stdin ? stdin_name : arguments.required("model");
  std::string before = from_stdin ? standard_input() : "";
  const std::string text = from_stdin ? format_text(before, path) : format_file(path);
  if (!from_stdin) before = contents(path);
  const bool changed = text != before;
  if (arguments.flag("write") && changed) write_file(path, text);
  if (arguments.json()) print_json({{"path", path}, {"changed", changed}, {"text", text}});
  else if (arguments.flag("check") && changed) message(fmt::format("{} is not in canonical layout", path));
  else if (!arguments.flag("write") && !arguments.flag("check")) print(text);
  return arguments.flag("check") && changed ? exit_failed : exit_done;
}

}  // namespace

Command fmt_command() {
  Command command{
      "fmt", "prints a file in canonical layout, comments kept", "M.bn [--write | --check]", "bnc fmt examples/mnist_mlp.bn", {}, {"model"},
      run_fmt};
  po::options_description options("Options");
  options.add_options()
      ("write", po::bool_switch(), "change the file instead of printing it")
      ("check", po::bool_switch(), "print nothing; exit 1 if the layout is another");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
