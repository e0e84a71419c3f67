// What is made from the tables of commands and options: completion for shells, and manual pages.
#pragma once

#include <string>
#include <vector>

#include "tools/command.h"

namespace bnc::tools {

// An option, or what a command takes without one, as completion and manual need to know it.
struct OptionEntry {
  enum class Takes { nothing, word, choice, pass, passes, file, folder, data };
  std::string name, letter;             // "output", "o"; the letter may be empty
  std::string placeholder;              // "OUT"; empty where it takes nothing
  std::string text;                     // its help
  Takes takes = Takes::nothing;
  std::vector<std::string> words;       // of `choice`, or of the extensions that a file has: "npz"; any where empty
};
std::vector<OptionEntry> options_of(const Command& command);
// What it takes without an option: a model, folders of runs, or a data set.
OptionEntry positional_of(const Command& command);

// `bnc --list-commands`: a name a line.
std::string list_of_commands(const std::vector<Command>& commands);
// A script for that shell; UsageError for any other.
std::string completion(const std::string& shell, const std::vector<Command>& commands);
// Manual pages, as man takes them: bnc(1), bnc-train(1).
std::string general_manual(const std::vector<Command>& commands);
std::string manual(const Command& command);

}  // namespace bnc::tools
