// Characters -> tokens. Comments are tokens too: the formatter keeps them, the parser skips them.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "frontend/report.h"
#include "ir/diagnostic.h"

namespace bnc {

struct Token {
  enum class Kind { name, integer, number, punctuation, comment, end };
  Kind kind;
  std::string_view text;  // into SourceFile::text
  SourceRange range;
  bool first_on_line = false;  // no other token before it on its line

  bool is(std::string_view punctuation_or_name) const {
    return (kind == Kind::punctuation || kind == Kind::name) && text == punctuation_or_name;
  }
};

// Words that cannot name a value.
inline constexpr std::array<std::string_view, 10> keywords = {"return", "repeat", "in", "if", "else", "true", "false", "and", "or", "not"};
bool is_keyword(std::string_view text);

// The last token is `end`. Characters that cannot begin a token are reported and skipped; text that is not UTF-8, or
// holds a NUL byte, is no .bn file at all: CompileError.
std::vector<Token> lex(const std::shared_ptr<const SourceFile>& source, Reporter& reporter);

}  // namespace bnc
