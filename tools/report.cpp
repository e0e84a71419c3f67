// `bnc report`: the page of a training run, or several runs laid over one another.
#include <filesystem>

#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

int run(const Arguments& arguments) {
  const std::vector<std::string> runs = arguments.texts("run");
  if (runs.size() > 1 && !arguments.has("out")) throw UsageError("several runs make a page of their own: say where with `-o PAGE.html`");
  const std::string path = arguments.has("out") ? arguments.text("out") : (std::filesystem::path(runs.front()) / "report.html").string();
  write_file(path, report(runs));
  if (arguments.json()) print_json({{"report", path}, {"runs", runs}});
  else print(fmt::format("report: {}\n", path));
  return exit_done;
}

}  // namespace

Command report_command() {
  Command command{"report", "makes the HTML page of a training run again, from its folder, or lays several runs over one another", "RUN... [-o PAGE.html]", "bnc report run -o report.html", {}, {"run"}, run, true};
  po::options_description options("Options");
  options.add_options()
      ("out,o", po::value<std::string>()->value_name("PAGE.html"), "where to write the page (default for one run: RUN/report.html)");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
