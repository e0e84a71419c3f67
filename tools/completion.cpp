// Completion for shells: scripts that know every command, its options and what those take.
#include <fmt/format.h>

#include "tools/reference.h"

namespace bnc::tools {

namespace {

using Takes = OptionEntry::Takes;

std::string pass_names() {
  std::string names;
  for (const PassSummary& pass : passes()) names += (names.empty() ? "" : " ") + pass.name;
  return names;
}

std::string command_names(const std::vector<Command>& commands) {
  std::string names;
  for (const Command& command : commands) names += command.name + " ";
  return names;
}

// The first line of a help text without what a shell would take for its own.
std::string short_text(const std::string& text, std::string_view left_out) {
  std::string result;
  for (const char c : text.substr(0, text.find('\n')))
    if (left_out.find(c) == std::string_view::npos) result += c;
  return result;
}

// --- bash

constexpr const char* bash_begin = R"(# bash completion for bnc, made by `bnc --completion bash`

_bnc_words() { COMPREPLY=($(compgen -W "$1" -- "$current")); }

# Folders, and files with one of these extensions; all where none is given.
_bnc_files() {
  local IFS=$'\n' extension
  compopt -o filenames 2>/dev/null
  if [[ $# = 0 ]]; then COMPREPLY=($(compgen -f -- "$current")); return; fi
  COMPREPLY=($(compgen -d -- "$current"))
  for extension; do COMPREPLY+=($(compgen -f -X "!*.$extension" -- "$current")); done
}

_bnc_data() {
  _bnc_files csv tsv npz
  COMPREPLY+=($(compgen -W fashion-mnist -- "$current"))
}

# The last one of a list with commas.
_bnc_list() {
  local front=
  [[ $current = *,* ]] && front=${current%,*},
  COMPREPLY=($(compgen -P "$front" -W "$1" -- "${current##*,}"))
  compopt -o nospace 2>/dev/null
}

_bnc() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [[ $current = "=" ]]; then current=
  elif [[ $previous = "=" ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}
  fi
)";

std::string bash_action(const OptionEntry& option) {
  switch (option.takes) {
    case Takes::choice: return fmt::format("_bnc_words '{}'", fmt::join(option.words, " "));
    case Takes::pass: return fmt::format("_bnc_words '{}'", pass_names());
    case Takes::passes: return fmt::format("_bnc_list '{}'", pass_names());
    case Takes::file: return fmt::format("_bnc_files {}", fmt::join(option.words, " "));
    case Takes::folder: return "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$current\"))";
    case Takes::data: return "_bnc_data";
    case Takes::word: case Takes::nothing: break;
  }
  return ":";
}

std::string bash_command(const Command& command) {
  std::string cases, names;
  for (const OptionEntry& option : options_of(command)) {
    names += "--" + option.name + " ";
    if (option.takes == Takes::nothing) continue;
    const std::string letter = option.letter.empty() ? "" : "-" + option.letter + "|";
    cases += fmt::format("        {}--{}) {}; return ;;\n", letter, option.name, bash_action(option));
  }
  return fmt::format("    {})\n      case $previous in\n{}      esac\n      if [[ $current = -* ]]; then _bnc_words '{}'\n      else {}\n"
                     "      fi ;;\n", command.name, cases, names, bash_action(positional_of(command)));
}

std::string bash_completion(const std::vector<Command>& commands) {
  const std::string names = command_names(commands);
  std::string text = bash_begin;
  text += fmt::format("  if [[ $COMP_CWORD = 1 ]]; then\n"
                      "    _bnc_words '{}help --help --version --list-passes --completion --man'\n    return\n  fi\n"
                      "  case ${{COMP_WORDS[1]}} in\n    help|--man) _bnc_words '{}' ;;\n    --completion) _bnc_words 'bash zsh fish' ;;\n",
                      names, names);
  for (const Command& command : commands) text += bash_command(command);
  return text + "  esac\n}\n\ncomplete -F _bnc bnc\n";
}

// --- zsh

// `(-.)` means files alone; without it zsh takes `(bn)` for such a flag. An action that begins with a space is called as it stands, without
// arguments of zsh's own.
std::string zsh_action(const OptionEntry& option) {
  switch (option.takes) {
    case Takes::choice: return fmt::format("({})", fmt::join(option.words, " "));
    case Takes::pass: return fmt::format("({})", pass_names());
    case Takes::passes: return fmt::format("_values -s , pass {}", pass_names());
    case Takes::file: return option.words.empty() ? "_files" : fmt::format("_files -g \"*.({})(-.)\"", fmt::join(option.words, "|"));
    case Takes::folder: return "_files -/";
    case Takes::data: return " _alternative \"sets:data set:(fashion-mnist)\" \"files:file:_files\"";
    case Takes::word: case Takes::nothing: break;
  }
  return " ";
}

// The action of an option ends at the first colon that stands alone.
std::string escaped_colons(const std::string& action) {
  std::string result;
  for (const char c : action) result += c == ':' ? "\\:" : std::string(1, c);
  return result;
}

std::string zsh_option(const OptionEntry& option) {
  const std::string text = short_text(option.text, "'[]\\:");
  const std::string action = escaped_colons(zsh_action(option));
  const std::string value = option.takes == Takes::nothing ? "" : fmt::format(":{}:{}", option.placeholder, action);
  const std::string sign = option.takes == Takes::nothing ? "" : "=";
  if (option.letter.empty()) return fmt::format("'--{}{}[{}]{}'", option.name, sign, text, value);
  return fmt::format("'(-{0} --{1})'{{-{0},--{1}{2}}}'[{3}]{4}'", option.letter, option.name, sign, text, value);
}

// What stands in place of a command, and what follows it.
constexpr const char* zsh_other_words = R"(  )
  if (( CURRENT == 2 )); then
    commands+=('help:the options of a command' '--help:the commands' '--version:the version of bnc and of LLVM'
      '--list-passes:all passes' '--completion:completion for a shell' '--man:a manual page')
    _describe -t commands command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
    help|--man) _describe -t commands command commands ;;
    --completion) compadd bash zsh fish ;;
)";

std::string zsh_completion(const std::vector<Command>& commands) {
  std::string text = "#compdef bnc\n# zsh completion for bnc, made by `bnc --completion zsh`\n\n_bnc() {\n  local -a commands=(\n";
  for (const Command& command : commands) text += fmt::format("    '{}:{}'\n", command.name, short_text(command.summary, "'"));
  text += zsh_other_words;
  for (const Command& command : commands) {
    text += fmt::format("    {})\n      _arguments -s", command.name);
    for (const OptionEntry& option : options_of(command)) text += " \\\n        " + zsh_option(option);
    const OptionEntry positional = positional_of(command);
    text += fmt::format(" \\\n        '{}:{}:{}' ;;\n", command.several ? "*" : "1", positional.placeholder, zsh_action(positional));
  }
  return text + "  esac\n}\n\nif [[ $funcstack[1] = _bnc ]]; then _bnc \"$@\"; else compdef _bnc bnc; fi\n";
}

// --- fish

std::string fish_action(const OptionEntry& option) {
  const auto words = [](const std::string& list) { return fmt::format(" -x -a '{}'", list); };
  switch (option.takes) {
    case Takes::nothing: return "";
    case Takes::choice: return words(fmt::format("{}", fmt::join(option.words, " ")));
    case Takes::pass: return words(pass_names());
    case Takes::passes: return fmt::format(" -x -a '(__fish_append , (string split \" \" \"{}\"))'", pass_names());
    case Takes::folder: return " -x -a '(__fish_complete_directories)'";
    case Takes::data: return " -r -F -a fashion-mnist";
    case Takes::word: return " -x";
    case Takes::file: break;
  }
  if (option.words.empty()) return " -r -F";
  return fmt::format(" -x -a '(__bnc_files {})'", fmt::join(option.words, " "));
}

constexpr const char* fish_begin = R"(# fish completion for bnc, made by `bnc --completion fish`

# Whether this is a call of that command.
function __bnc_runs
  set -l words (commandline -opc)
  test (count $words) -ge 2; and test "$words[2]" = $argv[1]
end

# Folders, and files with one of these extensions.
function __bnc_files
  set -l extensions (string join '|' $argv)
  set -l typed (commandline -ct | string replace -r '^--[^=]*=' '')
  __fish_complete_path "$typed" | string match -r "^[^\t]*(?:/|\.(?:$extensions))(?:\t.*)?\$"
end

complete -c bnc -f
complete -c bnc -n __fish_use_subcommand -l help -s h -d 'the commands'
complete -c bnc -n __fish_use_subcommand -l version -s V -d 'the version of bnc and of LLVM'
complete -c bnc -n __fish_use_subcommand -l list-passes -d 'all passes'
complete -c bnc -n __fish_use_subcommand -l completion -x -a 'bash zsh fish' -d 'completion for a shell'
)";

std::string fish_completion(const std::vector<Command>& commands) {
  std::string text = fish_begin;
  text += fmt::format("complete -c bnc -n __fish_use_subcommand -l man -x -a '{}' -d 'a manual page'\n", command_names(commands));
  for (const Command& command : commands)
    text += fmt::format("complete -c bnc -n __fish_use_subcommand -a {} -d '{}'\n", command.name, short_text(command.summary, "'\\"));
  text += "complete -c bnc -n __fish_use_subcommand -a help -d 'the options of a command'\n";
  text += fmt::format("complete -c bnc -n '__bnc_runs help' -a '{}'\n", command_names(commands));
  for (const Command& command : commands) {
    const std::string condition = fmt::format("complete -c bnc -n '__bnc_runs {}'", command.name);
    const OptionEntry positional = positional_of(command);
    if (positional.takes == Takes::data) text += condition + " -F -a fashion-mnist\n";
    else text += condition + fish_action(positional).substr(sizeof(" -x") - 1) + "\n";   // without ` -x`, which only options have
    for (const OptionEntry& option : options_of(command)) {
      text += fmt::format("{} -l {}{}{} -d '{}'\n", condition, option.name, option.letter.empty() ? "" : " -s " + option.letter,
                          fish_action(option), short_text(option.text, "'\\"));
    }
  }
  return text;
}

}  // namespace

std::string completion(const std::string& shell, const std::vector<Command>& commands) {
  if (shell == "bash") return bash_completion(commands);
  if (shell == "zsh") return zsh_completion(commands);
  if (shell == "fish") return fish_completion(commands);
  throw UsageError("`--completion` is for bash, zsh or fish");
}

}  // namespace bnc::tools
