// `bnc report`: the page of a training run, or several runs laid over one another.
#include <filesystem>

#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {
namespace {

std::string page_of(const std::string& run) { return (std::filesystem::path(run) / "report.html").string(); }

std::vector<ImpliedOutput> report_outputs(const Arguments& arguments) {
  if (arguments.has("out")) return {};
  return {{"the page", page_of(arguments.texts("run").front())}};
}

int run_report(const Arguments& arguments) {
  const std::vector<std::string> runs = arguments.texts("run");
  if (runs.size() > 1 && !arguments.has("out")) throw UsageError("several runs make a page of their own: say where with `-o PAGE.html`");
  const std::string path = arguments.has("out") ? arguments.output("out") : page_of(runs.front());
  write_file(path, report(runs));
  if (arguments.json()) print_json({{"report", path}, {"runs", runs}});
  else print(fmt::format("report: {}\n", path));
  return exit_done;
}

}  // namespace

Command report_command() {
  Command command{"report",
                  "makes the HTML page of a training run again, from its folder, or lays several runs over one another",
                  "RUN... [-o PAGE.html]",
                  "bnc report run -o report.html",
                  {},
                  {"run"},
                  run_report,
                  true};
  po::options_description options("Options");
  options.add_options()
      ("out,o", output_file("PAGE.html", {".html", ".htm"}), "where to write the page (default for one run: RUN/report.html)");
  command.options.add(options);
  command.implied_outputs = report_outputs;
  return command;
}

}  // namespace bnc::tools
