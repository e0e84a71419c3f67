#include "runtime/run_settings.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/print.h"
#include "runtime/checkpoint.h"
#include "runtime/csv_fields.h"

namespace bnc {

namespace {

std::string list(const std::vector<Symbol>& symbols) {
  std::string text;
  for (const Symbol& symbol : symbols) text += (text.empty() ? "" : ", ") + to_string(Attribute(symbol));
  return "[" + text + "]";
}

SourceRange place_of(const TrainSection& section, const std::string& setting) {
  const SourceRange& place = setting == "loss"        ? section.loss_range
                             : setting == "optimizer" ? section.optimizer_range
                             : setting == "augment"   ? section.augment_range
                                                      : section.range;
  return place.known() ? place : section.range;
}

// The first line in which two texts differ, of each; empty behind the end of one.
std::pair<std::string_view, std::string_view> first_difference(std::string_view before, std::string_view now) {
  const auto take_line = [](std::string_view& text) {
    const std::string_view line = take_field(text, '\n');
    return line.substr(std::min(line.find_first_not_of(' '), line.size()));
  };
  while (!before.empty() || !now.empty()) {
    const std::string_view old_line = take_line(before), new_line = take_line(now);
    if (old_line != new_line) return {old_line, new_line};
  }
  return {};
}

}  // namespace

RunSettings run_settings(const Network& network) {
  const TrainSection& section = *network.data().train();
  return {{"loss", to_string(section.loss)}, {"optimizer", to_string(Attribute(section.optimizer))},
          {"augment", list(section.augment)},           {"batch", std::to_string(section.batch)},
          {"seed", std::to_string(section.seed)},       {"network", print(network.data().graph())}};
}

void check_unchanged(const Network& network, const Checkpoint& checkpoint, const std::string& run, bool allow) {
  const RunSettings fixed = {{"batch", std::to_string(checkpoint.batch)}, {"seed", std::to_string(checkpoint.seed)}};
  for (const auto& [setting, now] : run_settings(network)) {
    const auto found = checkpoint.settings.find(setting), chosen = fixed.find(setting);
    const bool is_fixed = chosen != fixed.end();
    if (found == checkpoint.settings.end() || found->second == now || (is_fixed ? chosen->second == now : allow)) continue;
    const std::string& before = found->second;
    Diagnostic diagnostic{Severity::error,
                          place_of(*network.data().train(), setting),
                          fmt::format("`{}` has changed since the run in {} began", setting, run),
                          {}};
    if (setting == "network") {
      diagnostic.range = {};
      diagnostic.text = fmt::format("network `{}` has changed since the run in {} began", network.name(), run);
      const auto [old_line, new_line] = first_difference(before, now);
      if (!old_line.empty()) diagnostic.note(fmt::format("it had `{}`", old_line));
      if (!new_line.empty()) diagnostic.note(fmt::format("it has `{}`", new_line));
    } else {
      diagnostic.note(fmt::format("it was {}, and is {}", before, now));
    }
    diagnostic.help(
        is_fixed
            ? "undo the change: the order of the data depends on it"
            : "undo the change, or go on with it by `--allow-changes`: the weights then are not those of one run from beginning to end");
    throw CompileError(std::move(diagnostic));
  }
}

}  // namespace bnc
