// A network to try, with what it is tried on. As text it is a legal `.bn` file with the settings in a comment.
#pragma once

#include <string>

#include "ir/graph.h"

namespace bnc::fuzz {

struct Case {
  Module module;
  int64_t batch = 3;     // examples, where the batch size is symbolic
  uint64_t values = 1;   // seeds the values of inputs and parameters

  const Graph& graph() const { return module.main(); }
};

Case clone(const Case& original);
std::string to_text(const Case& tried);
// The same in few lines, without what the comment says too.
std::string to_short_text(const Case& tried);
// A file without the comment is tried with the settings above, or the batch size of its train section.
Case parse_case(const std::string& text, const std::string& path);

}  // namespace bnc::fuzz
