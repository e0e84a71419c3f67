#include "tools/reference.h"

#include <map>

#include <fmt/format.h>

namespace bnc::tools {

namespace {

using Takes = OptionEntry::Takes;

// The extensions of what a placeholder stands for.
std::vector<std::string> extensions_of(const std::string& placeholder) {
  static const std::map<std::string, std::vector<std::string>> extensions = {
      {"M.bn", {"bn"}}, {"OTHER.bn", {"bn"}},  {"W", {"safetensors"}},
      {"IN", {"npz"}},  {"IN.npz", {"npz"}},   {"SPEC", {"csv", "tsv", "npz"}},
      {"SOURCE", {"pt", "pth", "safetensors"}}};
  const auto found = extensions.find(placeholder);
  return found == extensions.end() ? std::vector<std::string>{} : found->second;
}

void describe_value(const po::value_semantic& semantic, OptionEntry& entry) {
  if (const auto* choice = dynamic_cast<const ChoiceValue*>(&semantic)) {
    entry.takes = Takes::choice;
    entry.words = choice->choices;
  } else if (const auto* file = dynamic_cast<const FileValue*>(&semantic)) {
    entry.takes = file->use == FileUse::data ? Takes::data : Takes::file;
    if (file->use != FileUse::output) entry.words = extensions_of(entry.placeholder);
    for (const std::string& extension : file->extensions) entry.words.push_back(extension.substr(1));
  } else if (entry.placeholder == "PASS" || entry.placeholder == "a,b,c") {
    entry.takes = entry.placeholder == "PASS" ? Takes::pass : Takes::passes;
  } else {
    entry.takes = entry.placeholder == "DIR" ? Takes::folder : Takes::word;
  }
}

}  // namespace

std::vector<OptionEntry> options_of(const Command& command) {
  std::vector<OptionEntry> entries;
  const po::options_description options = all_options(command);
  for (const auto& option : options.options()) {
    OptionEntry entry;
    entry.name = option->long_name();
    const std::string shown = option->canonical_display_name(po::command_line_style::allow_dash_for_short);
    if (shown.size() == 2 && shown[0] == '-') entry.letter = shown.substr(1);
    entry.text = option->description();
    if (option->semantic()->max_tokens() > 0) {
      entry.placeholder = option->format_parameter();
      describe_value(*option->semantic(), entry);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

OptionEntry positional_of(const Command& command) {
  OptionEntry entry;
  if (command.positional.empty()) return entry;
  entry.name = command.positional.front();
  entry.placeholder = entry.name == "model" ? "M.bn" : entry.name == "source" ? "SOURCE" : entry.name == "run" ? "RUN" : "SPEC";
  entry.takes = entry.name == "model" || entry.name == "source" ? Takes::file : entry.name == "run" ? Takes::folder : Takes::data;
  entry.words = extensions_of(entry.placeholder);
  return entry;
}

std::string list_of_commands(const std::vector<Command>& commands) {
  std::string text;
  for (const Command& command : commands) text += command.name + "\n";
  return text;
}

}  // namespace bnc::tools
