// What must be handed over so that one text stands for several windows.
#pragma once

#include <optional>
#include <vector>

#include "frontend/source/program.h"

namespace bnc::source {

struct Arguments {
  // Of each slot: the parameter it is computed from, or that it stays as it is.
  struct Use {
    int parameter = -1;
    Setting::Form form = Setting::Form::same;
    int64_t factor = 1;
  };
  std::vector<Use> uses;
  std::vector<Parameter> parameters;              // named after what they are for
  std::vector<std::vector<Setting>> values;       // of each parameter, window by window
};

// `windows` are the slots of each. Settings that are the same everywhere stay as they are; a setting that names a parameter does so only
// where the windows stand in one function (`in_place`). Nothing where more than `most` parameters were needed.
std::optional<Arguments> arguments_for(const std::vector<std::vector<Slot>>& windows, bool in_place, size_t most);

}  // namespace bnc::source
