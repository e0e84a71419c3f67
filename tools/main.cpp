// bnc: the command line. Finds the subcommand, runs it, and turns what it throws into an exit code.
#include <csignal>
#include <new>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "bnc/advice.h"
#include "tools/command.h"

namespace bnc::tools {
namespace {

std::vector<Command> all_commands() {
  return {
      compile_command(), opt_command(),    init_command(), run_command(),   train_command(),
      eval_command(),    predict_command(), data_command(), report_command(), restat_command(), lint_command(),
      bench_command(),   explain_command(), gradcheck_command(), verify_command(), fmt_command(),
  };
}

std::string general_help(const std::vector<Command>& commands) {
  std::string text = "bnc compiles neural networks built around batch normalization to native code.\n\n"
                     "usage: bnc COMMAND [OPTIONS]\n\ncommands:\n";
  for (const Command& command : commands) text += fmt::format("  {:<10} {}\n", command.name, command.summary);
  text += "\nother:\n"
          "  --version      the version of bnc and of the LLVM it was built with\n"
          "  --list-passes  all passes, a line each\n"
          "  --help         this help; `bnc COMMAND --help` tells the options of a command\n\n"
          "exit codes: 0 done; 1 the input is wrong or a check failed; 2 wrong usage; 70 a bug in bnc\n";
  return text;
}

// What `bnc --NAME` prints without a subcommand; the references are what pages of docs/ are made from.
std::optional<std::string> general_option(const std::string& word, const std::vector<Command>& commands) {
  if (word == "--version") return version() + "\n";
  if (word == "--help" || word == "-h" || word == "help") return general_help(commands);
  if (word == "--list-passes") return list_of_passes();
  if (word == "--ops-reference") return ops_reference();
  if (word == "--passes-reference") return passes_reference();
  if (word == "--hints-reference") return hints_reference();
  return std::nullopt;
}

const Command& find_command(const std::vector<Command>& commands, const std::string& word) {
  std::vector<std::string> names = {"--version", "--list-passes", "--help"};
  for (const Command& command : commands) {
    if (command.name == word) return command;
    names.push_back(command.name);
  }
  const bool is_option = word.rfind('-', 0) == 0;
  if (const std::string help = hint_on_command(word); !is_option && !help.empty())
    throw UsageError(fmt::format("unknown command `{}`\nhelp: {}", word, help));
  const std::string nearest = nearest_name(word, names);
  throw UsageError(fmt::format("unknown {} `{}`{}", is_option ? "option" : "command", word,
                               nearest.empty() ? "" : fmt::format("; did you mean `{}`?", nearest)));
}

int dispatch(const std::vector<std::string>& words, std::string& command_name) {
  const std::vector<Command> commands = all_commands();
  if (words.empty()) throw UsageError("no command given");
  if (const auto text = general_option(words[0], commands)) {
    print(*text);
    return exit_done;
  }
  const Command& command = find_command(commands, words[0]);
  command_name = command.name;
  const Arguments arguments = parse_arguments(command, {words.begin() + 1, words.end()});
  if (arguments.flag("help")) {
    print(help_text(command));
    return exit_done;
  }
  if (arguments.flag("list-passes")) {
    print(list_of_passes());
    return exit_done;
  }
  check_files(command, arguments);
  return command.run(arguments);
}

// Called where memory runs out, with none to tell more. Ends the process at once: LLVM, which is built without exceptions,
// cannot be left by one.
[[noreturn]] void end_without_memory() {
  constexpr std::string_view text = "error: out of memory\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  ::_exit(exit_failed);
}

int guarded(const std::vector<std::string>& words) {
  std::string command;
  try {
    return dispatch(words, command);
  } catch (const UsageError& error) {
    message(fmt::format("error: {}\nhelp: see `bnc {}--help`", error.what(), command.empty() ? "" : command + " "));
    return exit_usage;
  } catch (const Error& error) {
    message(error.what());
    return exit_failed;
  } catch (const std::system_error& error) {
    message(fmt::format("error: {}", error.what()));
    return exit_failed;
  } catch (const std::bad_alloc&) {
    end_without_memory();
  } catch (const std::exception& error) {
    message(fmt::format("internal error: {}\nThis is a bug in bnc. Please report it with the command and its input files:\n  bnc {}\n  {}",
                        error.what(), fmt::join(words, " "), version()));
    return exit_bug;
  }
}

}  // namespace
}  // namespace bnc::tools

int main(int argc, char** argv) {
  std::set_new_handler(bnc::tools::end_without_memory);
  std::signal(SIGPIPE, SIG_IGN);  // writing to a pipe that nobody reads any more is an error like others
  return bnc::tools::guarded({argv + 1, argv + argc});
}
