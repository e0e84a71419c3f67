// Manual pages in the macros of man(7), from the help of the commands.
#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "tools/reference.h"

namespace bnc::tools {

namespace {

constexpr const char* exit_status =
    ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nthe input is wrong (a diagnostic says where and why), or a check failed\n.TP\n2\nwrong usage\n"
    ".TP\n70\na bug in bnc\n";

// Text as it stands; what is in backticks is bold.
std::string roff(const std::string& text) {
  std::string result;
  bool bold = false;
  for (const char c : text) {
    if (c == '`') result += (bold = !bold) ? "\\fB" : "\\fR";
    else if (c == '\\') result += "\\e";
    else if (c == '-') result += "\\-";
    else if (c == '\'') result += "\\(aq";
    else if (c == '\n') result += "\n.br\n";
    else if (c == '.' && (result.empty() || result.back() == '\n')) result += "\\&.";
    else result += c;
  }
  return result;
}

std::string title(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  return fmt::format(".TH {} 1 \"\" \"{}\" \"bnc manual\"\n", name, version());
}

std::string name_section(const std::string& name, const std::string& summary) {
  return fmt::format(".SH NAME\n{} \\- {}\n", roff(name), roff(summary));
}

std::string option_entry(const OptionEntry& option) {
  std::string text = ".TP\n";
  if (!option.letter.empty()) text += fmt::format("\\fB\\-{}\\fR, ", option.letter);
  text += fmt::format("\\fB\\-\\-{}\\fR", roff(option.name));
  if (!option.placeholder.empty()) text += fmt::format(" \\fI{}\\fR", roff(option.placeholder));
  return text + "\n" + roff(option.text) + "\n";
}

// The summary as a sentence.
std::string sentence(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

}  // namespace

std::string manual(const Command& command) {
  const std::string name = "bnc-" + command.name;
  std::string text = title(name) + name_section(name, command.summary);
  text += fmt::format(".SH SYNOPSIS\n\\fBbnc {}\\fR {}\n", roff(command.name), roff(command.usage));
  text += ".SH DESCRIPTION\n" + roff(sentence(command.summary)) + "\n";
  if (positional_of(command).name == "model") text += ".PP\nWhere the model is \\fB\\-\\fR, it is read from standard input.\n";
  if (positional_of(command).name == "spec") text += ".PP\nSPEC is " + roff(data_help) + ".\n";
  text += ".SH OPTIONS\n";
  for (const OptionEntry& option : options_of(command)) text += option_entry(option);
  text += fmt::format(".SH EXAMPLE\n.nf\n{}\n.fi\n", roff(command.example));
  return text + exit_status + ".SH SEE ALSO\n.BR bnc (1)\n";
}

std::string general_manual(const std::vector<Command>& commands) {
  std::string text = title("bnc") + name_section("bnc", "compiles neural networks built around batch normalization to native code");
  text += ".SH SYNOPSIS\n\\fBbnc\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.br\n\\fBbnc help\\fR [\\fICOMMAND\\fR]\n";
  text += ".SH DESCRIPTION\nbnc reads networks from .bn files, trains them with code generated for the CPU at hand, freezes them, folds "
          "their batch norms away, and writes object files that need no library.\n";
  text += ".SH COMMANDS\n";
  for (const Command& command : commands)
    text += fmt::format(".TP\n\\fB{}\\fR\n{}, see \\fBbnc\\-{}\\fR(1)\n", roff(command.name), roff(command.summary), roff(command.name));
  text += ".SH OPTIONS\n";
  for (const auto& [option, what] : {std::pair("\\-\\-help", "the commands, a line each"),
                                     std::pair("\\-\\-version\\fR, \\fB\\-V", "the version of bnc and of the LLVM it was built with"),
                                     std::pair("\\-\\-list\\-passes", "all passes, a line each"),
                                     std::pair("\\-\\-completion\\fR \\fISHELL", "completion for bash, zsh or fish"),
                                     std::pair("\\-\\-man\\fR [\\fICOMMAND\\fR]", "a manual page")})
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", option, what);
  text += exit_status;
  text += ".SH ENVIRONMENT\n.TP\n\\fBNO_COLOR\\fR\nif set, nothing is printed in colour\n.SH SEE ALSO\n";
  for (size_t k = 0; k < commands.size(); ++k)
    text += fmt::format(".BR bnc\\-{} (1){}\n", commands[k].name, k + 1 < commands.size() ? "," : "");
  return text;
}

}  // namespace bnc::tools
