// bnc: the command line. Finds the subcommand, runs it, and turns what it throws into an exit code.
#include <csignal>
#include <cstdio>
#include <new>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "bnc/advice.h"
#include "tools/command.h"
#include "tools/reference.h"
#include "tools/terminal.h"

namespace bnc::tools {
namespace {

std::vector<Command> all_commands() {
  return {
      compile_command(), opt_command(),       init_command(),   run_command(),     train_command(), eval_command(),
      predict_command(), data_command(),      report_command(), restat_command(),  lint_command(),  bench_command(),
      explain_command(), gradcheck_command(), verify_command(), summary_command(), import_command(), export_command(), fmt_command(),
  };
}

std::string general_help(const std::vector<Command>& commands) {
  std::string text = "bnc compiles neural networks built around batch normalization to native code.\n\n"
                     "usage: bnc COMMAND [OPTIONS]\n\ncommands:\n";
  for (const Command& command : commands) text += fmt::format("  {:<10} {}\n", command.name, command.summary);
  text += "\nother:\n"
          "  help COMMAND        the options of a command, as `bnc COMMAND --help`; without COMMAND this help, as `--help`\n"
          "  --version, -V       the version of bnc and of the LLVM it was built with\n"
          "  --list-passes       all passes, a line each\n"
          "  --completion SHELL  completion for bash, zsh or fish: `source <(bnc --completion bash)`\n"
          "  --man [COMMAND]     the manual page of bnc or of a command: `bnc --man train | man -l -`\n\n"
          "exit codes: 0 done; 1 the input is wrong or a check failed; 2 wrong usage; 70 a bug in bnc\n";
  return text;
}

const Command& find_command(const std::vector<Command>& commands, const std::string& word) {
  std::vector<std::string> names = {"help", "--version", "--list-passes", "--help", "--completion", "--man"};
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

// The word behind a general option; empty where there is none.
std::string argument_of(const std::vector<std::string>& words) {
  if (words.size() > 2) throw UsageError(fmt::format("too many words behind `{}`", words[0]));
  return words.size() == 2 ? words[1] : "";
}

// What bnc prints without running a subcommand; the references are what pages of docs/ are made from.
std::optional<std::string> general_option(const std::vector<std::string>& words, const std::vector<Command>& commands) {
  const std::string& word = words[0];
  if (word == "--version" || word == "-V") return version() + "\n";
  if (word == "--help" || word == "-h") return general_help(commands);
  if (word == "--list-passes") return list_of_passes();
  if (word == "--ops-reference") return ops_reference();
  if (word == "--passes-reference") return passes_reference();
  if (word == "--hints-reference") return hints_reference();
  if (word == "--list-commands") return list_of_commands(commands);
  if (word == "--completion") return completion(argument_of(words), commands);
  if (word != "help" && word != "--man") return std::nullopt;
  const std::string name = argument_of(words);
  if (word == "--man") return name.empty() ? general_manual(commands) : manual(find_command(commands, name));
  return name.empty() || name == "--help" || name == "-h" ? general_help(commands) : help_text(find_command(commands, name));
}

int dispatch(const std::vector<std::string>& words, std::string& command_name) {
  const std::vector<Command> commands = all_commands();
  if (words.empty()) {
    std::fputs(general_help(commands).c_str(), stderr);
    return exit_usage;
  }
  if (const auto text = general_option(words, commands)) {
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
  constexpr std::string_view plain = "error: out of memory\n";
  constexpr std::string_view object = "{\"severity\":\"error\",\"text\":\"out of memory\",\"notes\":[],\"help\":[]}\n";
  const std::string_view text = json_messages() ? object : plain;
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
  const std::vector<std::string> words(argv + 1, argv + argc);
  bnc::tools::set_output(words);
  return bnc::tools::guarded(words);
}
