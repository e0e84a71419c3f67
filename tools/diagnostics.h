// Messages taken apart: diagnostics as the library words them, for colours and for JSON.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace bnc::tools {

// The text with severities, places and carets in colour, where the stream takes them.
std::string painted(std::string_view text, std::FILE* stream);

// One JSON object a line for each error, warning or note of its own: `severity` (of a bug in bnc `internal error`), `text`, `file`, `line`,
// `column`, `source` (the line it speaks of), `notes` and `help` (objects with `text` and, where they have one, a place). Text that is no
// diagnostic has severity `info`.
std::string diagnostics_as_json(std::string_view text);

}  // namespace bnc::tools
