#include "tools/terminal.h"

#include <cstdlib>
#include <unistd.h>

#include <fmt/format.h>

namespace bnc::tools {

namespace {

struct Output {
  bool json = false;
  std::string color = "auto";
};

Output& output() {
  static Output current;
  return current;
}

const char* code_of(Style style) {
  switch (style) {
    case Style::error: return "1;31";
    case Style::warning: return "1;35";
    case Style::note: return "1;36";
    case Style::help: return "1;32";
    case Style::caret: return "1;32";
    case Style::bold: return "1";
    case Style::good: return "32";
  }
  return "0";
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

}  // namespace

void set_output(const std::vector<std::string>& words) {
  output() = {};
  for (size_t k = 0; k < words.size() && words[k] != "--"; ++k) {
    if (words[k] == "--json") output().json = true;
    if (words[k] == "--color" && k + 1 < words.size()) output().color = words[k + 1];
    if (words[k].starts_with("--color=")) output().color = words[k].substr(words[k].find('=') + 1);
  }
}

bool json_messages() { return output().json; }

bool takes_color(std::FILE* stream) {
  if (output().color == "always") return true;
  if (output().color == "never" || is_set("NO_COLOR")) return false;
  const char* terminal = std::getenv("TERM");
  return ::isatty(::fileno(stream)) && terminal && std::string_view(terminal) != "dumb";
}

std::string styled(Style style, std::string_view text, std::FILE* stream) {
  return takes_color(stream) ? fmt::format("\x1b[{}m{}\x1b[0m", code_of(style), text) : std::string(text);
}

}  // namespace bnc::tools
