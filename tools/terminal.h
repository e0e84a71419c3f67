// How text reaches a person or a program: colours where a terminal shows them, messages as JSON objects beside `--json`.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace bnc::tools {

enum class Style { error, warning, note, help, caret, bold, good };

// What `--json` and `--color` of a command line ask for. Read before anything else, since errors of the command line heed them too.
void set_output(const std::vector<std::string>& words);

// Whether messages are JSON objects.
bool json_messages();
// Whether a stream takes colours: `--color`, else NO_COLOR and what the stream leads to.
bool takes_color(std::FILE* stream);
// The text in that style where the stream takes colours, else as it is.
std::string styled(Style style, std::string_view text, std::FILE* stream = stdout);

}  // namespace bnc::tools
